"""Failures of one kind share their cause, and each has a remedy."""

import pytest

from tagger.inspection.remedies import (
    ADDRESS_REMEDY,
    REMEDIES,
    cause_of,
    detail_of,
    extras_in,
    install_command,
    is_address,
    remedy_of,
)
from tagger.records import FAILED_REASONS, Failed


def test_every_reason_has_a_remedy() -> None:
    """A reason that is added needs a sentence here, but for that of rows without an image, which are no failures."""
    assert set(FAILED_REASONS) - {"no_image"} <= set(REMEDIES)
    assert remedy_of("another", "").endswith(".")


@pytest.mark.parametrize(
    ("failed", "names", "detail"),
    [
        (Failed("truncated", "/a/b.jpg: 12 bytes are missing"), ("/a/b.jpg", "b.jpg"), "12 bytes are missing"),
        (
            Failed("too_large", "b.jpg: 10000x10000 pixels, more than 89,478,485"),
            ("b.jpg",),
            "10000x10000 pixels, more than 89,478,485",
        ),
        (Failed("bad_row", "t.csv: a row with more cells than columns"), ("", "t.csv"), "a row with more cells than columns"),
        (Failed("bad_row", "'\\x00': a path that no file can have"), ("\0",), "a path that no file can have"),
    ],
)
def test_a_detail_names_no_file(failed: Failed, names: tuple[str, ...], detail: str) -> None:
    """The name of the file, its path and that of the table stand before it in the report."""
    assert detail_of(failed, *names) == detail


def test_a_cause_has_no_number() -> None:
    """So that a thousand files with one fault are one line."""
    assert cause_of("10000x10000 pixels, more than 89,478,485") == "N pixels, more than N"
    assert cause_of("12 bytes are missing") == cause_of("345 bytes are missing")


def test_a_missing_extra_is_installed() -> None:
    """The remedy is the command of pip."""
    cause = "a HEIC photo; install fmtag[heif] to read it"
    assert extras_in(cause) == {"fmtag[heif]"}
    assert remedy_of("unreadable", cause) == "pip install 'fmtag[heif]'."
    assert install_command({"fmtag[heif]", "fmtag[excel]"}) == "pip install 'fmtag[excel]' 'fmtag[heif]'"


def test_an_address_is_downloaded() -> None:
    """Addresses are told from other rows that cannot be used."""
    cause = "an address, not a file; download the photos first"
    assert is_address(cause)
    assert remedy_of("bad_row", cause) == ADDRESS_REMEDY
