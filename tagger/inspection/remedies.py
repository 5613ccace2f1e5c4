"""Say why a photo failed and what to do about it, in words that photos with the same fault share."""

import re
from collections.abc import Mapping
from pathlib import Path

from tagger.file_kinds import START, UNKNOWN, kind_of
from tagger.records import Failed

REMEDIES: Mapping[str, str] = {
    "missing": "Compare the path with the folder, and copy the photo to where the path says.",
    "unreadable": "Open the file in a picture viewer, and export or copy it again.",
    "truncated": "Copy or upload the file again; --allow-truncated tags what there is of it.",
    "too_large": "Scale the photo down.",
    "not_an_image": "Replace the file by the photo that its name promises.",
    "bad_row": "Mend the row, or export the table again.",
}
"""What to do, by the reason of the failure."""

ADDRESS_REMEDY = "Download the photos first, and put the paths of the files in place of the addresses."

_NUMBER = re.compile(r"\d[\d.,x]*")

_EXTRA = re.compile(r"fmtag\[[\w,-]+\]")


def remedy_of(reason: str, cause: str) -> str:
    """Return what to do about a failure, in one sentence."""
    if extras := extras_in(cause):
        return f"{install_command(extras)}."
    if is_address(cause):
        return ADDRESS_REMEDY
    return REMEDIES.get(reason, "Look at the file or the row that is named.")


def cause_of(failed: Failed, *names: str) -> str:
    """Return why a photo failed without what differs from file to file: `names` that the detail begins with, and numbers.

    Of a file that is no image it names what it holds instead, where that is known.
    """
    cause = failed.detail
    for name in (*names, *map(repr, names)):
        if name:
            cause = cause.removeprefix(f"{name}: ")
    kind = _kind_of(names[0]) if failed.reason == "not_an_image" else ""
    return kind or _NUMBER.sub("N", cause)


def is_address(cause: str) -> bool:
    """Return whether a failure is that of a path that is a web address."""
    return cause.startswith("an address")


def extras_in(text: str) -> set[str]:
    """Return the extras that a text tells the user to install, such as `fmtag[heif]`."""
    return set(_EXTRA.findall(text))


def install_command(extras: set[str]) -> str:
    """Return the command that installs extras."""
    return "pip install " + " ".join(f"'{extra}'" for extra in sorted(extras))


def _kind_of(place: str) -> str:
    """Return what a file holds, such as "an XML or HTML document"; empty where that is unknown."""
    try:
        with Path(place).open("rb") as file:
            kind = kind_of(file.read(START), Path(place).suffix)
    except (OSError, ValueError):
        return ""
    return "" if kind is UNKNOWN else kind.name
