"""`docs/inputs.md` names every format, table, reason and kind of entry that is left out, so that it stays true."""

import re
from dataclasses import fields
from typing import get_args

import pytest
from helpers import ROOT

from tagger.catalog import content, selection
from tagger.catalog.export_formats import EXPORT_FORMATS
from tagger.catalog.settings import TABLE_FORMATS, SourceSettings
from tagger.cli.run import run
from tagger.file_kinds import IMAGE_SUFFIXES, TABLE_SUFFIXES
from tagger.photos.decode import FORMATS
from tagger.photos.settings import DecodeSettings
from tagger.records import FAILED_REASONS, NoImage

PAGE = (ROOT / "docs" / "inputs.md").read_text(encoding="utf-8")

CODE = set(re.findall(r"`([^`\n]+)`", PAGE))
"""Whatever the page writes as code."""

READING = {field.name for settings in (SourceSettings, DecodeSettings) for field in fields(settings)}

NAMES = {"MPO": "MPO", "WEBP": "WebP", "DIB": ".dib", "JPEG2000": "JPEG 2000"}
"""Pillow's names of formats that the page writes otherwise."""


@pytest.mark.parametrize("suffix", sorted(IMAGE_SUFFIXES) + sorted(TABLE_SUFFIXES))
def test_every_suffix_is_named(suffix: str) -> None:
    """Of photos and of tables."""
    assert suffix in CODE


@pytest.mark.parametrize("reason", [*FAILED_REASONS, *get_args(NoImage)])
def test_every_reason_has_a_line_with_what_to_do(reason: str) -> None:
    """In the table of reasons: what happened, and a remedy."""
    [row] = re.findall(rf"^\| `{reason}` \| (.+) \| (.+) \|$", PAGE, re.MULTILINE)
    assert all(row)


@pytest.mark.parametrize("format", [name for name in TABLE_FORMATS if name != "auto"])
def test_every_table_format_has_a_line(format: str) -> None:
    """With the columns that are read, one of which the line names."""
    [row] = re.findall(rf"^\| `{format}`.*$", PAGE, re.MULTILINE)
    if format in EXPORT_FORMATS:
        assert any(name in row for name in EXPORT_FORMATS[format].image)


@pytest.mark.parametrize("format", FORMATS)
def test_every_image_format_is_named(format: str) -> None:
    """As people write its name."""
    assert NAMES.get(format, format) in PAGE


@pytest.mark.parametrize(
    "why",
    [
        selection.HIDDEN,
        selection.SYSTEM_FOLDER,
        selection.NOT_INCLUDED,
        content.CAMERA_RAW,
        content.PHOTOSHOP,
        content.LEFTOVER,
        content.NOT_A_PHOTO,
        content.NOT_A_FILE,
        content.UNREADABLE,
    ],
)
def test_every_reason_to_leave_an_entry_out_is_named(why: str) -> None:
    """In the table of the section on folders."""
    assert why in CODE


def test_every_option_that_decides_what_is_read_is_named() -> None:
    """Options of sources and of decoding."""
    names = {name for parameter in run.params for name in parameter.opts if parameter.name in READING}
    assert {name for name in names if not any(name in code for code in CODE)} == set()
