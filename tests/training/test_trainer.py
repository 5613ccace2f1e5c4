"""The training procedure on small made-up images: reproducible, resumable, and it learns."""
# ruff: noqa: SIM300 - what is expected stands first, as in every test here

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from training_helpers import (
    CONFIG,
    CYCLES,
    OTHERS,
    RECIPE,
    bars,
    interrupted,
    numbered_bars,
    numbers_of,
    same_weights,
    train_network,
    trained,
)

from tagger.errors import TrainingError
from tagger.training import trainer
from tagger.training.recipe import Cycle, Recipe

pytestmark = pytest.mark.usefixtures("one_thread")

DISTILLED = replace(RECIPE, cycles=(*CYCLES, Cycle(epochs=2, warmup_steps=2, distillation=0.6)))


def test_same_seed_same_weights(tmp_path: Path) -> None:
    """Training twice with one seed ends in identical weights and metrics."""
    first, first_metrics = trained(tmp_path / "first.pt")
    second, second_metrics = trained(tmp_path / "second.pt")
    assert same_weights(first, second)
    timeless = [[replace(metrics, seconds=0, seconds_left=0) for metrics in both] for both in (first_metrics, second_metrics)]
    assert timeless[0] == timeless[1]


def test_other_seed_other_weights(tmp_path: Path) -> None:
    """Another seed ends in other weights."""
    first, _ = trained(tmp_path / "first.pt")
    second, _ = trained(tmp_path / "second.pt", replace(RECIPE, seed=1))
    assert not same_weights(first, second)


@pytest.mark.parametrize("epoch", [1, 2, 3])
def test_resuming_ends_in_the_same_weights(tmp_path: Path, epoch: int) -> None:
    """Stopping after any epoch and resuming ends in the same weights and as many epochs' metrics as not stopping."""
    straight, _ = trained(tmp_path / "straight.pt")
    interrupted(tmp_path / "stopped.pt", epoch)
    resumed, history = trained(tmp_path / "stopped.pt", resume=True)
    assert same_weights(straight, resumed)
    assert [1, 2, 3] == [metrics.epoch for metrics in history]


def test_torchs_global_generator_does_not_matter(tmp_path: Path) -> None:
    """What was drawn before from torch's global generator changes neither a new training nor a resumed one."""
    straight, _ = trained(tmp_path / "straight.pt")
    torch.manual_seed(99)
    interrupted(tmp_path / "stopped.pt")
    torch.rand(5)
    resumed, _ = trained(tmp_path / "stopped.pt", resume=True)
    assert same_weights(straight, resumed)


@pytest.mark.parametrize("epoch", [3, 4])
def test_resuming_before_and_within_a_distilled_cycle(tmp_path: Path, epoch: int) -> None:
    """A training stopped before or within a cycle that distils earlier ones resumes to the same weights."""
    straight, _ = trained(tmp_path / "straight.pt", DISTILLED)
    interrupted(tmp_path / "stopped.pt", epoch, DISTILLED)
    resumed, _ = trained(tmp_path / "stopped.pt", DISTILLED, resume=True)
    assert same_weights(straight, resumed)


def test_resuming_with_easy_images(tmp_path: Path) -> None:
    """A training that skips easy images resumes to the same weights."""
    recipe = replace(RECIPE, cycles=(CYCLES[0], Cycle(3, warmup_steps=2, distillation=0.5, easy_keep_fraction=0.2)))
    straight, _ = trained(tmp_path / "straight.pt", recipe)
    interrupted(tmp_path / "stopped.pt", 3, recipe)
    resumed, _ = trained(tmp_path / "stopped.pt", recipe, resume=True)
    assert same_weights(straight, resumed)


def test_result_is_ready_for_use(tmp_path: Path) -> None:
    """The trained network is in evaluation mode, finite, and its metrics are in their ranges."""
    network, history = trained(tmp_path / "checkpoint.pt")
    assert not network.training
    assert all(torch.isfinite(tensor).all() for tensor in network.state_dict().values())
    assert all(0 <= metrics.held_out_accuracy <= 1 and metrics.loss > 0 and metrics.seconds > 0 for metrics in history)
    assert 0 == history[-1].seconds_left


@pytest.mark.slow
def test_training_learns(tmp_path: Path) -> None:
    """A few more epochs teach the network where the bars are: far beyond guessing's tenth."""
    cycle = Cycle(epochs=10, warmup_steps=5, cutout_probability=0.0)
    recipe = Recipe((cycle,), batch_size=16, ema_decay=0.8, shift=0)
    _, history = train_network(recipe, CONFIG, bars(240), bars(100, seed=1), tmp_path / "checkpoint.pt")
    assert history[-1].loss < history[0].loss
    assert history[-1].held_out_accuracy > 0.5


def test_learning_rates_rise_and_fall_in_every_cycle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In each cycle the learning rate climbs to at most that cycle's share of the recipe's and falls towards 0."""
    seen: list[float] = []
    step = trainer._train_step

    def spy(network: object, optimizers: list[torch.optim.Optimizer], *rest: object) -> Tensor:
        seen.append(optimizers[0].param_groups[0]["lr"] / RECIPE.sgd_lr)
        return step(network, optimizers, *rest)

    monkeypatch.setattr(trainer, "_train_step", spy)
    trained(tmp_path / "checkpoint.pt")
    assert 15 == len(seen)
    for cycle, rates in zip(CYCLES, (seen[:10], seen[10:]), strict=True):
        top = rates.index(max(rates))
        assert 0.5 * cycle.peak_lr_scale < rates[top] <= cycle.peak_lr_scale
        assert sorted(rates[: top + 1]) == rates[: top + 1]
        assert sorted(rates[top:], reverse=True) == rates[top:]
        assert rates[-1] <= rates[top] / 3


def test_constant_learning_rates_stay_at_their_peak(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A recipe with constant learning rates takes every step at the peak of its cycle, the first and the last alike."""
    seen: list[float] = []
    monkeypatch.setattr(trainer, "set_learning_rates", lambda optimizers, share: seen.append(share))
    trained(tmp_path / "checkpoint.pt", replace(RECIPE, constant_learning_rate=True))
    assert [1.0] * 10 + [0.5] * 5 == seen


