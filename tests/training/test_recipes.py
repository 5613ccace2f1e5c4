"""Built-in recipes: in other numbers of epochs, with other teachers, and for the user's own labels."""

from dataclasses import replace

import pytest

from tagger.errors import ConfigurationError
from tagger.models.config import NetworkConfig
from tagger.training.recipe import NETWORKS, NETWORKS_WITH_ORIGINAL_RECIPE, Cycle, NetworkName, Recipe
from tagger.training.recipes import (
    CATALOG_EPOCHS,
    OWN,
    SHAPES,
    catalog_recipe,
    original_recipe,
    override,
    own_recipe,
    recipe_of,
    with_changes,
)


@pytest.mark.parametrize("network", NETWORKS)
def test_every_network_has_an_architecture_and_a_recipe(network: NetworkName) -> None:
    """Recipes are of the network that they name, and take the seed that is given."""
    assert isinstance(SHAPES[network], NetworkConfig)
    recipe = recipe_of(network, seed=3)
    assert (recipe.network, recipe.seed) == (network, 3)
    assert recipe_of(network, recipe.epochs, 3) == recipe


def test_other_epochs_make_one_cycle() -> None:
    """Another number of epochs is one cycle like the first, with low-resolution epochs in the same proportion."""
    full, short = recipe_of("base"), recipe_of("base", 10)
    assert (full.epochs, full.cycles[0].low_resolution_epochs) == (110, 44)
    assert short.cycles == (replace(full.cycles[0], epochs=10, low_resolution_epochs=4),)
    assert len(recipe_of("residual").cycles) == 3
    assert len(recipe_of("residual", 111).cycles) == 1


def test_named_teachers_replace_the_defaults() -> None:
    """With teachers every cycle distils, with the greatest weight that the recipe has anywhere."""
    assert recipe_of("base").teachers == ("residual", "tiny")
    assert recipe_of("tiny").teachers == ("residual",)
    assert recipe_of("residual").teachers == ()
    recipe = recipe_of("residual", teachers=("mine",))
    assert recipe.teachers == ("mine",)
    assert [cycle.distillation for cycle in recipe.cycles] == [0.7, 0.7, 0.7]


@pytest.mark.parametrize("network", NETWORKS_WITH_ORIGINAL_RECIPE)
def test_original_recipes_augment_nothing(network: NetworkName) -> None:
    """The projects' own recipes are Adam at a constant rate, without flip, shift, cutout, EMA and weight decay."""
    recipe = original_recipe(network, 7, 2)
    assert (recipe.optimizer, recipe.sgd_lr, recipe.constant_learning_rate) == ("adam", 0.001, True)
    assert (recipe.alternating_flip, recipe.shift, recipe.ema_decay, recipe.weight_decay) == (False, 0, 0.0, 0.0)
    assert recipe.cycles == (Cycle(7, cutout_probability=0.0),)
    assert (recipe.network, recipe.seed, recipe.teachers) == (network, 2, ())


@pytest.mark.parametrize(("epochs", "parts"), [(None, [15, 5]), (8, [6, 2]), (4, [3, 1]), (3, [3]), (1, [1])])
def test_the_mix_ends_with_rehearsal(epochs: int | None, parts: list[int]) -> None:
    """A fourth of the epochs on the mix weighs Fashion-MNIST more, as long as that is an epoch at least."""
    recipe = catalog_recipe(epochs, 5)
    assert [cycle.epochs for cycle in recipe.cycles] == parts
    assert recipe.epochs == (epochs or CATALOG_EPOCHS)
    assert [cycle.fashion_mnist_weight for cycle in recipe.cycles] == [1.0, 3.0][: len(parts)]
    assert (recipe.mix, recipe.seed) == ("catalog", 5)


@pytest.mark.parametrize(
    ("network", "pretrained", "peak"),
    [(None, False, OWN.peak_lr_scale), ("resnet18", True, OWN.peak_lr_scale), ("resnet18", False, 1.0)],
)
def test_trained_networks_are_fine_tuned_at_low_rates(network: NetworkName | None, pretrained: bool, peak: float) -> None:
    """Learning rates are full only for random initial weights; classes are weighted, as shops' classes are uneven."""
    recipe = own_recipe(network, pretrained=pretrained)
    assert recipe.cycles == (replace(OWN, peak_lr_scale=peak),)
    assert (recipe.class_weighted, recipe.batch_size, recipe.network) == (True, 32, network or "residual")
    assert own_recipe(network, teachers=("mine",)).cycles[0].distillation == 0.7


def test_overrides_replace_only_what_is_given() -> None:
    """Epochs, seed and teachers each replace the recipe's own; a seed of 0 counts as given."""
    recipe = replace(recipe_of("tiny"), seed=7)
    assert override(recipe) == recipe
    assert override(recipe, seed=0) == replace(recipe, seed=0)
    assert override(recipe, epochs=13).cycles == (replace(recipe.cycles[0], epochs=13, low_resolution_epochs=5),)
    assert override(recipe, teachers=("mine",)) == replace(recipe, teachers=("mine",))


def test_teachers_need_a_cycle_that_distils() -> None:
    """Teachers for a recipe that would not use them are refused, with the name of the option."""
    with pytest.raises(ConfigurationError, match="--distill-from"):
        override(Recipe((Cycle(2),)), teachers=("tiny",))


def test_learning_rates_keep_their_proportion() -> None:
    """Another learning rate scales Muon's by the same factor; another batch size changes neither."""
    recipe = recipe_of("tiny")
    changed = with_changes(recipe, 64, 0.05)
    assert (changed.batch_size, changed.sgd_lr, changed.muon_lr) == (64, 0.05, 0.01)
    assert with_changes(recipe, 64) == replace(recipe, batch_size=64)
