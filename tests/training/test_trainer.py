"""Training on small made-up pictures, the calibration, the figures and the data set's reader."""
# ruff: noqa: SIM300 - what is expected stands first, as in every test here

import gzip
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchmetrics.classification import MulticlassCalibrationError
from training_helpers import (
    CONFIG,
    CYCLES,
    OTHERS,
    PICTURES,
    RECIPE,
    PowerCutError,
    bars,
    interrupted,
    same_weights,
    stop_after,
    trained,
)

from tagger.data.fashion_mnist import fashion_mnist_checksums, load_fashion_mnist
from tagger.data.images import Images
from tagger.data.splits import VALIDATION_IMAGES, validation_split
from tagger.errors import DatasetError, TrainingError
from tagger.metrics.calibration import BINS, calibration_error, fit_temperature, reliability_table, threshold_at_precision
from tagger.metrics.classification import NO_TAG, auroc, classification_report, coverage_table
from tagger.metrics.significance import bootstrap_interval, macro_accuracy, macro_bootstrap_interval
from tagger.models.config import NetworkConfig
from tagger.models.network import Network
from tagger.models.summary import count_macs, count_parameters
from tagger.training import distillation
from tagger.training import trainer as recipe_room
from tagger.training.muon import Muon, orthogonalise
from tagger.training.optimizers import build_optimizers
from tagger.training.recipe import Cycle, Optimizer, Recipe
from tagger.training.recipes import RESIDUAL, recipe_of
from tagger.training.trainer import _class_weights, train

LABELS = tuple("abcdefghij")


pytestmark = pytest.mark.usefixtures("one_thread")


PACKED = gzip.compress(bytes(5000))


def refusal(checkpoint: Path, recipe: Recipe = RECIPE, config: NetworkConfig = CONFIG) -> str:
    """Return the one clear sentence with which resuming is refused."""
    with pytest.raises(TrainingError) as caught:
        train(recipe, config, PICTURES, OTHERS, checkpoint, resume=True)
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(".")
    return message


# The same again


def test_same_seed_same_weights(tmp_path: Path) -> None:
    """Training twice with one seed ends in identical weights and figures."""
    first, first_figures = trained(tmp_path / "first.pt")
    second, second_figures = trained(tmp_path / "second.pt")
    assert same_weights(first, second)
    timeless = [[replace(figures, seconds=0, seconds_left=0) for figures in both] for both in (first_figures, second_figures)]
    assert timeless[0] == timeless[1]


def test_other_seed_other_weights(tmp_path: Path) -> None:
    """Another seed ends in other weights."""
    first, _ = trained(tmp_path / "first.pt")
    second, _ = trained(tmp_path / "second.pt", replace(RECIPE, seed=1))
    assert not same_weights(first, second)


@pytest.mark.parametrize("epoch", [1, 2, 3])
def test_resuming_ends_in_the_same_weights(tmp_path: Path, epoch: int) -> None:
    """Stopping after any epoch and resuming ends in the same weights and as many figures as not stopping."""
    straight, _ = trained(tmp_path / "straight.pt")
    interrupted(tmp_path / "stopped.pt", epoch)
    resumed, figures = trained(tmp_path / "stopped.pt", resume=True)
    assert same_weights(straight, resumed)
    assert [1, 2, 3] == [each.epoch for each in figures]


def test_resuming_does_not_hang_on_torchs_own_seed(tmp_path: Path) -> None:
    """What was drawn before from torch's global generator changes neither a new training nor a resumed one."""
    straight, _ = trained(tmp_path / "straight.pt")
    torch.manual_seed(99)
    interrupted(tmp_path / "stopped.pt")
    torch.rand(5)
    resumed, _ = trained(tmp_path / "stopped.pt", resume=True)
    assert same_weights(straight, resumed)


def test_result_is_ready_for_use(tmp_path: Path) -> None:
    """The trained network is in evaluation mode, finite, and its figures are in their ranges."""
    network, figures = trained(tmp_path / "checkpoint.pt")
    assert not network.training
    assert all(torch.isfinite(tensor).all() for tensor in network.state_dict().values())
    assert all(0 <= each.held_out_accuracy <= 1 and each.loss > 0 and each.seconds > 0 for each in figures)
    assert 0 == figures[-1].seconds_left


def test_training_learns(tmp_path: Path) -> None:
    """A few more epochs on pictures with bars teach the network where the bars are: far beyond guessing's tenth."""
    cycle = Cycle(epochs=10, warmup_steps=5, cutout_probability=0.0)
    recipe = Recipe((cycle,), batch_size=16, ema_decay=0.8, shift=0)
    _, figures = train(recipe, CONFIG, bars(240), bars(100, seed=1), tmp_path / "checkpoint.pt")
    assert figures[-1].loss < figures[0].loss
    assert figures[-1].held_out_accuracy > 0.5


# The optimizer


def test_muon_moves_each_weight_as_if_it_were_alone() -> None:
    """Weights of one shape are moved together, each as by itself, and all are held at the norm sqrt(output channels)."""
    torch.manual_seed(0)
    shapes = [(16, 8, 3, 3), (8, 16, 3, 3), (16, 8, 3, 3), (16, 16, 1, 1), (16, 8, 3, 3)]
    together = [nn.Parameter(torch.randn(shape)) for shape in shapes]
    alone = [nn.Parameter(weight.detach().clone()) for weight in together]
    optimizers = [Muon(together, lr=0.05), *(Muon([weight], lr=0.05) for weight in alone)]
    for _ in range(3):
        for one, other in zip(together, alone, strict=True):
            one.grad = torch.randn_like(one)
            other.grad = one.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
    for one, other in zip(together, alone, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5)
        assert abs(one.norm().item() / len(one) ** 0.5 - 1) < 0.1


def test_muon_makes_singular_values_alike() -> None:
    """The step's matrices are nearly orthogonal, tall and wide ones, however uneven the gradient."""
    torch.manual_seed(0)
    for shape in ((2, 8, 30), (2, 30, 8)):
        values = torch.linalg.svdvals(orthogonalise(torch.randn(shape) * torch.linspace(0.2, 5, shape[2]), 5))
        assert 0.6 < values.min() < values.max() < 1.3


