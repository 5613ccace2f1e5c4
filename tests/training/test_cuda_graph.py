"""Training steps captured as a CUDA graph do what eager steps do."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from training_helpers import PowerCutError, stop_after, train_network

from tagger.data.images import Images
from tagger.inference.torch_device import CPU
from tagger.models.config import NetworkConfig
from tagger.training import trainer
from tagger.training.recipe import Cycle, Optimizer, Recipe

CONFIG = NetworkConfig((8, 16), dropout=0.2, dense=(16,), family="plain")
RECIPE = Recipe((Cycle(2, warmup_steps=2), Cycle(1, warmup_steps=2, distillation=0.5)), batch_size=16)

RNG = torch.Generator().manual_seed(0)
IMAGES = Images(torch.randint(0, 256, (160, 1, 28, 28), dtype=torch.uint8, generator=RNG), torch.arange(160) % 10)

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def trained(file: Path, recipe: Recipe = RECIPE, resume: bool = False) -> dict[str, torch.Tensor]:
    """Return the weights after training on a GPU."""
    network, _ = train_network(recipe, CONFIG, IMAGES, IMAGES, file, resume=resume, device=torch.device("cuda"))
    return network.state_dict()


def distance(some: dict[str, torch.Tensor], others: dict[str, torch.Tensor]) -> float:
    """Return the greatest difference between weights."""
    return max((some[name].double() - others[name].double()).abs().max().item() for name in some)


@pytest.mark.parametrize("optimizer", ["muon", "sgd", "adam"])
def test_captured_steps_are_the_same_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, optimizer: Optimizer) -> None:
    """Captured and replayed steps end in the weights of eager ones, dropout and learning rates included."""
    recipe = replace(RECIPE, optimizer=optimizer, sgd_lr=0.01 if optimizer == "adam" else 0.1)
    captured = trained(tmp_path / "captured.pt", recipe)
    monkeypatch.setattr(trainer, "capture", lambda step: step)
    assert distance(captured, trained(tmp_path / "eager.pt", recipe)) < 1e-3


def test_captured_steps_resume(tmp_path: Path) -> None:
    """A training interrupted on a GPU resumes to where it would have ended."""
    straight = trained(tmp_path / "straight.pt")
    with pytest.raises(PowerCutError):
        train_network(RECIPE, CONFIG, IMAGES, IMAGES, tmp_path / "cut.pt", on_epoch=stop_after(1), device=torch.device("cuda"))
    assert distance(straight, trained(tmp_path / "cut.pt", resume=True)) < 1e-3


def test_a_gpu_sees_the_same_augmentations(tmp_path: Path) -> None:
    """The device changes how training is computed and not what is trained on: the first epoch's loss is nearly the same."""
    losses = []
    recipe, config = Recipe((Cycle(1, warmup_steps=2),), 16), NetworkConfig((8, 16))
    for device in (CPU, torch.device("cuda")):
        _, history = train_network(recipe, config, IMAGES, None, tmp_path / "c.pt", device=device)
        losses.append(history[0].loss)
    assert abs(losses[0] - losses[1]) < 0.05
