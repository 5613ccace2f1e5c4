"""The inputs of one training."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from tagger.data.images import Images
from tagger.inference.torch_device import CPU, training_device
from tagger.models.bundle import Bundle
from tagger.models.config import NetworkConfig
from tagger.models.network import Network
from tagger.training.history import EpochMetrics
from tagger.training.recipe import Recipe
from tagger.training.settings import TrainSettings

CHECKPOINT = "checkpoint.pt"
"""Name of the checkpoint, of an ensemble's first member, in the folder of the new bundle."""


@dataclass(frozen=True)
class TrainingJob:
    """What is trained, on which images, by which recipe, where, and what is called after each epoch."""

    recipe: Recipe
    config: NetworkConfig
    """Shape of the network."""
    images: Images
    """Training images."""
    held_out: Images | None
    """Images that measure the averaged weights after each epoch; None to train on everything."""
    checkpoint: Path
    """File that is replaced after each epoch."""
    resume: bool = False
    """Whether to continue from the checkpoint."""
    on_epoch: Callable[[EpochMetrics], None] = lambda metrics: None
    """Called after each epoch, once its checkpoint is written."""
    start: Network | None = None
    """Network whose weights training starts from; None for random ones from the recipe's seed."""
    teachers: Sequence[nn.Module] = ()
    """Networks, in evaluation mode, whose predictions are distilled where a cycle has a share of distillation."""
    device: torch.device = CPU
    """Where training computes: "cpu" or "cuda"."""

    @classmethod
    def of_settings(
        cls,
        settings: TrainSettings,
        config: NetworkConfig,
        images: Images,
        held_out: Images | None,
        start: Network | None,
        teachers: Sequence[Bundle],
        on_epoch: Callable[[EpochMetrics], None],
    ) -> "TrainingJob":
        """Return the training that a command's settings describe, with its checkpoint in the folder of the new bundle."""
        return cls(
            recipe=settings.recipe,
            config=config,
            images=images,
            held_out=held_out,
            checkpoint=settings.out / CHECKPOINT,
            resume=settings.resume,
            on_epoch=on_epoch,
            start=start,
            teachers=[teacher.network() for teacher in teachers],
            device=training_device(settings.device),
        )