@pytest.mark.parametrize(("optimizer", "names"), [("muon", ["SGD", "Muon"]), ("sgd", ["SGD"]), ("adam", ["Adam"])])
def test_every_weight_has_an_optimizer(optimizer: Optimizer, names: list[str]) -> None:
    """Whichever optimizers a recipe names, each weight is moved by just one of them."""
    network = Network(CONFIG)
    optimizers = build_optimizers(network, replace(RECIPE, optimizer=optimizer))
    moved = [id(weight) for each in optimizers for group in each.param_groups for weight in group["params"]]
    assert names == [type(each).__name__ for each in optimizers]
    assert sorted(moved) == sorted(id(weight) for weight in network.parameters())


# The schedule


def test_epochs_belong_to_their_cycles() -> None:
    """Each epoch belongs to one cycle, in their order, and none lies beyond the last."""
    assert 3 == RECIPE.epochs
    assert [(CYCLES[0], 0), (CYCLES[0], 0), (CYCLES[1], 2)] == [RECIPE.cycle_at(epoch) for epoch in range(3)]
    with pytest.raises(IndexError):
        RECIPE.cycle_at(3)


def test_learning_rates_rise_and_fall_in_every_cycle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In each cycle the learning rate climbs to at most that cycle's share of the recipe's and falls towards 0."""
    seen: list[float] = []
    step = recipe_room._train_step

    def spy(network: object, optimizers: list[torch.optim.Optimizer], *rest: object) -> Tensor:
        seen.append(optimizers[0].param_groups[0]["lr"] / RECIPE.sgd_lr)
        return step(network, optimizers, *rest)

    monkeypatch.setattr(recipe_room, "_train_step", spy)
    trained(tmp_path / "checkpoint.pt")
    assert 15 == len(seen)
    for cycle, rates in zip(CYCLES, (seen[:10], seen[10:]), strict=True):
        top = rates.index(max(rates))
        assert 0.5 * cycle.peak_lr_scale < rates[top] <= cycle.peak_lr_scale
        assert sorted(rates[: top + 1]) == rates[: top + 1]
        assert sorted(rates[top:], reverse=True) == rates[top:]
        assert rates[-1] <= rates[top] / 3


# What later cycles learn from earlier ones


TAUGHT = replace(RECIPE, cycles=(*CYCLES, Cycle(epochs=2, warmup_steps=2, distillation=0.6)))


def lessons(file: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch, teachers: Sequence[Network] = ()) -> list[Tensor]:
    """Train, and return the targets of every cycle."""
    given: list[Tensor] = []
    make = distillation.distillation_targets

    def spy(*arguments: object) -> tuple[Tensor, Tensor]:
        targets, easy = make(*arguments)
        given.append(targets)
        return targets, easy

    monkeypatch.setattr(recipe_room, "distillation_targets", spy)
    trained(file, recipe, teachers=teachers)
    return given


def test_a_taught_cycle_learns_from_the_earlier_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its targets are the labels and what the earlier cycles' ends say of picture and mirror image, in the told shares."""
    *plain, taught = lessons(tmp_path / "checkpoint.pt", TAUGHT, monkeypatch)
    assert all(torch.equal(PICTURES.labels, targets) for targets in plain)

    said = torch.zeros(80, 10)
    for end in torch.load(tmp_path / "checkpoint.pt", weights_only=True)["ends"][:2]:
        network = Network(CONFIG).eval()
        network.load_state_dict(end)
        with torch.inference_mode():
            said += network(PICTURES.pixels).softmax(1) / 4 + network(PICTURES.pixels.flip(3)).softmax(1) / 4
    labels = torch.nn.functional.one_hot(PICTURES.labels, 10)
    assert torch.allclose(0.4 * labels + 0.6 * said, taught, atol=1e-5)


def test_targets_go_with_their_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each picture of a batch comes with its own target, in plain cycles and in taught ones."""
    marked = Images(bars(80).pixels, torch.arange(80) % 10)
    marked.pixels[:, 0, 0, 27] = 0
    marked.pixels[:, 0, 0, 0] = torch.arange(80, dtype=torch.uint8)
    recipe = Recipe(
        (Cycle(1, warmup_steps=1, cutout_probability=0.0), Cycle(1, warmup_steps=1, cutout_probability=0.0, distillation=0.4)),
        16,
        shift=0,
    )
    seen: list[tuple[Tensor, Tensor]] = []
    step = recipe_room._train_step

    def spy(network: object, optimizers: object, pixels: Tensor, targets: Tensor, *rest: object) -> Tensor:
        seen.append((pixels[:, 0, 0, [0, 27]].amax(1).long(), targets))  # one of both is the mark, the other 0
        return step(network, optimizers, pixels, targets, *rest)

    monkeypatch.setattr(recipe_room, "_train_step", spy)
    train(recipe, CONFIG, marked, OTHERS, tmp_path / "checkpoint.pt")
    for numbers, targets in seen[:5]:
        assert torch.equal(numbers % 10, targets)
    for numbers, targets in seen[5:]:  # the labels are 0.6 of what is taught, and so its greatest part
        assert torch.equal(numbers % 10, targets.argmax(1))


def test_easy_pictures_are_seen_less() -> None:
    """An epoch sees every picture that is not easy, and the told share of the easy ones, another one each time."""
    easy = torch.arange(80) >= 40
    recipe = Recipe((Cycle(40, easy_keep_fraction=0.25),), batch_size=5, teachers=("one",))
    seen = [torch.cat([chosen for _, chosen in recipe_room._batches(PICTURES, recipe, epoch, easy)]) for epoch in range(40)]
    for numbers in seen:
        assert 50 == len(numbers) == len(numbers.unique())
        assert set(range(40)) <= set(numbers.tolist())
    assert set(range(80)) == set(torch.cat(seen).tolist())
    counts = torch.cat(seen).bincount()[40:]
    assert counts.max() < 25  # each is seen ten times on average


def test_what_a_teacher_is_sure_of_is_easy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Easy are the pictures whose label the teachers give the probability of `SURE`, not those that they mistake."""
    said = torch.full((80, 10), 0.001)
    said[torch.arange(80), PICTURES.labels] = 0.991
    said[:20] = said[:20].roll(1, dims=1)  # sure of another label
    said[20:40] = 0.1
    monkeypatch.setattr(distillation, "flip_averaged_probabilities", lambda network, pixels: said)
    for share, count in ((1.0, 0), (0.5, 40)):
        targets, easy = distillation.distillation_targets(PICTURES, Cycle(1, easy_keep_fraction=share), [beginning()])
        assert count == easy.sum()
        assert not easy[:40].any()
        assert torch.equal(PICTURES.labels, targets)


