"""Recipe files: written by `fmtag tune`, edited by hand, read by `fmtag retrain --recipe`."""

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from tagger.errors import ConfigurationError, reason_of
from tagger.files import write_json
from tagger.models.config import MAX_ENSEMBLE_MEMBERS
from tagger.training.recipe import CYCLE_ALIASES, RECIPE_ALIASES, Cycle, Recipe

KIND = "fmtag-recipe"

FORMAT = 2
"""Version of the file. Format 1 had the earlier names of fields, which are still read, in both formats."""

LIMITS: Mapping[str, tuple[float, float]] = {
    # of a cycle
    "epochs": (1, 100_000),
    "peak_lr_scale": (1e-9, 100),
    "low_resolution_epochs": (0, 100_000),
    "low_resolution": (8, 28),
    "warmup_steps": (1, 1_000_000),
    "label_smoothing": (0, 1),
    "cutout_probability": (0, 1),
    "cutout_size": (0, 56),
    "distillation": (0, 1),
    "easy_keep_fraction": (0, 1),
    "fashion_mnist_weight": (0, 1000),
    # of a recipe
    "batch_size": (2, 65_536),
    "muon_lr": (1e-9, 1),
    "sgd_lr": (1e-9, 1),
    "weight_decay": (0, 1),
    "shift": (0, 14),
    "ema_decay": (0, 1),
    "patience": (0, 100_000),
    "ensemble": (1, MAX_ENSEMBLE_MEMBERS),
    "seed": (0, 2**40),
}
"""Least and greatest value of each numeric field with which training can begin."""

_TYPE_NAMES = {bool: "true or false", str: "a text", int: "a whole number", float: "a number", tuple: "a list"}

Part = TypeVar("Part", Cycle, Recipe)


def write(path: Path, recipe: Recipe, found: Mapping[str, Any]) -> None:
    """Write a recipe, and metadata on how it was found, to `path` atomically; raises `OutputError`."""
    content = {"kind": KIND, "format": FORMAT, "recipe": asdict(recipe), "found": dict(found)}
    write_json(path, content)


def read(path: Path) -> Recipe:
    """Read and validate a recipe file, with the present or the earlier names of its fields.

    Raises `ConfigurationError`, which names file and field, for a file that is not a recipe or is from a newer fmtag, for a
    field that is missing, unknown or given under both of its names, and for a value of a wrong type or out of range.
    """
    content = _content(path)
    version = content.get("format")
    if type(version) is int and version > FORMAT:
        raise ConfigurationError(f"{path} has format {version} and is from a newer fmtag; update fmtag to use it.")
    if type(version) is not int or version < 1:
        raise ConfigurationError(f"{path}: format must be {FORMAT}, not {_shown(version)}.")
    _check_names(content, {"kind", "format", "recipe"}, {"found"}, f"{path}: ")
    recipe = _parse(Recipe, content["recipe"], f"{path}: recipe")
    if recipe.mix != "fashion-mnist":
        raise ConfigurationError(
            f"{path}: recipe.mix must be 'fashion-mnist'; use fmtag retrain --mix catalog for the other mix."
        )
    for number, cycle in enumerate(recipe.cycles):
        if cycle.low_resolution_epochs > cycle.epochs:
            raise ConfigurationError(f"{path}: recipe.cycles[{number}].low_resolution_epochs must not be more than its epochs.")
    return recipe


def _content(path: Path) -> dict[str, Any]:
    """Return the JSON object in a recipe file."""
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read ({reason_of(error)}).") from error
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(
            f"{path} cannot be read as JSON ({error}); correct it, or write it again with fmtag tune."
        ) from error
    if not isinstance(content, dict) or content.get("kind") != KIND:
        raise ConfigurationError(f"{path} is no recipe, whose kind is {KIND!r}; give a file that fmtag tune wrote.")
    return content


def _parse(kind: type[Part], value: object, place: str) -> Part:
    """Return a JSON object as the dataclass `kind`, each field checked."""
    if not isinstance(value, dict):
        raise ConfigurationError(f"{place} must be an object, not {_shown(value)}.")
    aliases = CYCLE_ALIASES if kind is Cycle else RECIPE_ALIASES
    written = _written_names(value, aliases, place)
    values = {name: value[written[name]] for name in written}
    names = {field.name for field in fields(kind)}
    _check_names(values, names, set(), f"{place}.", aliases)
    hints = get_type_hints(kind)
    try:
        return kind(**{name: _typed(hints[name], values[name], f"{place}.{written[name]}", LIMITS.get(name)) for name in names})
    except ValueError as error:
        raise ConfigurationError(f"{place}.cycles cannot be trained with: {error}.") from error


def _written_names(value: Mapping[str, Any], aliases: Mapping[str, str], place: str) -> dict[str, str]:
    """Return the name in the file of each field, by its present name; refuse a field that is there under both."""
    written: dict[str, str] = {}
    for name in value:
        present = aliases.get(name, name)
        if present in written:
            old = name if name != present else written[present]
            raise ConfigurationError(f"{place} has {present} and also {old}, its earlier name; keep one of them.")
        written[present] = name
    return written


def _check_names(
    value: Mapping[str, Any],
    needed: set[str],
    optional: set[str],
    before: str,
    aliases: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Refuse an object with an unknown field, naming the most similar one, or with a field missing."""
    known = sorted(needed | optional)
    for name in sorted(value.keys() - known):
        similar = get_close_matches(name, [*known, *aliases], n=1)
        hint = f"the most similar field is {aliases.get(similar[0], similar[0])}" if similar else f"known: {', '.join(known)}"
        raise ConfigurationError(f"{before}{name} is unknown; {hint}.")
    for name in sorted(needed - value.keys()):
        raise ConfigurationError(f"{before}{name} is missing; every field must be given.")


def _typed(hint: Any, value: Any, place: str, limits: tuple[float, float] | None) -> Any:
    """Return a JSON value as the type `hint` of a field, within its limits."""
    if hint is Cycle:
        return _parse(Cycle, value, place)
    if get_origin(hint) is Literal:
        if value not in get_args(hint):
            raise ConfigurationError(f"{place} must be one of {', '.join(get_args(hint))}, not {_shown(value)}.")
        return value
    if get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise ConfigurationError(f"{place} must be {_TYPE_NAMES[tuple]}, not {_shown(value)}.")
        return tuple(_typed(get_args(hint)[0], item, f"{place}[{number}]", None) for number, item in enumerate(value))
    accepted = (int, float) if hint is float else (hint,)
    if type(value) not in accepted:  # not isinstance, for which true and false are integers
        raise ConfigurationError(f"{place} must be {_TYPE_NAMES[hint]}, not {_shown(value)}.")
    if limits is not None and not limits[0] <= value <= limits[1]:
        raise ConfigurationError(f"{place} must be from {limits[0]:,} to {limits[1]:,}, not {_shown(value)}.")
    return hint(value)


def _shown(value: object) -> str:
    """Return a value as JSON, cut to 40 characters."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else text[:40] + "..."
