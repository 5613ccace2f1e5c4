"""Soft targets from teachers and earlier cycles, and the images that they are sure of."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from training_helpers import CONFIG, CYCLES, PICTURES, RECIPE, random_network, trained

from tagger.models.config import NetworkConfig
from tagger.models.network import Network
from tagger.training import distillation, trainer
from tagger.training.distillation import SURE, distillation_targets
from tagger.training.recipe import Cycle, Recipe

pytestmark = pytest.mark.usefixtures("one_thread")


def targets_of(file: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch, teachers: Sequence[Network] = ()) -> list[Tensor]:
    """Train, and return the targets of every cycle."""
    given: list[Tensor] = []

    def spy(*arguments: object) -> tuple[Tensor, Tensor]:
        targets, easy = distillation_targets(*arguments)
        given.append(targets)
        return targets, easy

    monkeypatch.setattr(trainer, "distillation_targets", spy)
    trained(file, recipe, teachers=teachers)
    return given


def test_a_cycle_distils_the_earlier_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its targets mix the labels with what the ends of earlier cycles predict for image and mirror image."""
    recipe = replace(RECIPE, cycles=(*CYCLES, Cycle(epochs=1, warmup_steps=2, distillation=0.6)))
    *plain, distilled = targets_of(tmp_path / "checkpoint.pt", recipe, monkeypatch)
    assert all(torch.equal(PICTURES.labels, targets) for targets in plain)

    predicted = torch.zeros(80, 10)
    for end in torch.load(tmp_path / "checkpoint.pt", weights_only=True)["ends"][:2]:
        network = Network(CONFIG).eval()
        network.load_state_dict(end)
        with torch.inference_mode():
            predicted += network(PICTURES.pixels).softmax(1) / 4 + network(PICTURES.pixels.flip(3)).softmax(1) / 4
    labels = torch.nn.functional.one_hot(PICTURES.labels, 10)
    assert torch.allclose(0.4 * labels + 0.6 * predicted, distilled, atol=1e-5)


def test_teachers_are_distilled_as_an_ensemble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Targets mix the labels with the mean of what all teachers predict for image and mirror image."""
    teachers = [random_network(), random_network(NetworkConfig(widths=(8,)))]
    recipe = Recipe((Cycle(1, warmup_steps=2, distillation=0.25),), batch_size=16, teachers=("one", "other"))
    (given,) = targets_of(tmp_path / "checkpoint.pt", recipe, monkeypatch, teachers)
    with torch.inference_mode():
        views = [teacher(some).softmax(1) for teacher in teachers for some in (PICTURES.pixels, PICTURES.pixels.flip(3))]
    labels = torch.nn.functional.one_hot(PICTURES.labels, 10)
    assert torch.allclose(0.75 * labels + 0.25 * torch.stack(views).mean(0), given, atol=1e-5)


def test_images_that_teachers_are_sure_of_are_easy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Easy are images whose label gets a probability of at least `SURE`, not those with another sure prediction."""
    predicted = torch.full((80, 10), 0.001)
    predicted[torch.arange(80), PICTURES.labels] = SURE
    predicted[:20] = predicted[:20].roll(1, dims=1)  # sure of another label
    predicted[20:40, :] = SURE - 1e-3
    monkeypatch.setattr(distillation, "flip_averaged_probabilities", lambda network, pixels: predicted)
    for share, count in ((1.0, 0), (0.5, 40)):
        targets, easy = distillation_targets(PICTURES, Cycle(1, easy_keep_fraction=share), [random_network()])
        assert count == easy.sum()
        assert not easy[:40].any()
        assert torch.equal(PICTURES.labels, targets)


def test_a_mix_has_targets_of_its_own() -> None:
    """Without distillation the targets of a mix are the ones that it came with."""
    own = torch.rand(80, 10)
    targets, easy = distillation_targets(replace(PICTURES, targets=own), Cycle(1), [])
    assert targets is own
    assert not easy.any()