def test_resuming_with_easy_pictures(tmp_path: Path) -> None:
    """A training that sees easy pictures less resumes to the same weights as one that did not stop."""
    recipe = replace(RECIPE, cycles=(CYCLES[0], Cycle(3, warmup_steps=2, distillation=0.5, easy_keep_fraction=0.2)))
    straight, _ = trained(tmp_path / "straight.pt", recipe)
    interrupted(tmp_path / "stopped.pt", 3, recipe)
    resumed, _ = trained(tmp_path / "stopped.pt", recipe, resume=True)
    assert same_weights(straight, resumed)


@pytest.mark.parametrize("epoch", [3, 4])
def test_resuming_before_and_within_a_taught_cycle(tmp_path: Path, epoch: int) -> None:
    """A training that stopped before or within a taught cycle resumes to the same weights as one that did not."""
    straight, _ = trained(tmp_path / "straight.pt", TAUGHT)
    interrupted(tmp_path / "stopped.pt", epoch, TAUGHT)
    resumed, _ = trained(tmp_path / "stopped.pt", TAUGHT, resume=True)
    assert same_weights(straight, resumed)


def test_patience_ends_with_the_best_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Training ends when the held-out loss has not fallen for so long, with the best epoch's weights, resumed or not."""
    losses = [0.9, 0.5, 0.7, 0.6, 0.1]
    weights = []

    def measured(network: nn.Module, *_: object) -> tuple[float, float]:
        weights.append({name: tensor.clone() for name, tensor in network.state_dict().items()})
        return 0.5, losses[len(weights) - 1]

    monkeypatch.setattr("tagger.training.trainer._measure", measured)
    recipe = Recipe((Cycle(epochs=5),), batch_size=20, patience=2)
    network, history = train(recipe, CONFIG, bars(60), bars(20), tmp_path / "checkpoint.pt")
    assert 4 == len(history)
    again, _ = train(recipe, CONFIG, bars(60), bars(20), tmp_path / "checkpoint.pt", resume=True)
    for some in (network, again):
        assert all(torch.equal(tensor, weights[1][name]) for name, tensor in some.state_dict().items())


def test_balanced_classes_weigh_the_same() -> None:
    """Every class that occurs weighs as much as another one, and a picture 1 on average."""
    labels = torch.tensor([0] * 6 + [1] * 3 + [3])
    weights = _class_weights(labels, 4)[labels]
    assert 1 == pytest.approx(weights.mean().item())
    assert torch.allclose(torch.full((3,), 10 / 3), torch.stack([weights[labels == label].sum() for label in (0, 1, 3)]))


def test_another_length_is_one_cycle() -> None:
    """The recipe in another length is a single cycle of it; in its own length it is the recipe itself."""
    whole = recipe_of("residual")
    assert RESIDUAL == whole.cycles
    assert whole == recipe_of("residual", whole.epochs)
    short = recipe_of("residual", 5, seed=7)
    assert (5, 1, 7) == (short.epochs, len(short.cycles), short.seed)


def test_a_named_teacher_teaches_every_cycle() -> None:
    """Where bundles are named to learn from, all cycles do; tiny has one without being told."""
    taught = recipe_of("residual", teachers=("mine",))
    assert ("mine",) == taught.teachers
    assert all(cycle.distillation for cycle in taught.cycles)
    assert ("residual",) == recipe_of("tiny").teachers
    assert ("mine", "yours") == recipe_of("tiny", 3, teachers=("mine", "yours")).teachers


def test_teachers_are_learnt_from_as_an_ensemble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The targets are the labels and the mean of what all teachers say of picture and mirror image, in the told shares."""
    teachers = [beginning(), beginning(NetworkConfig(widths=(8,)))]
    recipe = Recipe((Cycle(1, warmup_steps=2, distillation=0.25),), batch_size=16, teachers=("one", "other"))
    (given,) = lessons(tmp_path / "checkpoint.pt", recipe, monkeypatch, teachers)
    with torch.inference_mode():
        views = [teacher(some).softmax(1) for teacher in teachers for some in (PICTURES.pixels, PICTURES.pixels.flip(3))]
    labels = torch.nn.functional.one_hot(PICTURES.labels, 10)
    assert torch.allclose(0.75 * labels + 0.25 * torch.stack(views).mean(0), given, atol=1e-5)


# Two heads, and a network to begin with


TWO_HEADS = replace(CONFIG, photo_classes=11)
GENTLE = Recipe((Cycle(epochs=2, warmup_steps=2, cutout_probability=0.0),), batch_size=16, weight_decay=0.0)


def beginning(config: NetworkConfig = CONFIG) -> Network:
    """Return a network that knows something: its weights and norms are not those that training begins with by itself."""
    torch.manual_seed(12)
    network = Network(config)
    torch.nn.init.normal_(network.head.weight)
    network.train()(PICTURES.pixels)
    return network.eval()


def mixed(shares: float = 0.5) -> Images:
    """Return pictures of which a share stands for photos, where a class is the next one, and some are of none of them."""
    photo = torch.arange(80) >= 80 * (1 - shares)
    labels = torch.where(photo, (PICTURES.labels + 1) % 11, PICTURES.labels)
    return Images(PICTURES.pixels, labels, torch.nn.functional.one_hot(labels, 11).float(), photo)


def first_step(start: Network, config: NetworkConfig, file: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Tensor, Tensor]:
    """Return the logits of both heads for pictures as training begins."""
    seen: list[tuple[Tensor, Tensor]] = []
    step = recipe_room._train_step

    def spy(network: Network, *rest: object) -> Tensor:
        if not seen:
            with torch.no_grad():
                seen.append((network.eval()(OTHERS.pixels), network.photo_logits(OTHERS.pixels)))
            network.train()
        return step(network, *rest)

    monkeypatch.setattr(recipe_room, "_train_step", spy)
    train(GENTLE, config, mixed(), OTHERS, file, start=start)
    return seen[0]


def test_training_begins_with_the_starts_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the first step both heads say of the classes that the start knows just what the start says; none is unlikely."""
    start = beginning()
    native, photo = first_step(start, TWO_HEADS, tmp_path / "checkpoint.pt", monkeypatch)
    with torch.no_grad():
        said = start(OTHERS.pixels)
    assert torch.allclose(said, native, atol=1e-4)
    assert torch.allclose(said, photo[:, :10], atol=1e-4)
    assert (-2.0 == photo[:, 10]).all()


