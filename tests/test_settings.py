"""Settings that commands share have values that can be used."""

from pathlib import Path

import pytest

from tagger.catalog.output import open_output
from tagger.models.registry import find_bundle
from tagger.settings import DEFAULT_MODEL, DEVICES, FORMATS, Format


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_can_be_written(tmp_path: Path, format: Format) -> None:
    """A format that is offered has a writer."""
    with open_output(str(tmp_path / "t"), format, {"path": None}, "m") as writer:
        writer.write({"path": "a.jpg"})
    assert b"a.jpg" in (tmp_path / "t").read_bytes()


def test_the_default_bundle_is_shipped() -> None:
    """A command without --model finds a bundle."""
    assert find_bundle(DEFAULT_MODEL).is_dir()


def test_devices_begin_with_the_choice_of_the_program() -> None:
    """`auto` is the default; the others are torch's names."""
    assert DEVICES == ("auto", "cpu", "cuda", "mps")
