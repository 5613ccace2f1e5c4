"""A recipe as a file: `fmtag tune` writes it, a person may edit it, `fmtag retrain --recipe` reads it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from tagger.errors import ConfigurationError
from tagger.files import write_json
from tagger.models.config import MAX_ENSEMBLE_MEMBERS
from tagger.training.recipe import Cycle, Recipe

KIND, FORMAT = "fmtag-recipe", 1

LIMITS: Mapping[str, tuple[float, float]] = {
    # of a cycle
    "epochs": (1, 100_000),
    "peak": (1e-9, 100),
    "small_epochs": (0, 100_000),
    "small_side": (8, 28),
    "warmup_steps": (1, 1_000_000),
    "label_smoothing": (0, 1),
    "erase_share": (0, 1),
    "erase_side": (0, 56),
    "distillation": (0, 1),
    "easy_share": (0, 1),
    "native_weight": (0, 1000),
    # of a recipe
    "batch_size": (2, 65_536),
    "muon_lr": (1e-9, 1),
    "sgd_lr": (1e-9, 1),
    "weight_decay": (0, 1),
    "shift": (0, 14),
    "averaging": (0, 1),
    "patience": (0, 100_000),
    "ensemble": (1, MAX_ENSEMBLE_MEMBERS),
    "seed": (0, 2**40),
}
"""Least and greatest value of each number with which training can begin at all."""

_NAMES = {bool: "true or false", str: "a text", int: "a whole number", float: "a number", tuple: "a list"}

Part = TypeVar("Part", Cycle, Recipe)


def write(path: Path, recipe: Recipe, found: Mapping[str, Any]) -> None:
    """Replace the file `path` as a whole by a recipe and a word on how it was found; raises `OutputError`."""
    content = {"kind": KIND, "format": FORMAT, "recipe": asdict(recipe), "found": dict(found)}
    write_json(path, content)


def read(path: Path) -> Recipe:
    """Return the recipe in the file `path`.

    Raises `ConfigurationError`, which names file and field, where the file is none, is from a newer fmtag, lacks a field or has
    one more, or where a value is of another type or cannot be trained with.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read ({error.strerror or error}).") from error
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{path} cannot be read as JSON ({error}); mend it, or let fmtag tune write it.") from error
    if not isinstance(content, dict) or content.get("kind") != KIND:
        raise ConfigurationError(f"{path} is no recipe, whose kind is {KIND!r}; give a file that fmtag tune wrote.")
    version = content.get("format")
    if type(version) is int and version > FORMAT:
        raise ConfigurationError(f"{path} has format {version} and is from a newer fmtag; update fmtag to use it.")
    if type(version) is not int or version < 1:
        raise ConfigurationError(f"{path}: format must be {FORMAT}, not {_shown(version)}.")
    _check_names(content, {"kind", "format", "recipe"}, {"found"}, f"{path}: ")
    recipe = _part(Recipe, content["recipe"], f"{path}: recipe")
    if recipe.mix != "fashion-mnist":
        raise ConfigurationError(f"{path}: recipe.mix must be 'fashion-mnist'; the mix of catalog has a recipe of its own.")
    for number, cycle in enumerate(recipe.cycles):
        if cycle.small_epochs > cycle.epochs:
            raise ConfigurationError(f"{path}: recipe.cycles[{number}].small_epochs must not be more than its epochs.")
    return recipe


def _part(kind: type[Part], value: object, place: str) -> Part:
    """Return a JSON object as the dataclass `kind`, each field checked."""
    if not isinstance(value, dict):
        raise ConfigurationError(f"{place} must be an object, not {_shown(value)}.")
    names = {field.name for field in fields(kind)}
    _check_names(value, names, set(), f"{place}.")
    hints = get_type_hints(kind)
    try:
        return kind(**{name: _typed(hints[name], value[name], f"{place}.{name}", LIMITS.get(name)) for name in names})
    except ValueError as error:
        raise ConfigurationError(f"{place}.cycles cannot be trained with: {error}.") from error


def _check_names(value: Mapping[str, Any], needed: set[str], optional: set[str], before: str) -> None:
    """Refuse an object that lacks a field, or has one that there is not."""
    for name in sorted(needed - value.keys()):
        raise ConfigurationError(f"{before}{name} is missing; every field has to be there.")
    for name in sorted(value.keys() - needed - optional):
        raise ConfigurationError(f"{before}{name} is unknown; there are: {', '.join(sorted(needed | optional))}.")


def _typed(hint: Any, value: Any, place: str, limits: tuple[float, float] | None) -> Any:
    """Return a JSON value as what the type `hint` of a field says, within its limits."""
    if hint is Cycle:
        return _part(Cycle, value, place)
    if get_origin(hint) is Literal:
        if value not in get_args(hint):
            raise ConfigurationError(f"{place} must be one of {', '.join(get_args(hint))}, not {_shown(value)}.")
        return value
    if get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise ConfigurationError(f"{place} must be {_NAMES[tuple]}, not {_shown(value)}.")
        return tuple(_typed(get_args(hint)[0], one, f"{place}[{number}]", None) for number, one in enumerate(value))
    taken = (int, float) if hint is float else (hint,)
    if type(value) not in taken:  # not isinstance: true and false are whole numbers to it
        raise ConfigurationError(f"{place} must be {_NAMES[hint]}, not {_shown(value)}.")
    if limits is not None and not limits[0] <= value <= limits[1]:
        raise ConfigurationError(f"{place} must be from {limits[0]:,} to {limits[1]:,}, not {_shown(value)}.")
    return hint(value)


def _shown(value: object) -> str:
    """Return a value as it stands in the file, short enough for a sentence."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else text[:40] + "..."