def test_training_begins_with_both_heads_of_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A start that has a head for photos gives that as well."""
    start = beginning(TWO_HEADS)
    native, photo = first_step(start, TWO_HEADS, tmp_path / "checkpoint.pt", monkeypatch)
    with torch.no_grad():
        assert torch.allclose(start(OTHERS.pixels), native, atol=1e-4)
        assert torch.allclose(start.photo_logits(OTHERS.pixels), photo, atol=1e-4)


def test_the_start_is_left_alone(tmp_path: Path) -> None:
    """Training from a network leaves that network's weights as they were."""
    start = beginning()
    before = {name: tensor.clone() for name, tensor in start.state_dict().items()}
    train(GENTLE, TWO_HEADS, mixed(), OTHERS, tmp_path / "checkpoint.pt", start=start)
    assert all(torch.equal(before[name], tensor) for name, tensor in start.state_dict().items())


@pytest.mark.parametrize(("share", "untouched"), [(0.0, "photo_head"), (1.0, "head")])
def test_a_head_without_pictures_of_its_kind_learns_nothing(tmp_path: Path, share: float, untouched: str) -> None:
    """Where no picture is of its kind, a head ends as it began, while the other one learns."""
    start = beginning(TWO_HEADS)
    network, _ = train(GENTLE, TWO_HEADS, mixed(share), OTHERS, tmp_path / "checkpoint.pt", start=start)
    for name in ("head", "photo_head"):
        before, after = getattr(start, name), getattr(network, name)
        same = torch.equal(before.weight, after.weight) and torch.equal(before.bias, after.bias)
        assert same == (name == untouched)


def gradients(targets: Tensor, photo: Tensor) -> dict[str, Tensor]:
    """Return the heads' gradients of one step."""
    network = beginning(TWO_HEADS)
    recipe_room._train_step(network.train(), [], PICTURES.pixels, targets, Cycle(1), photo)
    return {name: getattr(network, name).weight.grad for name in ("head", "photo_head")}


def test_each_head_learns_from_its_kind_alone() -> None:
    """Photos with other labels teach the first head nothing else, and other labels of Fashion-MNIST the second nothing else."""
    pictures = mixed()
    assert pictures.targets is not None
    assert pictures.photo is not None
    before = gradients(pictures.targets, pictures.photo)
    for kind, other in ((pictures.photo, "head"), (~pictures.photo, "photo_head")):
        targets = torch.where(kind[:, None], pictures.targets.roll(3, dims=1), pictures.targets)
        after = gradients(targets, pictures.photo)
        assert [other] == [name for name in before if torch.equal(before[name], after[name])]


