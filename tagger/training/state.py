"""Everything that changes during a training, saved after each epoch and restored to resume it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

from tagger.models.config import NetworkConfig
from tagger.models.network import Network
from tagger.training.checkpoint import damage_as_error, load, save
from tagger.training.ema import WeightEMA
from tagger.training.history import EpochMetrics
from tagger.training.job import TrainingJob
from tagger.training.optimizers import build_optimizers

Weights: TypeAlias = dict[str, Tensor]

NONE_BIAS = -2.0
"""Initial bias of the class "none of these" in a new head for photos: no network knew it before, so it starts unlikely."""


@dataclass
class TrainingState:
    """The network in training, the average of its weights, the optimizers, and what the epochs so far have left behind."""

    network: Network
    ema: WeightEMA
    optimizers: list[torch.optim.Optimizer]
    history: list[EpochMetrics] = field(default_factory=list)
    snapshots: list[Weights] = field(default_factory=list)
    """Averaged weights at the end of each cycle."""
    best: Weights | None = None
    """Averaged weights of the epoch with the lowest held-out loss, where the recipe has a patience."""

    @classmethod
    def initial(cls, job: TrainingJob) -> "TrainingState":
        """Return the state before the first step: the job's start, or random weights from the recipe's seed."""
        torch.manual_seed(job.recipe.seed)
        network = Network(job.config)
        if job.start is not None:
            load_start(network, job.start)
        network.to(job.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        return cls(network, WeightEMA(network, job.recipe.ema_decay), build_optimizers(network, job.recipe))

    def save(self, path: Path, identity: Mapping[str, Any]) -> None:
        """Replace the checkpoint of the training that `identity` describes."""
        state = {
            "network": self.network.state_dict(),
            "average": self.ema.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "history": [asdict(metrics) for metrics in self.history],
            "ends": self.snapshots,
            "best": self.best,
        }
        save(path, identity, state)

    def restore(self, path: Path, identity: Mapping[str, Any]) -> None:
        """Continue from a checkpoint; raises `TrainingError` where it is damaged or of another training."""
        with damage_as_error(path):
            state = load(path, identity, next(self.network.parameters()).device)
            self.network.load_state_dict(state["network"])
            self.ema.load_state_dict(state["average"])
            for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
                # Hyperparameters are the recipe's and this device's, which may not be the one that wrote the checkpoint.
                groups = optimizer.state_dict()["param_groups"]
                optimizer.load_state_dict({"state": saved["state"], "param_groups": groups})
            self.history = [EpochMetrics(**metrics) for metrics in state["history"]]
            self.snapshots = list(state["ends"])
            self.best = state["best"]

    def snapshot(self) -> Weights:
        """Return a copy of the averaged weights as they are now."""
        return {name: tensor.clone() for name, tensor in self.ema.network.state_dict().items()}

    def earlier_networks(self) -> list[Network]:
        """Return the networks at the ends of the cycles so far, on the CPU in evaluation mode."""
        return [_network_with(weights, self.network.config) for weights in self.snapshots]

    def result(self) -> Network:
        """Return the trained network, of the best epoch or else of the last cycle, on the CPU in evaluation mode."""
        return _network_with(self.best or self.snapshots[-1], self.network.config)


def load_start(network: Network, start: Network) -> None:
    """Copy the weights of `start` into a network; a head for photos that `start` lacks begins as a copy of its only head.

    A head for photos that the network lacks is left out.
    """
    weights = dict(start.state_dict())
    if network.photo_head is None:
        weights = {name: tensor for name, tensor in weights.items() if not name.startswith("photo_head.")}
    elif start.photo_head is None:
        none = network.config.photo_classes - network.config.classes
        weights["photo_head.weight"] = functional.pad(start.head.weight, (0, 0, 0, none)).detach()
        weights["photo_head.bias"] = functional.pad(start.head.bias, (0, none), value=NONE_BIAS).detach()
    network.load_state_dict(weights)


def _network_with(weights: Weights, config: NetworkConfig) -> Network:
    network = Network(config)
    network.load_state_dict(weights)
    return network.eval()
