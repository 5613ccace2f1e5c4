"""The state of a training: where it starts, and that a checkpoint restores all of it."""
# ruff: noqa: SIM300 - what is expected stands first, as in every test here

from pathlib import Path

import pytest
import torch
from torch import Tensor
from training_helpers import (
    CONFIG,
    OTHERS,
    PICTURES,
    RECIPE,
    TWO_HEADS,
    interrupted,
    random_network,
    same_weights,
    train_network,
    trained,
)

from tagger.models.config import NetworkConfig
from tagger.models.network import Network
from tagger.training.checkpoint import training_identity
from tagger.training.job import TrainingJob
from tagger.training.recipe import Cycle, Recipe
from tagger.training.state import NONE_BIAS, TrainingState

pytestmark = pytest.mark.usefixtures("one_thread")


def job(checkpoint: Path, config: NetworkConfig = CONFIG, start: Network | None = None) -> TrainingJob:
    """Return a training of the bars."""
    return TrainingJob(RECIPE, config, PICTURES, OTHERS, checkpoint, start=start)


def logits(network: Network) -> tuple[Tensor, Tensor]:
    """Return the logits of both heads, in evaluation mode."""
    with torch.no_grad():
        return network.eval()(OTHERS.pixels), network.photo_logits(OTHERS.pixels)


def test_training_starts_from_the_given_weights(tmp_path: Path) -> None:
    """Before the first step both heads predict what the start does of the classes that it has; the new one is unlikely."""
    start = random_network()
    native, photo = logits(TrainingState.initial(job(tmp_path / "c.pt", TWO_HEADS, start)).network)
    expected, _ = logits(start)
    assert torch.allclose(expected, native, atol=1e-4)
    assert torch.allclose(expected, photo[:, :10], atol=1e-4)
    assert (NONE_BIAS == photo[:, 10]).all()


def test_training_starts_from_both_heads(tmp_path: Path) -> None:
    """A start that has a head for photos gives that as well; to a network without one it gives the first alone."""
    start = random_network(TWO_HEADS)
    state = TrainingState.initial(job(tmp_path / "c.pt", TWO_HEADS, start))
    assert same_weights(start, state.network)
    one_head = TrainingState.initial(job(tmp_path / "c.pt", CONFIG, start)).network
    assert one_head.photo_head is None
    assert torch.allclose(logits(start)[0], logits(one_head)[0], atol=1e-4)


def test_the_average_starts_from_the_given_weights(tmp_path: Path) -> None:
    """The averaged network is that of the start too."""
    start = random_network()
    assert same_weights(start, TrainingState.initial(job(tmp_path / "c.pt", start=start)).ema.network)


def test_random_weights_come_from_the_recipes_seed(tmp_path: Path) -> None:
    """Without a start the weights depend on the seed alone."""
    states = []
    for global_seed in (1, 2):
        torch.manual_seed(global_seed)
        states.append(TrainingState.initial(job(tmp_path / "c.pt")))
    assert same_weights(states[0].network, states[1].network)


def test_the_start_is_left_alone(tmp_path: Path) -> None:
    """Training from a network leaves that network's weights as they were."""
    start = random_network()
    before = {name: tensor.clone() for name, tensor in start.state_dict().items()}
    recipe = Recipe((Cycle(epochs=1, warmup_steps=2),), batch_size=16)
    train_network(recipe, TWO_HEADS, PICTURES, OTHERS, tmp_path / "checkpoint.pt", start=start)
    assert all(torch.equal(before[name], tensor) for name, tensor in start.state_dict().items())


def test_a_checkpoint_restores_everything(tmp_path: Path) -> None:
    """Saved and restored, a state has the same weights, averages, momenta, metrics and snapshots."""
    interrupted(tmp_path / "c.pt", epoch=2)
    identity = training_identity(job(tmp_path / "c.pt"))
    restored = TrainingState.initial(job(tmp_path / "c.pt"))
    restored.restore(tmp_path / "c.pt", identity)
    assert [1, 2] == [metrics.epoch for metrics in restored.history]
    assert 1 == len(restored.snapshots)
    restored.save(tmp_path / "again.pt", identity)
    first, second = (torch.load(tmp_path / name, weights_only=True) for name in ("c.pt", "again.pt"))
    for part in ("network", "ends"):
        for one, other in zip(*(state[part] if part == "ends" else [state[part]] for state in (first, second)), strict=True):
            assert all(torch.equal(one[name], other[name]) for name in one)
    assert first["average"]["steps"] == second["average"]["steps"] == 10
    for one, other in zip(first["optimizers"], second["optimizers"], strict=True):
        assert one["state"].keys() == other["state"].keys()
        for name in one["state"]:
            assert all(torch.equal(one["state"][name][key], other["state"][name][key]) for key in one["state"][name])


def test_a_snapshot_is_a_copy(tmp_path: Path) -> None:
    """Training on leaves a snapshot's weights as they were."""
    state = TrainingState.initial(job(tmp_path / "c.pt"))
    snapshot = state.snapshot()
    before = snapshot["head.weight"].clone()
    with torch.no_grad():
        state.ema.network.head.weight.add_(1)
    assert torch.equal(before, snapshot["head.weight"])


def test_a_checkpoint_of_another_device_is_resumed(tmp_path: Path) -> None:
    """Hyperparameters that a checkpoint's optimizers had on another device are replaced by this device's."""
    file = tmp_path / "checkpoint.pt"
    straight, _ = trained(tmp_path / "straight.pt")
    interrupted(file)
    state = torch.load(file, weights_only=True)
    for optimizer in state["optimizers"]:
        for group in optimizer["param_groups"]:
            group["lr"] = torch.tensor(group["lr"])
            group["fused"] = True
    torch.save(state, file)
    resumed, _ = trained(file, resume=True)
    assert same_weights(straight, resumed)
