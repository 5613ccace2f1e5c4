"""The networks that can be trained by name: their shapes, their recipes, and that each learns, resumes and is kept."""
# ruff: noqa: SIM300 - what is expected stands first, as in every test here

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from training_helpers import OTHERS, PICTURES, PowerCutError, bars, same_weights, stop_after, train_network

from tagger.cli.main import main
from tagger.inference.torch_network import pool_maps, pooled_size
from tagger.models.config import NetworkConfig
from tagger.models.network import Network
from tagger.models.summary import count_macs, count_parameters
from tagger.training import trainer as recipe_room
from tagger.training.recipe import AUGMENTATIONS, NETWORKS, NETWORKS_WITH_ORIGINAL_RECIPE, Cycle, NetworkName, Recipe
from tagger.training.recipes import SHAPES, original_recipe, recipe_of, with_augmentations, with_changes

pytestmark = pytest.mark.usefixtures("one_thread")

PLAIN = NetworkConfig(widths=(8, 16), family="plain", norms=False, dense=(20,), dropout=0.5)


def test_every_name_has_a_shape() -> None:
    """Every network that can be named has a shape, and no two of them are the same."""
    assert set(NETWORKS) == set(SHAPES)
    assert len(NETWORKS) == len(set(SHAPES.values()))


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_scores_pictures(name: NetworkName) -> None:
    """Each gives a score a class for pictures, and maps of as many channels as it says, in one forward pass."""
    network = Network(SHAPES[name]).eval()
    with torch.inference_mode():
        before, last = network.maps(PICTURES.pixels[:3])
        assert (3, 10) == tuple(network(PICTURES.pixels[:3]).shape)
    assert network.channels == (before.shape[1], last.shape[1])
    assert (3, pooled_size(network)) == tuple(pool_maps((before, last)).shape)


def test_the_simplest_is_what_its_project_says() -> None:
    """`linear-conv` is a convolution of 16 channels, ReLU, a max-pool and one linear layer, with nothing else to learn."""
    network = Network(SHAPES["linear-conv"])
    assert 16 * 9 + 16 + 10 * 16 * 14 * 14 + 10 == count_parameters(network)
    kinds = [type(module).__name__ for module in network.modules() if not list(module.children())]
    assert ["Conv2d", "ReLU", "MaxPool2d", "Flatten", "Dropout", "Linear"] == kinds
    assert 0.0 == SHAPES["linear-conv"].dropout


def test_strides_are_cheaper_than_pools() -> None:
    """`strided`, for small devices, costs less than a tenth of `deep-pool`."""
    strided, deep = (count_macs(Network(SHAPES[name])) for name in ("strided", "deep-pool"))
    assert strided < deep / 10


@pytest.mark.parametrize("name", NETWORKS)
def test_every_recipe_fits_its_network(name: NetworkName) -> None:
    """No recipe shrinks pictures for a network that flattens its maps, and each has a teacher if it learns from one."""
    recipe = recipe_of(name)
    assert name == recipe.network
    if SHAPES[name].family == "plain":
        assert all(0 == cycle.low_resolution_epochs for cycle in recipe.cycles)
    assert name == "residual" or recipe.teachers


def test_small_networks_see_pictures_as_they_are() -> None:
    """The three that are too small for more see all pictures unchanged, however many epochs and whoever teaches."""
    small = ("linear-conv", "conv-dropout", "strided")
    for recipe in (recipe_of(name, *more) for name in small for more in ((), (5, 3, ("tiny",)))):
        assert (0, False, {0.0}) == told(recipe)
        assert all(1 == cycle.easy_keep_fraction and cycle.distillation for cycle in recipe.cycles)
    for name in set(NETWORKS) - set(small):
        assert (0 if SHAPES[name].family == "plain" else 2) == recipe_of(name).shift
        assert recipe_of(name).alternating_flip


def test_tuning_keeps_the_learning_rates_in_proportion() -> None:
    """Another learning rate moves Muon's along, another size of batches neither; without either the recipe is as it was."""
    recipe = recipe_of("strided")
    assert recipe == with_changes(recipe)
    assert replace(recipe, sgd_lr=0.05, muon_lr=0.01) == with_changes(recipe, lr=0.05)
    assert replace(recipe, batch_size=7) == with_changes(recipe, batch_size=7)


def test_augmenting_keeps_how_far_a_recipe_goes() -> None:
    """What is named is done as far as the recipe does it, or as most do where it does not; what is not named is not done."""
    recipe = replace(recipe_of("residual"), shift=1)
    assert recipe == with_augmentations(recipe, AUGMENTATIONS)
    assert (0, False, {0.0}) == told(with_augmentations(recipe, ()))
    assert (1, False, {0.0}) == told(with_augmentations(recipe, ["shift"]))
    assert (2, True, {0.5}) == told(with_augmentations(original_recipe("strided"), AUGMENTATIONS))


def told(recipe: Recipe) -> tuple[int, bool, set[float]]:
    return recipe.shift, recipe.alternating_flip, {cycle.cutout_probability for cycle in recipe.cycles}