def test_targets_of_a_mix_are_what_is_learnt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each picture of a batch comes with its own targets and its own kind."""
    pictures = mixed(0.3)
    pictures.pixels[:, 0, 0, 27] = 0
    pictures.pixels[:, 0, 0, 0] = torch.arange(80, dtype=torch.uint8)
    seen: list[tuple[Tensor, Tensor, Tensor]] = []
    step = recipe_room._train_step

    def spy(network: object, optimizers: object, pixels: Tensor, targets: Tensor, cycle: Cycle, *kind: Tensor) -> Tensor:
        seen.append((pixels[:, 0, 0, [0, 27]].amax(1).long(), targets, kind[0]))
        return step(network, optimizers, pixels, targets, cycle, *kind)

    monkeypatch.setattr(recipe_room, "_train_step", spy)
    train(replace(GENTLE, shift=0), TWO_HEADS, pictures, OTHERS, tmp_path / "checkpoint.pt", start=beginning())
    assert 10 == len(seen)
    for numbers, targets, photo in seen:
        assert torch.equal(pictures.targets[numbers], targets)
        assert torch.equal(pictures.photo[numbers], photo)


def test_resuming_with_two_heads_ends_in_the_same_weights(tmp_path: Path) -> None:
    """A training of two heads that stopped resumes to the same weights as one that did not; it need not begin anew."""
    straight, _ = train(GENTLE, TWO_HEADS, mixed(), OTHERS, tmp_path / "straight.pt", start=beginning())
    with pytest.raises(PowerCutError):
        train(GENTLE, TWO_HEADS, mixed(), OTHERS, tmp_path / "stopped.pt", report=stop_after(1), start=beginning())
    resumed, _ = train(GENTLE, TWO_HEADS, mixed(), OTHERS, tmp_path / "stopped.pt", resume=True, start=beginning())
    assert same_weights(straight, resumed)


def test_both_heads_are_learnt(tmp_path: Path) -> None:
    """Where photos call a class by another name than Fashion-MNIST, each head learns its own names of the same bars."""
    recipe = Recipe((Cycle(epochs=10, warmup_steps=5, cutout_probability=0.0),), batch_size=16, ema_decay=0.8, shift=0)
    pictures = bars(240)
    photo = torch.arange(240) // 10 % 2 == 1
    labels = torch.where(photo, (pictures.labels + 3) % 10, pictures.labels)
    both = Images(pictures.pixels, labels, torch.nn.functional.one_hot(labels, 11).float(), photo)
    others = bars(100, seed=1)
    network, _ = train(recipe, TWO_HEADS, both, others, tmp_path / "checkpoint.pt")
    with torch.no_grad():
        said = (network(others.pixels).argmax(1), network.photo_logits(others.pixels).argmax(1))
    own, others_own = ([(some == (others.labels + by) % 10).float().mean() for some in said] for by in (0, 3))
    assert own[0] > 0.3 > own[1]
    assert others_own[1] > 0.3 > others_own[0]


@pytest.mark.parametrize("photo_classes", [1, 9, 12, -1])
def test_a_second_head_of_other_classes_is_refused(photo_classes: int) -> None:
    """A head for photos has the classes of the first one, or one more."""
    with pytest.raises(ValueError, match="photo_classes"):
        NetworkConfig(photo_classes=photo_classes)


def test_one_head_answers_for_both() -> None:
    """Without a second head the logits of photos are those of the only one."""
    network = beginning()
    with torch.no_grad():
        assert torch.equal(network(OTHERS.pixels), network.photo_logits(OTHERS.pixels))


# What cannot be resumed


def test_resuming_without_a_checkpoint(tmp_path: Path) -> None:
    """Resuming without a checkpoint is refused in one sentence that names the file."""
    assert "none.pt" in refusal(tmp_path / "none.pt")


@pytest.mark.parametrize(
    ("recipe", "config"),
    [
        (replace(RECIPE, cycles=(*CYCLES, Cycle(epochs=1))), CONFIG),
        (replace(RECIPE, cycles=(CYCLES[0], replace(CYCLES[1], peak_lr_scale=0.4))), CONFIG),
        (replace(RECIPE, seed=1), CONFIG),
        (replace(RECIPE, batch_size=8), CONFIG),
        (RECIPE, replace(CONFIG, widths=(8, 8))),
        (RECIPE, replace(CONFIG, blocks=2)),
    ],
)
def test_resuming_with_other_settings(tmp_path: Path, recipe: Recipe, config: NetworkConfig) -> None:
    """Resuming with another recipe or network is refused in one sentence that speaks of the settings."""
    interrupted(tmp_path / "checkpoint.pt")
    assert "other settings" in refusal(tmp_path / "checkpoint.pt", recipe, config)


def test_resuming_from_a_damaged_checkpoint(tmp_path: Path) -> None:
    """A checkpoint cut anywhere, emptied or overwritten is refused in one sentence that names the file."""
    file = tmp_path / "checkpoint.pt"
    interrupted(file)
    whole = file.read_bytes()
    cuts = [whole[: len(whole) * percent // 100] for percent in (0, 1, 10, 50, 90, 99)]
    for content in [*cuts, b"no checkpoint", bytes(1000), b"PK\3\4" + bytes(500), b"\x80\x02}q\x00.", b"\x80\x04", whole[::-1]]:
        file.write_bytes(content)
        assert "checkpoint.pt" in refusal(file)


def test_resuming_from_a_folder(tmp_path: Path) -> None:
    """A folder in the checkpoint's place is refused in one sentence."""
    assert str(tmp_path) in refusal(tmp_path)


@pytest.mark.parametrize("state", [[], {}, {"format": 999}, {"format": 2}, {"format": 2, "recipe": {}, "config": {}}, "text"])
def test_resuming_from_another_programs_checkpoint(tmp_path: Path, state: object) -> None:
    """A file that torch wrote for something else is refused in one sentence."""
    torch.save(state, tmp_path / "checkpoint.pt")
    refusal(tmp_path / "checkpoint.pt")


@pytest.mark.parametrize("missing", ["network", "average", "optimizers", "history", "ends"])
def test_resuming_from_an_incomplete_checkpoint(tmp_path: Path, missing: str) -> None:
    """A checkpoint of these settings without one of its parts is refused in one sentence."""
    file = tmp_path / "checkpoint.pt"
    interrupted(file)
    state = torch.load(file, weights_only=True)
    del state[missing]
    torch.save(state, file)
    refusal(file)


def test_checkpoint_runs_no_code(tmp_path: Path) -> None:
    """A checkpoint that would run code when unpickled is refused, and the code does not run."""
    torch.save({"format": 2, "recipe": Trap(tmp_path / "sprung")}, tmp_path / "checkpoint.pt")
    refusal(tmp_path / "checkpoint.pt")
    assert not (tmp_path / "sprung").exists()


class Trap:
    """Makes a file when unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.file,)


def test_checkpoint_is_replaced_whole(tmp_path: Path) -> None:
    """After a training its folder holds the checkpoint alone, no half-written one beside it."""
    trained(tmp_path / "runs" / "checkpoint.pt")
    assert ["checkpoint.pt"] == [file.name for file in (tmp_path / "runs").iterdir()]


def test_too_few_pictures(tmp_path: Path) -> None:
    """Fewer pictures than a batch holds are refused in one sentence."""
    with pytest.raises(TrainingError, match=r"^A batch of 128 needs more than 80 pictures; lower --batch-size\.$"):
        trained(tmp_path / "checkpoint.pt", replace(RECIPE, batch_size=128))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_loss_that_is_no_number_ends_training(tmp_path: Path) -> None:
    """Training whose loss is no longer a number ends in one sentence instead of shipping such weights."""
    with pytest.raises(TrainingError, match="no longer a number"):
        trained(tmp_path / "checkpoint.pt", replace(RECIPE, sgd_lr=1e30))


# Augmentation


def batches(recipe: Recipe, epoch: int = 0, pictures: Images = PICTURES) -> list[tuple[Tensor, Tensor]]:
    """Return an epoch's augmented pictures, each with its label."""
    return [(pixels, pictures.labels[chosen]) for pixels, chosen in recipe_room._batches(pictures, recipe, epoch)]


def numbered(count: int = 64) -> Images:
    """Return black pictures, each with one dot in the middle as bright as its label, which is its number plus one."""
    pixels = torch.zeros(count, 1, 28, 28, dtype=torch.uint8)
    pixels[:, 0, 14, 10] = torch.arange(1, count + 1, dtype=torch.uint8)
    return Images(pixels, torch.arange(1, count + 1))


