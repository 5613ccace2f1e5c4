"""Say why a photo failed and what to do about it, in words that photos with the same fault share."""

import re
from collections.abc import Mapping

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


def detail_of(failed: Failed, *names: str) -> str:
    """Return what a failure says of a photo without the `names` of its file and source that it begins with."""
    detail = failed.detail
    for name in (*names, *map(repr, names)):
        if name:
            detail = detail.removeprefix(f"{name}: ").removeprefix(f"{name}, ")
    return detail


def cause_of(detail: str) -> str:
    """Return the detail of a failure without numbers, which differ from photo to photo."""
    return _NUMBER.sub("N", detail)


def is_address(cause: str) -> bool:
    """Return whether a failure is that of a path that is a web address."""
    return cause.startswith("an address")


def extras_in(text: str) -> set[str]:
    """Return the extras that a text tells the user to install, such as `fmtag[heif]`."""
    return set(_EXTRA.findall(text))


def install_command(extras: set[str]) -> str:
    """Return the command that installs extras."""
    return "pip install " + " ".join(f"'{extra}'" for extra in sorted(extras))