@pytest.mark.parametrize("name", NETWORKS_WITH_ORIGINAL_RECIPE)
def test_the_original_recipe_changes_no_picture(name: NetworkName, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its project's recipe a network sees each picture as it is, once an epoch, with Adam's steps of 0.001 all along."""
    seen: list[Tensor] = []
    rates: set[float] = set()

    def spy(_: Network, optimizers: list[torch.optim.Optimizer], pixels: Tensor, *rest: object) -> Tensor:
        assert ["Adam"] == [type(optimizer).__name__ for optimizer in optimizers]
        rates.update(group["lr"] for group in optimizers[0].param_groups)
        seen.append(pixels)
        return torch.tensor(1.0)

    monkeypatch.setattr(recipe_room, "_train_step", spy)
    train_network(
        with_changes(original_recipe(name, 2), batch_size=20), SHAPES[name], PICTURES, OTHERS, tmp_path / "checkpoint.pt"
    )
    assert {0.001} == rates
    for epoch in (seen[:4], seen[4:]):
        shown = sorted(picture.numpy().tobytes() for batch in epoch for picture in batch)
        assert sorted(picture.numpy().tobytes() for picture in PICTURES.pixels) == shown


@pytest.mark.parametrize("recipe", [Recipe((Cycle(8, warmup_steps=5),), 16, shift=0), original_recipe("linear-conv", 6)])
def test_plain_networks_learn(tmp_path: Path, recipe: Recipe) -> None:
    """A few epochs teach a plain network with dropout where bars are, by either recipe: far beyond guessing's tenth."""
    recipe = replace(recipe, ema_decay=0.8)
    network, history = train_network(recipe, PLAIN, bars(240), bars(100, seed=1), tmp_path / "checkpoint.pt")
    assert history[-1].held_out_accuracy > 0.5
    assert not network.training


def test_a_network_that_flattens_sees_whole_pictures(tmp_path: Path) -> None:
    """A recipe whose first epochs shrink pictures trains a plain network too, which sees them whole from the start."""
    _, history = train_network(
        Recipe((Cycle(2, low_resolution_epochs=1, warmup_steps=2),), 16), PLAIN, PICTURES, OTHERS, tmp_path / "c.pt"
    )
    assert 2 == len(history)


def test_dropout_resumes_to_the_same_weights(tmp_path: Path) -> None:
    """A network with dropout that was interrupted ends in the same weights as one that was not, whatever was drawn between."""
    recipe = Recipe((Cycle(3, warmup_steps=2),), 16)
    straight, _ = train_network(recipe, PLAIN, PICTURES, OTHERS, tmp_path / "straight.pt")
    with pytest.raises(PowerCutError):
        train_network(recipe, PLAIN, PICTURES, OTHERS, tmp_path / "stopped.pt", on_epoch=stop_after(2))
    torch.rand(5)
    resumed, _ = train_network(recipe, PLAIN, PICTURES, OTHERS, tmp_path / "stopped.pt", resume=True)
    assert same_weights(straight, resumed)


@pytest.mark.parametrize(
    "options",
    [
        ["--recipe", "original"],
        ["--recipe", "original", "--network", "tiny"],
        ["--recipe", "original", "--network", "strided", "--distill-from", "tiny"],
        ["--recipe", "original", "--mix", "catalog"],
    ],
)
def test_an_original_recipe_that_there_is_not_is_exit_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str]
) -> None:
    """Networks of our own have no other project's recipe, and those learn from no bundle; the message names which do."""
    with pytest.raises(SystemExit) as caught:
        main(["retrain", "--out", str(tmp_path / "new"), *options])
    assert 2 == caught.value.code
    assert "linear-conv, conv-32-64" in capsys.readouterr().err.strip().splitlines()[-1]
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("damage", [{"family": "transformer"}, {"dense": (0,)}, {"dropout": 1.0}, {"dropout": float("nan")}])
def test_impossible_shapes_are_refused(damage: dict[str, object]) -> None:
    """A family that there is not, dense layers without width, or all dropped, are refused."""
    with pytest.raises(ValueError, match=r"must be|dropout"):
        NetworkConfig(**damage)


@pytest.mark.parametrize(
    ("name", "expected"), [("tiny", True), ("resnet18", True), ("mobilenet-v3", False), ("efficientnet-b0", False)]
)
def test_depthwise_convolutions_learn_in_float32(name: NetworkName, expected: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the processor computes in bfloat16 most networks do, but not those that take longer so; elsewhere none does."""
    kinds: set[torch.dtype] = set()
    network = Network(SHAPES[name])
    network.head.register_forward_hook(lambda *seen: kinds.add(seen[-1].dtype))
    for able in (True, False):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda able=able: {"avx512_bf16": able})
        kinds.clear()
        recipe_room._train_step(network, [], PICTURES.pixels[:4], PICTURES.labels[:4], Cycle(1))
        assert {torch.bfloat16 if expected and able else torch.float32} == kinds
