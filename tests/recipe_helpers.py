"""Stored recipes under their earlier names, and errors as one sentence."""

from collections.abc import Callable
from typing import Any

import pytest

from tagger.errors import FmtagError
from tagger.training.recipe import CYCLE_ALIASES, RECIPE_ALIASES


def refusal(wrong: type[FmtagError], call: Callable[[], object]) -> str:
    """Return the message, one sentence, of the error that `call` raises."""
    with pytest.raises(wrong) as caught:
        call()
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(".")
    return str(caught.value)


def with_earlier_names(recipe: dict[str, Any]) -> dict[str, Any]:
    """Return a stored recipe with the earlier names of its fields and of those of its cycles."""
    earlier = {present: name for name, present in (CYCLE_ALIASES | RECIPE_ALIASES).items()}
    cycles = [{earlier.get(name, name): value for name, value in cycle.items()} for cycle in recipe["cycles"]]
    return {earlier.get(name, name): value for name, value in (recipe | {"cycles": type(recipe["cycles"])(cycles)}).items()}