def test_augmented_batches_keep_their_form() -> None:
    """Augmented batches have the pictures' shape and types, and every picture comes at most once an epoch."""
    drawn = batches(RECIPE)
    assert 5 == len(drawn)
    for pixels, labels in drawn:
        assert ((16, 1, 28, 28), torch.uint8) == (tuple(pixels.shape), pixels.dtype)
        assert ((16,), torch.int64) == (tuple(labels.shape), labels.dtype)
    plain = Recipe((Cycle(epochs=1, cutout_probability=0.0),), batch_size=16)
    labels = torch.cat([labels for _, labels in batches(plain, pictures=numbered())])
    assert list(range(1, 65)) == sorted(labels.tolist())


@pytest.mark.parametrize("shift", [0, 1, 2, 4])
def test_pictures_move_by_no_more_than_the_shift(shift: int) -> None:
    """A picture moves by at most `shift` pixels each way, all of those occur, and it stays with its label."""
    plain = Recipe((Cycle(epochs=8, cutout_probability=0.0),), batch_size=16, shift=shift)
    rows, columns = set(), set()
    for epoch in range(8):
        for pixels, labels in batches(plain, epoch, numbered()):
            n, _, ys, xs = torch.nonzero(pixels, as_tuple=True)
            assert torch.equal(torch.arange(16), n)
            assert torch.equal(labels, pixels[n, 0, ys, xs].long())
            rows |= set((ys - 14).tolist())
            # The dot stands in column 10, or mirrored in column 17.
            columns |= set(torch.where(xs < 14, xs - 10, xs - 17).tolist()) if shift < 4 else set()
    assert set(range(-shift, shift + 1)) == rows
    assert not columns or set(range(-shift, shift + 1)) == columns


def test_pictures_are_seen_both_ways_within_two_epochs() -> None:
    """Every picture comes once as it is and once mirrored within two epochs."""
    plain = Recipe((Cycle(epochs=2, cutout_probability=0.0),), batch_size=16, shift=0)
    sides: dict[int, set[int]] = {}
    for epoch in (0, 1):
        for pixels, labels in batches(plain, epoch, numbered()):
            for label, column in zip(labels.tolist(), torch.nonzero(pixels)[:, 3].tolist(), strict=True):
                sides.setdefault(label, set()).add(column)
    assert {label: {10, 17} for label in range(1, 65)} == sides


def test_squares_are_blackened() -> None:
    """A share of the pictures loses a square of at most `cutout_size` pixels, and nothing else changes."""
    white = Images(torch.full((400, 1, 28, 28), 255, dtype=torch.uint8), torch.zeros(400, dtype=torch.int64))
    recipe = Recipe((Cycle(epochs=1, cutout_probability=0.5, cutout_size=5),), batch_size=16, shift=0)
    black = torch.cat([(pixels == 0).sum(dim=(1, 2, 3)) for pixels, _ in batches(recipe, pictures=white)])
    assert 25 == black.max()
    assert 0.4 < (black > 0).float().mean() < 0.6


def test_batches_differ_from_epoch_to_epoch() -> None:
    """Each epoch has its own order, the same whenever it is asked for."""
    first, again, second = batches(RECIPE, 0), batches(RECIPE, 0), batches(RECIPE, 1)
    assert torch.equal(first[0][0], again[0][0])
    assert not torch.equal(first[0][0], second[0][0])


# The hold-out


def test_hold_out_is_disjoint_and_complete() -> None:
    """The held-out pictures and the others are disjoint and together all there are, each with its label."""
    count = 1000
    pixels = torch.zeros(count, 1, 28, 28, dtype=torch.uint8)
    pixels[:, 0, 0, 0], pixels[:, 0, 0, 1] = torch.arange(count) // 256, torch.arange(count) % 256
    kept, held = validation_split(Images(pixels, torch.arange(count)), 100)
    assert (900, 100) == (len(kept), len(held))
    assert list(range(count)) == sorted(kept.labels.tolist() + held.labels.tolist())
    for part in (kept, held):
        assert torch.equal(part.labels, part.pixels[:, 0, 0, 0].long() * 256 + part.pixels[:, 0, 0, 1])


def test_hold_out_is_fixed() -> None:
    """The same pictures are held out every time, whatever the seeds, and they are 5,000 of Fashion-MNIST's 60,000."""
    everything = Images(torch.zeros(60_000, 1, 1, 1, dtype=torch.uint8), torch.arange(60_000))
    torch.manual_seed(1)
    np.random.seed(1)
    _, first = validation_split(everything)
    torch.manual_seed(2)
    np.random.seed(2)
    _, second = validation_split(everything)
    assert torch.equal(first.labels, second.labels)
    assert VALIDATION_IMAGES == len(first) == 5_000
    # numpy freezes RandomState's stream: bundles of every version stay comparable.
    assert np.random.RandomState(20170825).permutation(60_000)[:5_000].tolist() == first.labels.tolist()


@pytest.mark.parametrize("count", [0, -1, 80, 81])
def test_impossible_hold_out_is_refused(count: int) -> None:
    """As many pictures as there are, or none, cannot be held out."""
    with pytest.raises(DatasetError):
        validation_split(PICTURES, count)


# Calibration


def calibrated(count: int = 20_000, classes: int = 10) -> tuple[Tensor, Tensor]:
    """Return logits and labels drawn from the very probabilities that the logits say."""
    rng = torch.Generator().manual_seed(4)
    logits = 2 * torch.randn(count, classes, generator=rng)
    labels = torch.multinomial(torch.softmax(logits, 1), 1, generator=rng)[:, 0]
    return logits, labels


@pytest.mark.parametrize("temperature", [0.3, 0.5, 1.0, 1.7, 3.0, 8.0])
def test_temperature_is_recovered(temperature: float) -> None:
    """Logits of a calibrated model, multiplied by a number, give that number as their temperature."""
    logits, labels = calibrated()
    assert fit_temperature(logits * temperature, labels) == pytest.approx(temperature, rel=0.03)


