"""The options of trainings as values: what the recipe keeps where an option is not given."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from tagger.cli.retrain_options import FinetuneOptions, RetrainOptions, resolve, resolve_finetune
from tagger.training.recipes import own_recipe


def options(kind: type, **given: Any) -> Any:
    """Return options of which only those that are given are set."""
    return kind(**dict.fromkeys(field.name for field in fields(kind)) | {"teachers": (), "out": Path("new")} | given)


def test_options_that_are_not_given_leave_the_recipe_as_it_is() -> None:
    """Without options the recipe for labelled photos is used unchanged; each option changes its own value only."""
    plain = resolve_finetune(options(FinetuneOptions, data=Path("photos")))
    assert plain.recipe == own_recipe(None)
    steeper = resolve_finetune(options(FinetuneOptions, data=Path("photos"), network="tiny"))
    assert (steeper.recipe, steeper.start) == (own_recipe("tiny"), None)
    taught = resolve_finetune(options(FinetuneOptions, data=Path("photos"), teachers=("a",), class_weights=False))
    assert (taught.recipe.teachers, taught.recipe.class_weighted) == (("a",), False)


@pytest.mark.parametrize("given", [{}, {"floor": 0.0}, {"floor": 0.7}])
def test_a_floor_of_zero_is_a_floor(given: dict[str, float]) -> None:
    """--floor 0 is not the same as no --floor."""
    assert resolve(options(RetrainOptions, mix="fashion-mnist", recipe="modern", **given)).floor == given.get("floor", 0.9)


def test_the_alias_drops_nothing() -> None:
    """`retrain --data PHOTOS` has all options of `finetune`, and passes each on."""
    values = {field.name: f"<{field.name}>" for field in fields(FinetuneOptions)}
    values |= {"data": Path("photos"), "network": None, "pretrained": None, "teachers": ("<t>",), "epochs": 3, "seed": 4}
    values |= {"lr": 0.1, "batch_size": 8, "augment": ("flip",), "ensemble": 2, "class_weights": True, "patience": 5}
    own = resolve_finetune(FinetuneOptions(**values))
    assert (
        resolve(RetrainOptions(**values, mix="fashion-mnist", recipe="modern", photos=None, calibrated_by=None, backbone=None))
        == own
    )
    assert (own.floor, own.tolerance, own.force, own.resume) == ("<floor>", "<tolerance>", "<force>", "<resume>")
    assert (own.reading, own.label_column, own.workers, own.device) == (
        "<reading>",
        "<label_column>",
        "<workers>",
        "<device>",
    )