def test_targets_go_with_their_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each image of a batch comes with its own target, in cycles with and without distillation."""
    images = numbered_bars()
    plain = Cycle(1, warmup_steps=1, cutout_probability=0.0)
    recipe = Recipe((plain, replace(plain, distillation=0.4)), 16, shift=0)
    seen: list[tuple[Tensor, Tensor]] = []
    step = trainer._train_step

    def spy(network: object, optimizers: object, pixels: Tensor, targets: Tensor, *rest: object) -> Tensor:
        seen.append((numbers_of(pixels), targets))
        return step(network, optimizers, pixels, targets, *rest)

    monkeypatch.setattr(trainer, "_train_step", spy)
    train_network(recipe, CONFIG, images, OTHERS, tmp_path / "checkpoint.pt")
    for numbers, targets in seen[:5]:
        assert torch.equal(numbers % 10, targets)
    for numbers, targets in seen[5:]:  # the labels are 0.6 of the targets, and so their greatest part
        assert torch.equal(numbers % 10, targets.argmax(1))


def test_patience_ends_with_the_best_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Training ends once the held-out loss has not fallen for so long, with the best epoch's weights, resumed or not."""
    losses = [0.9, 0.5, 0.7, 0.6, 0.1]
    weights = []

    def measure(network: nn.Module, *_: object) -> tuple[float, float]:
        weights.append({name: tensor.clone() for name, tensor in network.state_dict().items()})
        return 0.5, losses[len(weights) - 1]

    monkeypatch.setattr(trainer, "_measure", measure)
    recipe = Recipe((Cycle(epochs=5),), batch_size=20, patience=2)
    network, history = train_network(recipe, CONFIG, bars(60), bars(20), tmp_path / "checkpoint.pt")
    assert 4 == len(history)
    again, _ = train_network(recipe, CONFIG, bars(60), bars(20), tmp_path / "checkpoint.pt", resume=True)
    for result in (network, again):
        assert all(torch.equal(tensor, weights[1][name]) for name, tensor in result.state_dict().items())


def test_patience_needs_held_out_images(tmp_path: Path) -> None:
    """Early stopping without held-out images is refused before any epoch, in one sentence that names the options."""
    with pytest.raises(TrainingError, match=r"^--patience needs held-out images.*--calibrated-by.*\.$"):
        train_network(replace(RECIPE, patience=1), CONFIG, bars(60), None, tmp_path / "checkpoint.pt")
    assert [] == list(tmp_path.iterdir())


def test_balanced_classes_weigh_the_same() -> None:
    """Every class that occurs weighs as much as another one, and an image 1 on average."""
    labels = torch.tensor([0] * 6 + [1] * 3 + [3])
    weights = trainer.balanced_class_weights(labels, 4)[labels]
    assert 1 == pytest.approx(weights.mean().item())
    assert torch.allclose(torch.full((3,), 10 / 3), torch.stack([weights[labels == label].sum() for label in (0, 1, 3)]))


def test_class_weights_go_with_their_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A balanced recipe gives every step the weights of its images' classes; another one gives none."""
    images = replace(numbered_bars(), labels=(torch.arange(80) % 4 == 0).long())  # weights 2 and 2/3
    seen: list[tuple[Tensor, Tensor | None]] = []

    def spy(network: object, optimizers: object, pixels: Tensor, *rest: Tensor) -> Tensor:
        seen.append((numbers_of(pixels), rest[-1]))
        return torch.tensor(1.0)

    monkeypatch.setattr(trainer, "_train_step", spy)
    for balanced in (True, False):
        recipe = Recipe((Cycle(1, cutout_probability=0.0),), 16, shift=0, class_weighted=balanced)
        train_network(recipe, CONFIG, images, OTHERS, tmp_path / "checkpoint.pt")
    for numbers, weights in seen[:5]:
        assert weights is not None
        assert torch.allclose(torch.where(numbers % 4 == 0, 2.0, 2 / 3), weights)
    assert [None] * 5 == [weights for _, weights in seen[5:]]


def test_too_few_images(tmp_path: Path) -> None:
    """Fewer images than a batch holds are refused in one sentence; as many are a step."""
    with pytest.raises(TrainingError, match=r"^A batch of 81 needs .* an epoch has 80; lower --batch-size\.$"):
        trained(tmp_path / "checkpoint.pt", replace(RECIPE, batch_size=81))
    _, history = trained(tmp_path / "checkpoint.pt", replace(RECIPE, batch_size=80))
    assert 3 == len(history)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_diverging_loss_ends_training(tmp_path: Path) -> None:
    """Training whose loss is no longer a number ends in one sentence instead of publishing such weights."""
    with pytest.raises(TrainingError, match="no longer a number"):
        trained(tmp_path / "checkpoint.pt", replace(RECIPE, sgd_lr=1e30))


def test_time_left_grows_with_the_images_side() -> None:
    """An epoch at full side counts as much more than one at a small side as it has more pixels."""
    recipe = Recipe((Cycle(3, low_resolution_epochs=1, low_resolution=14),))
    assert [8.0, 1.0, 0.0] == [trainer._seconds_left(epoch, 1.0, recipe) for epoch in range(3)]