def test_temperature_stays_in_bounds() -> None:
    """A model that is always right, and one that is always wrong, get a finite positive temperature."""
    labels = torch.arange(50) % 10
    right = torch.nn.functional.one_hot(labels, 10).float() * 5
    for logits in (right, right.roll(1, dims=1), torch.zeros(50, 10)):
        assert 0.05 <= fit_temperature(logits, labels) <= 20


def test_temperature_leaves_gradients_alone() -> None:
    """Fitting leaves neither gradients on the logits nor a changed logit behind."""
    logits, labels = calibrated(500)
    before = logits.clone()
    fit_temperature(logits, labels)
    assert torch.equal(before, logits)
    assert logits.grad is None


def probabilities_of(logits: Tensor) -> np.ndarray:
    return torch.softmax(logits, 1).numpy()


@pytest.mark.parametrize("precision", [0.6, 0.8, 0.9, 0.95, 0.99])
def test_threshold_gives_its_precision(precision: float) -> None:
    """Of the tags at or above the threshold at least the promised share is right, and a lower one would not do."""
    logits, labels = calibrated(5_000)
    probabilities, truth = probabilities_of(logits), labels.numpy()
    threshold = threshold_at_precision(precision, probabilities, truth)
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == truth
    assert 0.5 <= threshold <= 1
    assert right[confidence >= threshold].mean() >= precision
    below = np.sort(confidence[(confidence < threshold - 1e-4) & (confidence >= 0.5)])[::-1]
    assert all(right[confidence >= lower].mean() < precision for lower in below)


@pytest.mark.parametrize("seed", range(30))
def test_threshold_gives_its_precision_on_few_pictures(seed: int) -> None:
    """On few pictures, with ties and rounding, the promised share at or above the threshold is right as well."""
    rng = np.random.default_rng(seed)
    confidence = rng.choice([0.61234, 0.61236, 0.7, 0.712349, 0.8, 0.9], 25).astype(np.float32)
    probabilities = np.stack([confidence, 1 - confidence], axis=1)
    truth = (rng.random(25) > confidence).astype(np.int64)
    threshold = threshold_at_precision(0.8, probabilities, truth)
    let_pass = confidence >= threshold
    assert not let_pass.any() or (truth[let_pass] == 0).mean() >= 0.8


def test_threshold_of_the_hopeless() -> None:
    """Where no tag is right the threshold is 1."""
    assert 1.0 == threshold_at_precision(0.9, np.array([[0.9, 0.1]] * 5, np.float32), np.ones(5, np.int64))


# Figures


@pytest.mark.parametrize("scale", [0.5, 1.0, 3.0])
def test_calibration_error_agrees_with_torchmetrics(scale: float) -> None:
    """The calibration error is that of torchmetrics on the same probabilities."""
    logits, labels = calibrated(3_000)
    probabilities = torch.softmax(logits * scale, 1)
    theirs = MulticlassCalibrationError(10, n_bins=BINS, norm="l1")(probabilities, labels).item()
    confidence, said = probabilities.max(1)
    ours = calibration_error(reliability_table(confidence.numpy(), (said == labels).numpy()))
    assert ours == pytest.approx(theirs, abs=1e-3)


def test_reliability_table_holds_every_picture_once() -> None:
    """The bins follow one another, and each picture is in the one that its confidence lies in, ends included."""
    confidence = np.array([1.0, 1 / 15 * 9, 0.5, 0.50001, 0.999, 0.7], np.float32)
    table = reliability_table(confidence, np.ones(6, bool))
    assert 6 == sum(row["n"] for row in table)
    for row in table:
        assert row["from"] < row["to"]
        assert row["from"] - 1e-6 <= row["confidence"] <= row["to"] + 1e-6
    assert sorted(table, key=lambda row: row["from"]) == table


def test_macro_accuracy_passes_over_absent_classes() -> None:
    """Macro accuracy is the mean over the classes that occur; an absent one, even if predicted, does not count."""
    truth = np.array([0, 0, 0, 0, 1, 1])
    figures = classification_report(np.array([0, 0, 0, 5, 1, 7]), np.ones(6), truth, LABELS)
    assert (0.75 + 0.5) / 2 == pytest.approx(figures["macro_accuracy"], abs=1e-6)
    assert 4 / 6 == pytest.approx(figures["accuracy"], abs=1e-6)
    assert 6 == figures["n"]
    assert {"precision": 0, "recall": 0, "f1": 0, "n": 0} == figures["per_class"]["f"]
    assert {"precision": 1, "recall": 0.75, "f1": pytest.approx(6 / 7, abs=1e-6), "n": 4} == figures["per_class"]["a"]


def test_confusion_counts_true_classes_in_rows() -> None:
    """The confusion matrix has true classes in rows, predicted ones in columns, and all classes even if absent."""
    confusion = classification_report(np.array([3, 3, 4]), np.ones(3), np.array([3, 4, 4]), LABELS)["confusion"]
    counts = np.array(confusion["counts"])
    assert (10, 10) == counts.shape
    assert (1, 1, 0, 1) == (counts[3, 3], counts[4, 3], counts[3, 4], counts[4, 4])
    assert 3 == counts.sum()
    assert [0] * 10 == confusion["without_tag"]


def test_a_photo_without_a_tag_is_wrong_and_spoils_no_other_class() -> None:
    """Where nothing was said the answer is wrong, stands in no column of the confusion, and costs no class precision."""
    figures = classification_report(np.array([NO_TAG, 1, 2]), np.array([0.0, 1.0, 1.0]), np.array([0, 1, 2]), LABELS)
    assert 2 / 3 == pytest.approx(figures["accuracy"], abs=1e-6)
    assert [1, 0, 0] == figures["confusion"]["without_tag"][:3]
    assert 2 == sum(map(sum, figures["confusion"]["counts"]))
    assert [0, 1, 1] == [row["precision"] for row in figures["per_class"].values()][:3]
    assert 0 == figures["calibration_error"]


