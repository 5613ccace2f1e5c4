"""Failures of one kind share their cause, and each has a remedy."""

from pathlib import Path

import pytest

from tagger.inspection.remedies import ADDRESS_REMEDY, REMEDIES, cause_of, extras_in, install_command, is_address, remedy_of
from tagger.records import FAILED_REASONS, Failed


def test_every_reason_has_a_remedy() -> None:
    """A reason that is added needs a sentence here, but for that of rows without an image, which are no failures."""
    assert set(FAILED_REASONS) - {"no_image"} <= set(REMEDIES)
    assert remedy_of("another", "").endswith(".")


@pytest.mark.parametrize(
    ("failed", "names", "cause"),
    [
        (Failed("truncated", "/a/b.jpg: 12 bytes are missing"), ("/a/b.jpg", "b.jpg"), "N bytes are missing"),
        (Failed("too_large", "b.jpg: 10000x10000 pixels, more than 89,478,485"), ("b.jpg",), "N pixels, more than N"),
        (Failed("bad_row", "t.csv: a row with more cells than columns"), ("", "t.csv"), "a row with more cells than columns"),
        (Failed("bad_row", "'\\x00': a path that no file can have"), ("\0",), "a path that no file can have"),
    ],
)
def test_a_cause_names_no_file_and_no_number(failed: Failed, names: tuple[str, ...], cause: str) -> None:
    """So that a thousand files with one fault are one line."""
    assert cause_of(failed, *names) == cause


def test_what_is_no_image_is_named(tmp_path: Path) -> None:
    """The content of the file tells more than that it is none."""
    (tmp_path / "a.jpg").write_text("<html>Error 404</html>")
    place = str(tmp_path / "a.jpg")
    assert cause_of(Failed("not_an_image", f"{place}: not an image"), place) == "an XML or HTML document"
    assert cause_of(Failed("not_an_image", "gone: not an image"), "gone") == "not an image"


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
