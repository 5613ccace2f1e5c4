"""Recipe files: written, read back, edited by hand, refused."""

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from recipe_helpers import refusal, with_earlier_names

from tagger.errors import ConfigurationError, OutputError
from tagger.training import recipe_file
from tagger.training.recipe import (
    CYCLE_ALIASES,
    NETWORKS,
    NETWORKS_WITH_ORIGINAL_RECIPE,
    RECIPE_ALIASES,
    Cycle,
    NetworkName,
    Recipe,
)
from tagger.training.recipes import original_recipe, recipe_of


def written(path: Path, recipe: Recipe | None = None) -> dict[str, Any]:
    """Write a recipe file and return its content, for a test to change."""
    recipe_file.write(path, recipe or recipe_of("tiny"), {"trials": 3})
    content: dict[str, Any] = json.loads(path.read_text())
    return content


@pytest.mark.parametrize("network", NETWORKS)
def test_a_recipe_is_read_as_it_was_written(tmp_path: Path, network: NetworkName) -> None:
    """Every built-in recipe is written and read back without any loss."""
    recipes = [recipe_of(network), recipe_of(network, 3, 7), replace(recipe_of(network), sgd_lr=0.1 + 0.2)]
    for recipe in [*recipes, original_recipe(network)] if network in NETWORKS_WITH_ORIGINAL_RECIPE else recipes:
        recipe_file.write(tmp_path / "recipe.json", recipe, {})
        assert recipe == recipe_file.read(tmp_path / "recipe.json")


def test_every_number_has_a_range() -> None:
    """Every numeric field of a recipe has a range."""
    numbers = {field.name for kind in (Cycle, Recipe) for field in fields(kind) if field.type in (int, float)}
    assert numbers == set(recipe_file.LIMITS)


def test_files_edited_by_hand_are_read(tmp_path: Path) -> None:
    """Integers in place of floats, a missing `found`, and a byte order mark do no harm."""
    path = tmp_path / "recipe.json"
    content = written(path)
    content["recipe"]["cycles"][0]["peak_lr_scale"] = 1
    del content["found"]
    path.write_text(json.dumps(content), encoding="utf-8-sig")
    assert recipe_of("tiny") == recipe_file.read(path)
    assert isinstance(recipe_file.read(path).cycles[0].peak_lr_scale, float)


@pytest.mark.parametrize(
    ("at", "value", "part"),
    [
        ("sgd_lr", "fast", 'recipe.sgd_lr must be a number, not "fast"'),
        ("sgd_lr", True, "recipe.sgd_lr must be a number, not true"),
        ("sgd_lr", -0.1, "recipe.sgd_lr must be from"),
        ("sgd_lr", float("nan"), "recipe.sgd_lr must be from"),
        ("sgd_lr", float("inf"), "recipe.sgd_lr must be from"),
        ("sgd_lr", 10**400, "recipe.sgd_lr must be from"),
        ("batch_size", 64.0, "recipe.batch_size must be a whole number, not 64.0"),
        ("batch_size", 0, "recipe.batch_size must be from 2"),
        ("alternating_flip", 1, "recipe.alternating_flip must be true or false, not 1"),
        ("network", "huge", "recipe.network must be one of base, tiny"),
        ("network", ["tiny"], "recipe.network must be one of base, tiny"),
        ("optimizer", None, "recipe.optimizer must be one of muon, sgd, adam, not null"),
        ("mix", "catalog", "recipe.mix must be 'fashion-mnist'"),
        ("teachers", "residual", "recipe.teachers must be a list"),
        ("teachers", [1], "recipe.teachers[0] must be a text"),
        ("teachers", [], "recipe.cycles cannot be trained with"),
        ("cycles", [], "recipe.cycles cannot be trained with"),
        ("cycles", [3], "recipe.cycles[0] must be an object"),
        ("momentum", 0.9, "recipe.momentum is unknown; known: alternating_flip, batch_size"),
        ("ema_decoy", 0.9, "recipe.ema_decoy is unknown; the most similar field is ema_decay."),
        ("averageing", 0.9, "recipe.averageing is unknown; the most similar field is ema_decay."),
        ("shift", ..., "recipe.shift is missing"),
        (0, {"epochs": 0}, "recipe.cycles[0].epochs must be from 1"),
        (0, {"low_resolution_epochs": 131}, "recipe.cycles[0].low_resolution_epochs must not be more than"),
        (0, {"warmup_steps": 0}, "recipe.cycles[0].warmup_steps must be from 1"),
        (0, {"cutout_probability": 1.5}, "recipe.cycles[0].cutout_probability must be from 0 to 1, not 1.5"),
        (0, {"cutout": 1}, "recipe.cycles[0].cutout is unknown; the most similar field is cutout_size."),
    ],
)
def test_wrong_fields_are_named(tmp_path: Path, at: str | int, value: Any, part: str) -> None:
    """A field that is missing, unknown, of a wrong type or out of range gives one sentence that names file and field."""
    path = tmp_path / "recipe.json"
    content = written(path)
    recipe = content["recipe"]
    if value is ...:
        del recipe[at]
    elif isinstance(at, int):
        recipe["cycles"][at] |= value
    else:
        recipe[at] = value
    path.write_text(json.dumps(content))
    message = refusal(ConfigurationError, lambda: recipe_file.read(path))
    assert message.startswith(f"{path}: {part}")


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ("", "as JSON"),
        ("{'kind': 1}", "as JSON"),
        ("[" * 100_000, "as JSON"),
        ("[]", "is no recipe"),
        ('{"kind": "fmtag-bundle", "format": 1}', "is no recipe"),
        ('{"kind": "fmtag-recipe", "format": 3}', "newer fmtag"),
        ('{"kind": "fmtag-recipe", "format": true, "recipe": {}}', "format must be 2"),
        ('{"kind": "fmtag-recipe", "recipe": {}}', "format must be 2"),
        ('{"kind": "fmtag-recipe", "format": 1}', "recipe is missing"),
        ('{"kind": "fmtag-recipe", "format": 1, "recipe": {}, "recipes": 1}', "recipes is unknown"),
        ('{"kind": "fmtag-recipe", "format": 1, "recipe": 7}', "recipe must be an object, not 7"),
    ],
    ids=range(11),
)
def test_other_files_are_refused(tmp_path: Path, content: str, part: str) -> None:
    """A file that is not a recipe, or is from a newer fmtag, is refused in one sentence that names it."""
    path = tmp_path / "recipe.json"
    path.write_text(content)
    message = refusal(ConfigurationError, lambda: recipe_file.read(path))
    assert message.startswith(str(path))
    assert part in message
    refusal(ConfigurationError, lambda: recipe_file.read(tmp_path))