def test_one_picture_has_figures() -> None:
    """Figures of a single picture need no second one, and every one is a number."""
    figures = classification_report(np.array([2]), np.ones(1), np.array([2]), LABELS)
    assert (1.0, 1.0, 0.0) == (figures["accuracy"], figures["macro_accuracy"], figures["calibration_error"])


def test_coverage_takes_the_surest_first() -> None:
    """The accuracy at each coverage is that of the surest pictures, and at full coverage the accuracy of all."""
    logits, labels = calibrated(1_000)
    probabilities, truth = probabilities_of(logits), labels.numpy()
    right = probabilities.argmax(axis=1) == truth
    table = coverage_table(probabilities.max(axis=1), right)
    assert 1000 == table[-1]["n"]
    assert right.mean() == pytest.approx(table[-1]["accuracy"], abs=1e-6)
    least = [row["least_confidence"] for row in table]
    assert sorted(least, reverse=True) == least
    assert table[0]["accuracy"] > table[-1]["accuracy"]


def test_intervals_are_those_of_independent_photos() -> None:
    """Where every photo is its own group the interval of a share is about the binomial one."""
    right = np.random.default_rng(3).random(400) < 0.8
    share, low, high = bootstrap_interval(right.tolist(), [str(number) for number in range(400)])
    deviation = float(np.sqrt(share * (1 - share) / 400))
    assert right.mean() == pytest.approx(share)
    assert (share - 1.96 * deviation, share + 1.96 * deviation) == pytest.approx((low, high), abs=0.2 * deviation)


def test_more_photos_of_the_same_groups_give_no_narrower_interval() -> None:
    """Ten like photos of each product say no more than one does: the interval is the same."""
    rng = np.random.default_rng(4)
    right, classes, groups = rng.random(60) < 0.7, rng.integers(0, 3, 60), rng.integers(0, 25, 60).astype(str)
    once = macro_bootstrap_interval(right.tolist(), classes.tolist(), groups.tolist())
    tenfold = macro_bootstrap_interval(*(np.repeat(values, 10).tolist() for values in (right, classes, groups)))
    assert once == pytest.approx(tenfold)
    assert once[1] < once[0] < once[2]
    apart = macro_bootstrap_interval(
        *(np.repeat(values, 10).tolist() for values in (right, classes)), [str(number) for number in range(600)]
    )
    assert apart[2] - apart[1] < 0.6 * (once[2] - once[1])


def test_intervals_are_the_same_every_time() -> None:
    """Draws are seeded, and the order of the photos does not matter."""
    right, classes, groups = [True, False, True, True, False], [0, 0, 1, 1, 1], ["a", "b", "b", "c", "d"]
    backwards = macro_bootstrap_interval(right[::-1], classes[::-1], groups[::-1])
    assert macro_bootstrap_interval(right, classes, groups) == backwards
    assert (1 / 2 + 2 / 3) / 2 == pytest.approx(backwards[0])
    assert macro_accuracy(right, classes) == backwards[0]


def test_a_single_group_has_no_room_for_chance() -> None:
    """One group drawn is that group again: both ends are the share itself."""
    assert (0.5, 0.5, 0.5) == bootstrap_interval([True, False], ["one", "one"])


def test_separation_counts_pairs() -> None:
    """The area is the share of pairs in which the known photo is the surer one, equals counting half."""
    known, strangers = np.array([0.9, 0.5, 0.7]), np.array([0.5, 0.6])
    pairs = [(a > b) + (a == b) / 2 for a in known for b in strangers]
    assert np.mean(pairs) == pytest.approx(auroc(known, strangers))


# The data set's reader


def test_a_folder_without_the_files_is_named(tmp_path: Path) -> None:
    """A missing file is named, with its folder."""
    with pytest.raises(DatasetError) as caught:
        load_fashion_mnist("train", tmp_path)
    assert "train-images-idx3-ubyte" in str(caught.value)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize("packed", [True, False])
def test_another_data_sets_files_are_refused(tmp_path: Path, packed: bool) -> None:
    """Files of the right names with other contents, as MNIST's are, are refused by their checksum."""
    content = b"\0\0\x08\x03" + bytes(12 + 28 * 28)
    for name in fashion_mnist_checksums():
        file = tmp_path / (f"{name}.gz" if packed else name)
        file.write_bytes(gzip.compress(content) if packed else content)
    for split in ("train", "test"):
        with pytest.raises(DatasetError, match="checksum differs") as caught:
            load_fashion_mnist(split, tmp_path)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"no gzip", PACKED[:-9], PACKED[:-4] + b"1234"])
def test_damaged_files_are_refused(tmp_path: Path, content: bytes) -> None:
    """A damaged archive is refused in one sentence."""
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(content)
    with pytest.raises(DatasetError) as caught:
        load_fashion_mnist("train", tmp_path)
    assert "\n" not in str(caught.value)


def test_an_archive_damaged_inside_is_refused(tmp_path: Path) -> None:
    """An archive with a flipped byte anywhere is refused in one sentence, never with a traceback."""
    packed = gzip.compress(np.random.default_rng(1).integers(0, 99, 3000, np.uint8).tobytes())
    file = tmp_path / "train-images-idx3-ubyte.gz"
    for at in range(0, len(packed), 37):
        file.write_bytes(packed[:at] + bytes([packed[at] ^ 255]) + packed[at + 1 :])
        with pytest.raises(DatasetError):
            load_fashion_mnist("train", tmp_path)


# The network's size


def test_network_is_small() -> None:
    """The default network has at most 310,000 parameters and takes at most 40 million multiply-accumulates."""
    network = Network(NetworkConfig())
    assert count_parameters(network) <= 310_000
    assert count_macs(network) <= 40e6


def test_macs_are_counted_right() -> None:
    """Counted by hand, a network of one stage takes what its layers take, and counting leaves it as it was."""
    network = Network(NetworkConfig(widths=(4,), classes=10))
    places = 28 * 28
    assert places * 9 * (1 * 4 + 4 * 4 + 4 * 4) + 4 * 10 == count_macs(network)
    assert network.training
    assert not any(module._forward_hooks for module in network.modules())
