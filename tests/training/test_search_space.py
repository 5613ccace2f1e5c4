"""The search space: what a trial varies, and how its parameters become a recipe."""

import pytest

from tagger.training.recipe import NETWORKS, NetworkName
from tagger.training.recipes import recipe_of
from tagger.training.search_space import params_to_recipe, recipe_to_params, suggest_recipe

optuna = pytest.importorskip("optuna")


@pytest.mark.parametrize("network", NETWORKS)
def test_every_recipe_lies_in_the_search_space(network: NetworkName) -> None:
    """The parameters of each network's recipe, with teachers or without, are in the ranges of a trial."""
    for recipe in (recipe_of(network, 4), recipe_of(network, 4, teachers=("residual",)), recipe_of(network)):
        values = recipe_to_params(recipe)
        study = optuna.create_study()
        study.enqueue_trial(values)
        trial = study.ask()
        suggest_recipe(trial, bool(recipe.cycles[0].distillation))
        assert values == trial.params
        assert recipe == params_to_recipe(recipe, values)


def test_parameters_are_rounded_to_three_digits() -> None:
    """A recipe gets a trial's floats with three significant digits, whole numbers and choices as they are."""
    recipe = recipe_of("tiny")
    changed = params_to_recipe(recipe, {"sgd_lr": 0.123456, "erase_share": 0.98765, "erase_side": 13, "mirrored": False})
    assert (changed.sgd_lr, changed.alternating_flip) == (0.123, False)
    assert (changed.cycles[0].cutout_probability, changed.cycles[0].cutout_size) == (0.988, 13)
    assert changed.muon_lr == recipe.muon_lr
    assert changed.cycles[0].label_smoothing == recipe.cycles[0].label_smoothing


def test_only_the_first_cycle_varies() -> None:
    """Later cycles keep their values."""
    recipe = recipe_of("residual")
    changed = params_to_recipe(recipe, {"label_smoothing": 0.1})
    assert changed.cycles[0].label_smoothing == 0.1
    assert changed.cycles[1:] == recipe.cycles[1:]


def test_studies_begun_earlier_go_on() -> None:
    """The names of a study's parameters are those of all earlier studies; renamed, a study would forget its trials."""
    assert set(recipe_to_params(recipe_of("tiny"))) == {
        "muon_lr",
        "sgd_lr",
        "weight_decay",
        "batch_size",
        "shift",
        "mirrored",
        "erase_share",
        "erase_side",
        "label_smoothing",
        "distillation",
    }


def test_the_weight_of_distillation_needs_teachers() -> None:
    """Without distillation in the recipe a trial does not sample its weight."""
    study = optuna.create_study()
    for with_teachers in (False, True):
        trial = study.ask()
        suggest_recipe(trial, with_teachers)
        assert ("distillation" in trial.params) == with_teachers
