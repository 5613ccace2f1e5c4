"""Training on another device: the same steps, recorded; and the averages that are kept beside them."""
# ruff: noqa: SIM300 - what is expected stands first, as in every test here

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from tagger.data.images import Images
from tagger.errors import DeviceError
from tagger.inference.device import CPU, training_device
from tagger.models.config import NetworkConfig
from tagger.training import trainer as recipe_room
from tagger.training.ema import WeightEMA
from tagger.training.recipe import Cycle, Recipe
from tagger.training.trainer import EpochMetrics, train

CONFIG = NetworkConfig((8, 16), dropout=0.2, dense=(16,), family="plain")
RECIPE = Recipe((Cycle(2, warmup_steps=2), Cycle(1, warmup_steps=2, distillation=0.5)), batch_size=16)

on_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")

CHANCE = torch.Generator().manual_seed(0)
PICTURES = Images(torch.randint(0, 256, (160, 1, 28, 28), dtype=torch.uint8, generator=CHANCE), torch.arange(160) % 10)


def trained(file: Path, device: torch.device, recipe: Recipe = RECIPE, resume: bool = False) -> dict[str, torch.Tensor]:
    """Return the weights that training ends with."""
    network, _ = train(recipe, CONFIG, PICTURES, PICTURES, file, resume, device=device)
    return network.state_dict()


def apart(some: dict[str, torch.Tensor], others: dict[str, torch.Tensor]) -> float:
    """Return the greatest difference between weights."""
    return max((some[name].double() - others[name].double()).abs().max().item() for name in some)


def test_the_average_is_torchs_own() -> None:
    """Weights and running statistics are averaged as torch does it, the counters taken over, from the first step on."""
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    own = WeightEMA(network, 0.9)
    theirs = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    for step in range(120):  # until the share of the old is the told one in both
        network(torch.randn(8, 3)).square().sum().backward()
        optimizer.step()
        own.update()
        if step == 99:
            theirs.module.load_state_dict(own.network.state_dict())
            theirs.n_averaged.fill_(100)
        elif step > 99:
            theirs.update_parameters(network)
    assert 120 == own.network[1].num_batches_tracked
    theirs.module[1].num_batches_tracked.fill_(120)  # torch averages counters too
    assert apart(own.network.state_dict(), theirs.module.state_dict()) < 1e-6


def test_the_first_weights_are_soon_forgotten() -> None:
    """The average begins with the first step's weights, and weighs a step by how few there have been."""
    network = nn.Linear(1, 1, bias=False)
    average = WeightEMA(network, 0.999)
    seen = []
    for value in (1.0, 2.0, 3.0):
        nn.init.constant_(network.weight, value)
        average.update()
        seen.append(average.network.weight.item())
    assert pytest.approx([1.0, 1 + 9 / 11, 1 + 9 / 11 + 9 / 12 * (2 - 9 / 11)]) == seen


def test_a_device_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """Without a GPU, training on one ends in a sentence before anything is read, and "auto" takes the processor."""
    if torch.cuda.is_available():
        pytest.skip("there is one")
    assert CPU == training_device("auto")
    with pytest.raises(DeviceError, match="no cuda device"):
        training_device("cuda")
    command = [sys.executable, "-m", "tagger", "retrain", "--device", "cuda", "--out", tmp_path / "out"]
    told = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (1, "") == (told.returncode, told.stdout)
    assert told.stderr.startswith("Error: This machine has no cuda device")
    assert 1 == len(told.stderr.splitlines())
    assert not (tmp_path / "out").exists()


@on_cuda
@pytest.mark.parametrize("optimizer", ["muon", "sgd", "adam"])
def test_recorded_steps_are_the_same_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, optimizer: str) -> None:
    """On a GPU, steps that are recorded and replayed lead where plain ones do, dropout and learning rates included."""
    recipe = replace(RECIPE, optimizer=optimizer, sgd_lr=0.01 if optimizer == "adam" else 0.1)
    recorded = trained(tmp_path / "recorded.pt", torch.device("cuda"), recipe)
    monkeypatch.setattr(recipe_room, "capture", lambda step: step)
    assert apart(recorded, trained(tmp_path / "plain.pt", torch.device("cuda"), recipe)) < 1e-3


@on_cuda
def test_going_on_with_recorded_steps(tmp_path: Path) -> None:
    """On a GPU, training that was interrupted goes on to where it would have come."""
    straight = trained(tmp_path / "straight.pt", torch.device("cuda"))

    def stop(figures: EpochMetrics) -> None:
        if figures.epoch == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(RECIPE, CONFIG, PICTURES, PICTURES, tmp_path / "cut.pt", report=stop, device=torch.device("cuda"))
    assert apart(straight, trained(tmp_path / "cut.pt", torch.device("cuda"), resume=True)) < 1e-3


@on_cuda
def test_a_gpu_sees_the_same_views(tmp_path: Path) -> None:
    """The device changes how training is computed and not what is learnt: the first epoch's loss is nearly the same."""
    losses = []
    for device in (CPU, torch.device("cuda")):
        _, history = train(
            Recipe((Cycle(1, warmup_steps=2),), 16), NetworkConfig((8, 16)), PICTURES, None, tmp_path / "c.pt", device=device
        )
        losses.append(history[0].loss)
    assert abs(losses[0] - losses[1]) < 0.05


def test_a_checkpoint_goes_on_elsewhere(tmp_path: Path) -> None:
    """What an optimizer was told of the device that a checkpoint is from is not believed on another one."""
    file = tmp_path / "checkpoint.pt"

    def stop(figures: EpochMetrics) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(RECIPE, CONFIG, PICTURES, None, file, report=stop)
    straight, _ = train(RECIPE, CONFIG, PICTURES, None, tmp_path / "straight.pt")
    state = torch.load(file, weights_only=True)
    for optimizer in state["optimizers"]:
        for group in optimizer["param_groups"]:
            group["lr"] = torch.tensor(group["lr"])
            group["fused"] = True
    torch.save(state, file)
    resumed, _ = train(RECIPE, CONFIG, PICTURES, None, file, resume=True)
    assert 0.0 == apart(straight.state_dict(), resumed.state_dict())