def test_a_file_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    """A recipe in a folder that does not exist gives one sentence."""
    refusal(OutputError, lambda: recipe_file.write(tmp_path / "none" / "recipe.json", recipe_of("tiny"), {}))


@pytest.mark.parametrize("version", [1, 2])
def test_earlier_names_of_fields_are_read(tmp_path: Path, version: int) -> None:
    """A file with the names of format 1 gives the same recipe as one with the present names."""
    recipe = replace(recipe_of("residual"), ema_decay=0.9, class_weighted=True, alternating_flip=False)
    content = written(tmp_path / "recipe.json", recipe)
    content |= {"format": version, "recipe": with_earlier_names(content["recipe"])}
    assert {"averaging", "balanced", "steady", "mirrored"} <= content["recipe"].keys()
    assert {"peak", "erase_share", "small_side"} <= content["recipe"]["cycles"][0].keys()
    (tmp_path / "recipe.json").write_text(json.dumps(content))
    assert recipe_file.read(tmp_path / "recipe.json") == recipe


def test_files_are_written_with_present_names(tmp_path: Path) -> None:
    """A new file has format 2 and none of the earlier names."""
    content = written(tmp_path / "recipe.json")
    assert content["format"] == 2
    assert not content["recipe"].keys() & RECIPE_ALIASES.keys()
    assert not content["recipe"]["cycles"][0].keys() & CYCLE_ALIASES.keys()


def test_a_field_under_both_names_is_refused(tmp_path: Path) -> None:
    """Which of two values is meant cannot be known, whether they differ or not, and in whatever order they stand."""
    path = tmp_path / "recipe.json"
    content = written(path)
    content["recipe"]["averaging"] = content["recipe"]["ema_decay"]
    path.write_text(json.dumps(content))
    message = refusal(ConfigurationError, lambda: recipe_file.read(path))
    assert message == f"{path}: recipe has ema_decay and also averaging, its earlier name; keep one of them."
    content = written(path)
    content["recipe"]["cycles"][0] = {"erase_side": 5} | content["recipe"]["cycles"][0]
    path.write_text(json.dumps(content))
    message = refusal(ConfigurationError, lambda: recipe_file.read(path))
    assert message == f"{path}: recipe.cycles[0] has cutout_size and also erase_side, its earlier name; keep one of them."


def test_errors_use_the_name_in_the_file(tmp_path: Path) -> None:
    """A value out of range is reported under the earlier name where the file has that one."""
    path = tmp_path / "recipe.json"
    content = written(path)
    content["recipe"]["averaging"] = content["recipe"].pop("ema_decay") + 1
    path.write_text(json.dumps(content))
    assert "recipe.averaging must be from 0 to 1" in refusal(ConfigurationError, lambda: recipe_file.read(path))
