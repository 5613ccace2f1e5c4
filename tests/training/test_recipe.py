"""Recipes: what they refuse, which cycle an epoch belongs to, and recipes stored under earlier field names."""

import json
from dataclasses import asdict, fields, replace
from pathlib import Path

import pytest
import torch
from recipe_helpers import with_earlier_names
from training_helpers import interrupted, same_weights, trained

from tagger.errors import TrainingError
from tagger.evaluation.compare import _kind
from tagger.models.card import read
from tagger.models.registry import shipped_bundles
from tagger.training.recipe import CYCLE_ALIASES, RECIPE_ALIASES, Cycle, Recipe, with_current_names, with_recipe_defaults

THREE = Recipe((Cycle(2), Cycle(1), Cycle(3)))


@pytest.mark.parametrize(("epoch", "cycle", "first"), [(0, 0, 0), (1, 0, 0), (2, 1, 2), (3, 2, 3), (5, 2, 3)])
def test_epochs_belong_to_cycles(epoch: int, cycle: int, first: int) -> None:
    """Epochs are counted from 0 over all cycles."""
    found, begins = THREE.cycle_at(epoch)
    assert found is THREE.cycles[cycle]
    assert begins == first


def test_epochs_end() -> None:
    """The total is the sum over the cycles, and there is no epoch after it."""
    assert THREE.epochs == 6
    with pytest.raises(IndexError, match="has 6 epochs"):
        THREE.cycle_at(6)


def test_a_recipe_needs_a_cycle() -> None:
    """A recipe without cycles is refused."""
    with pytest.raises(ValueError, match="at least one cycle"):
        Recipe(())


@pytest.mark.parametrize("distils", [{"distillation": 0.1}, {"easy_keep_fraction": 0.9}])
def test_a_first_cycle_that_distils_needs_teachers(distils: dict[str, float]) -> None:
    """Later cycles distil from earlier ones; the first has only the teachers."""
    with pytest.raises(ValueError, match="needs teachers"):
        Recipe((Cycle(1, **distils), Cycle(1)))
    assert Recipe((Cycle(1, **distils),), teachers=("residual",)).teachers
    assert Recipe((Cycle(1), Cycle(1, **distils))).epochs == 2


def test_aliases_name_fields() -> None:
    """Each earlier name stands for one field that exists, and is itself no field."""
    for kind, aliases in ((Recipe, RECIPE_ALIASES), (Cycle, CYCLE_ALIASES)):
        names = {field.name for field in fields(kind)}
        assert set(aliases.values()) <= names
        assert not aliases.keys() & names
        assert len(set(aliases.values())) == len(aliases)


def test_stored_recipes_get_present_names() -> None:
    """Fields of the recipe and of each cycle are renamed; values, the kind of list and unknown fields stay."""
    stored = {"averaging": 0.9, "cycles": [{"peak": 0.5, "epochs": 3}], "threshold_precision": 0.95}
    expected = {"ema_decay": 0.9, "cycles": [{"peak_lr_scale": 0.5, "epochs": 3}], "threshold_precision": 0.95}
    assert with_current_names(stored) == expected
    assert with_current_names(expected) == expected
    assert with_current_names(asdict(THREE)) == asdict(THREE)


def test_damaged_recipes_are_left_as_they_are() -> None:
    """A card whose cycles are something else is for its reader to judge."""
    for cycles in (3, None, "text", [1, "x"]):
        assert with_recipe_defaults({"cycles": cycles})["cycles"] == cycles


def test_cards_older_than_a_field_have_its_default() -> None:
    """Both names of a field, and fields that a card lacks, lead to the same recipe."""
    recipe = Recipe((Cycle(3), Cycle(1, peak_lr_scale=0.5)), ema_decay=0.99)
    present = json.loads(json.dumps(asdict(recipe)))
    older = {"cycles": [{"epochs": 3}, {"epochs": 1, "peak": 0.5}], "averaging": 0.99}
    assert with_recipe_defaults(older) == with_recipe_defaults(present)
    assert with_recipe_defaults(older) == present
    assert with_recipe_defaults(older)["cycles"][1]["cutout_size"] == Cycle.cutout_size


def test_shipped_cards_are_complete_recipes() -> None:
    """Every field of a shipped bundle's recipe is a present one, or a note beside the recipe."""
    beside = {"threshold_precision", "calibrated_by", "backbone"}
    for folder in shipped_bundles():
        recipe = with_recipe_defaults(read(str(folder)).card.recipe)
        assert recipe.keys() - beside == {field.name for field in fields(Recipe)}
        for cycle in recipe["cycles"]:
            assert cycle.keys() == {field.name for field in fields(Cycle)}


def test_bundles_of_both_names_are_one_family() -> None:
    """Bundles that differ only in the names under which their cards store the recipe are compared as seeds of one."""
    card = next(read(str(folder)).card for folder in shipped_bundles() if folder.name == "tiny")
    renamed = replace(card, recipe=with_current_names(card.recipe) | {"seed": 9})
    assert "averaging" in card.recipe
    assert _kind(card) == _kind(renamed)
    assert _kind(card) != _kind(replace(card, recipe=card.recipe | {"averaging": 0.5}))


def test_checkpoints_of_earlier_names_are_resumed(tmp_path: Path) -> None:
    """A training whose checkpoint has the earlier names of fields continues; with another value it is refused."""
    file = tmp_path / "checkpoint.pt"
    interrupted(file)
    state = torch.load(file, weights_only=True)
    state["recipe"] = with_earlier_names(state["recipe"])
    torch.save(state, file)
    resumed, _ = trained(file, resume=True)
    assert same_weights(resumed, trained(tmp_path / "straight.pt")[0])
    state["recipe"]["averaging"] = 0.5
    torch.save(state, file)
    with pytest.raises(TrainingError, match="other settings"):
        trained(file, resume=True)
