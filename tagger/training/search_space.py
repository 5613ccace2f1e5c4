"""The search space of `fmtag tune`: which hyperparameters of a recipe a trial varies, and within which ranges."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tagger.training.recipe import Recipe

if TYPE_CHECKING:
    import optuna

RECIPE_FIELDS: Mapping[str, str] = {
    "muon_lr": "muon_lr",
    "sgd_lr": "sgd_lr",
    "weight_decay": "weight_decay",
    "batch_size": "batch_size",
    "shift": "shift",
    "mirrored": "alternating_flip",
}
"""Searched fields of a recipe, by the names of their parameters in a study.

A study keeps parameters by name, so these stay as they were when fields of recipes are renamed: else a study that was begun
earlier could not be continued.
"""

CYCLE_FIELDS: Mapping[str, str] = {
    "erase_share": "cutout_probability",
    "erase_side": "cutout_size",
    "label_smoothing": "label_smoothing",
    "distillation": "distillation",
}
"""Searched fields of a recipe's first cycle, likewise."""


def suggest_recipe(trial: "optuna.trial.BaseTrial", with_teachers: bool) -> None:
    """Sample a trial's parameters; with teachers also the weight of distillation."""
    trial.suggest_float("muon_lr", 0.004, 0.1, log=True)
    trial.suggest_float("sgd_lr", 0.02, 0.5, log=True)
    trial.suggest_float("weight_decay", 5e-5, 5e-3, log=True)
    trial.suggest_categorical("batch_size", (64, 128, 256))
    trial.suggest_int("shift", 0, 3)
    trial.suggest_categorical("mirrored", (True, False))
    trial.suggest_float("erase_share", 0.0, 0.8)
    trial.suggest_int("erase_side", 5, 17, step=2)  # a square has a centre pixel: even sizes act as the next odd ones
    trial.suggest_float("label_smoothing", 0.0, 0.15)
    if with_teachers:
        trial.suggest_float("distillation", 0.1, 0.95)


def recipe_to_params(recipe: Recipe) -> dict[str, Any]:
    """Return the parameters of a trial that trains with `recipe`."""
    first = recipe.cycles[0]
    of_cycle = {name: getattr(first, field) for name, field in CYCLE_FIELDS.items()}
    if not first.distillation:
        del of_cycle["distillation"]
    return {name: getattr(recipe, field) for name, field in RECIPE_FIELDS.items()} | of_cycle


def params_to_recipe(recipe: Recipe, params: Mapping[str, Any]) -> Recipe:
    """Return `recipe` with a trial's parameters, rounded to three significant digits: more would only look precise."""
    rounded: dict[str, Any] = {
        name: float(f"{value:.3g}") if isinstance(value, float) else value for name, value in params.items()
    }
    of_cycle = {CYCLE_FIELDS[name]: value for name, value in rounded.items() if name in CYCLE_FIELDS}
    of_recipe = {RECIPE_FIELDS[name]: value for name, value in rounded.items() if name in RECIPE_FIELDS}
    return replace(recipe, cycles=(replace(recipe.cycles[0], **of_cycle), *recipe.cycles[1:]), **of_recipe)
