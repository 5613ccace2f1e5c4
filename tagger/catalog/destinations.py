"""Open what a command writes, a file of this machine or an object of a bucket, and replace it as a whole."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from tagger.errors import OutputError, StorageError, reason_of
from tagger.files import atomic_write, remove_leftovers
from tagger.storage.addresses import bucket_address, has_user, is_bucket, is_remote, shown
from tagger.storage.traffic import Traffic

PREFIX = "fmtag-"
"""Of the folder that holds the new content of an object until it is whole."""


@contextmanager
def open_destination(
    place: str | Path, traffic: Traffic | None = None, waiting: Callable[[], None] = lambda: None
) -> Iterator[IO[bytes]]:
    """Open a file for writing that replaces `place`, a path or an address, when the block ends well, and else changes nothing.

    A path is written as `files.atomic_write` does. The content of an object is collected on the disk and uploaded as a
    whole; `traffic` counts that. Raises `OSError` where a file cannot be written, and `OutputError` where an object cannot.
    """
    if not is_remote(str(place)):
        with atomic_write(Path(place), waiting) as file:
            yield file
        return
    from tagger.storage.objects import upload

    with tempfile.TemporaryDirectory(prefix=PREFIX) as folder:
        whole = Path(folder, "object")
        with whole.open("wb") as file:
            yield file
        try:
            upload(whole, str(place), Traffic() if traffic is None else traffic)
        except StorageError as error:
            raise OutputError(str(error)) from error


def write_destination(
    place: str | Path, content: bytes, traffic: Traffic | None = None, waiting: Callable[[], None] = lambda: None
) -> None:
    """Write a file or an object, or replace it as a whole; raises `OutputError` where it cannot be written.

    `waiting` is called where the reader of a named pipe is waited for.
    """
    try:
        with open_destination(place, traffic, waiting) as file:
            file.write(content)
    except OSError as error:
        raise OutputError(f"{shown(str(place))} cannot be written ({reason_of(error)}).") from error


def remove_leftovers_of(place: str | Path) -> None:
    """Remove the temporary files that killed processes have left beside a path; an address has none."""
    if not is_remote(str(place)):
        remove_leftovers(Path(place))


def why_no_object(address: str) -> str:
    """Return why nothing can be written to an address of that form, as the end of a sentence; empty where something can."""
    if not is_bucket(address):
        return "it is on a web server, and fmtag writes to files and to buckets (s3://, gs://, az://) only"
    if has_user(address):
        return "it holds credentials, which are taken from the environment only"
    _, bucket, key = bucket_address(address)
    return "" if bucket and key and not key.endswith("/") else "it names a bucket or a folder, and no object in it"


def why_unreachable(address: str, traffic: Traffic) -> str:
    """Return, in a sentence, why the bucket of an address cannot be used; empty where it answers, to one or two requests."""
    from tagger.storage.objects import state_before_writing

    try:
        state_before_writing(address, traffic)
    except StorageError as error:
        return str(error)
    return ""
