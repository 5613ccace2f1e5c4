"""The settings of an export change nothing unless they are given."""

from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest
from click import Choice

from tagger.cli.main import cli
from tagger.inference.settings import RUNTIMES, ExportSettings


def test_an_export_is_whole_by_default() -> None:
    """Without options nothing is pruned or quantized, and settings cannot change on their way."""
    settings = ExportSettings("base", "onnx", Path("network.onnx"))
    assert (settings.int8, settings.prune, settings.data) == (False, 0.0, None)
    with pytest.raises(FrozenInstanceError):
        settings.prune = 0.5  # type: ignore[misc]


def test_the_command_offers_every_runtime() -> None:
    """The choices of `--to` are the runtimes that an export can be for."""
    (option,) = (option for option in cli.get_command(None, "export").params if option.name == "to")  # type: ignore[arg-type, union-attr]
    assert isinstance(option.type, Choice)
    assert tuple(option.type.choices) == RUNTIMES
