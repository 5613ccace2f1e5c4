"""Keep a ledger in a bucket: a run works on a copy on this machine, which is saved there now and then and when the run ends.

SQLite cannot work on an object. Beside the copy lies a note of the object that it stems from: while the bucket has that one,
the copy holds all of its results and maybe more, those of a run that was killed; otherwise the object is taken anew. It is
replaced only while it is the one that the copy stems from, so that no run's results are lost to those of another.
"""

import hashlib
import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tagger.errors import LedgerDamagedError, LedgerError, StorageError, reason_of
from tagger.run.ledger_file import SIDE_SUFFIXES, SUFFIX, database_errors
from tagger.storage.traffic import Traffic

if TYPE_CHECKING:
    from tagger.storage.stores import ObjectState

SECONDS_BETWEEN_SAVES = 600.0
"""During a run; so much work is lost at most with the machine that it runs on."""

NOTE, UNSAVED, TEMPORARY = "object.json", "unsaved.ledger", "object.tmp"
"""Files beside a working copy: the note of its object, a copy that could not be saved, and an object on its way."""

FileState = tuple[int, int]
"""Size and modification time of the working copy."""


class _Note(NamedTuple):
    """What a working copy stems from."""

    state: "ObjectState | None"
    """Of the object; None where there was none."""
    saved: FileState | None
    """Of the working copy when it was the same as the object; None where it never was."""


def working_copy(address: str) -> Path:
    """Return the file on this machine that runs work on for the ledger at an address; it need not exist."""
    from platformdirs import user_cache_path

    folder = hashlib.sha256(address.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    # A file of another kind is told by its name, and then never set aside as a damaged ledger.
    name = f"working{SUFFIX}" if address.endswith(SUFFIX) else "working.db"
    return user_cache_path("fmtag", appauthor=False) / "ledgers" / folder / name


def make_working_folder(address: str) -> None:
    """Make the folder of the working copy; raises `LedgerError` where that cannot be done."""
    folder = working_copy(address).parent
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise LedgerError(
            f"The folder {folder} for the working copy of the ledger {address} cannot be made ({reason_of(error)}); "
            "set XDG_CACHE_HOME to a folder that can be written, or give --ledger a file of this machine."
        ) from error


@contextmanager
def kept_in_bucket(
    address: str | None,
    path: Path | None,
    traffic: Traffic,
    warned: Callable[[str], None],
    ignore: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Iterator[Callable[[], None]]:
    """Bring the working copy `path` of the ledger at `address` up to date, and save it when the block ends, however it ends.

    Yields a function to call after each batch, which saves the ledger every `SECONDS_BETWEEN_SAVES`. The lock of the
    working copy is held already; signals are ignored, by `ignore`, during the last step. An address of None is that of a
    ledger on this machine, for which nothing is done.

    Raises `LedgerError` where another run has written the object since it was taken, or where it cannot be saved at the end;
    after an error of the block, `warned` gets that sentence. What was not saved is kept in the working copy.
    """
    if address is None or path is None:
        yield lambda: None
        return
    copy = _WorkingCopy(address, path, traffic, warned)
    copy.take()
    try:
        yield copy.save_if_due
    except BaseException:
        try:
            copy.save()
        except LedgerError as error:
            warned(str(error))
        raise
    with ignore():
        copy.save()


class _WorkingCopy:
    """The copy of a ledger that a run works on."""

    def __init__(self, address: str, path: Path, traffic: Traffic, warned: Callable[[str], None]) -> None:
        self._address = address
        self._path = path
        self._traffic = traffic
        self._warned = warned
        self._taken: ObjectState | None = None
        self._overtaken = False
        self._last_save = time.monotonic()

    def take(self) -> None:
        """Go on with the working copy where the object is the one that it stems from, else begin with the object."""
        from tagger.storage.objects import download, object_state

        with self._errors("cannot be used"):
            self._taken, note = object_state(self._address, self._traffic), self._read_note()
            if note is not None and note.state == self._taken and (self._taken is None or self._path.exists()):
                return
            arrived = self._path.with_name(TEMPORARY)
            if self._taken is not None:
                self._taken = download(self._address, arrived, self._traffic)
            self._clear(note)
            if self._taken is not None:
                os.replace(arrived, self._path)
            self._write_note(saved=self._taken is not None)

    def save_if_due(self) -> None:
        """Save the ledger in the bucket where that was long ago; if the bucket cannot be reached now, it is tried later."""
        if time.monotonic() - self._last_save < SECONDS_BETWEEN_SAVES:
            return
        try:
            self._upload()
        except LedgerError as error:
            if self._overtaken or isinstance(error, LedgerDamagedError):
                raise
            self._warned(f"{error} The run goes on, and tries again later.")
        self._last_save = time.monotonic()

    def save(self) -> None:
        """Save the ledger in the bucket, unless that has the same already."""
        note = self._read_note()
        if not self._overtaken and self._path.exists() and (note is None or self._differs(note)):
            self._upload()

    def _upload(self) -> None:
        from tagger.storage.objects import upload

        with self._errors("was not saved", f"Its results are kept in {self._path}, and the same command goes on with them."):
            closed = not self._side_files()
            whole = self._path if closed else self._snapshot()
            try:
                self._taken = upload(whole, self._address, self._traffic, self._taken)
            except FileExistsError as error:
                self._overtaken = True
                raise LedgerError(
                    f"Another run has written the ledger {self._address} since this one took it; the results of this one "
                    f"are not in it, but in {self._path}. Run the command again, and let one run at a time use a ledger."
                ) from error
            finally:
                if not closed:
                    whole.unlink()
            self._write_note(saved=closed)

    def _snapshot(self) -> Path:
        """Copy the ledger as it is now into a file of its own; it is open, and SQLite keeps the last changes beside it."""
        whole = self._path.with_name(TEMPORARY)
        whole.unlink(missing_ok=True)
        with (
            database_errors(self._address),
            closing(sqlite3.connect(self._path)) as source,
            closing(sqlite3.connect(whole)) as target,
        ):
            source.backup(target)
        return whole

    def _clear(self, note: _Note | None) -> None:
        """Remove the working copy; one with results that were never saved is kept under another name."""
        if note is not None and self._path.exists() and self._differs(note):
            aside = self._path.with_name(UNSAVED)
            for suffix in ("", *SIDE_SUFFIXES):
                Path(f"{aside}{suffix}").unlink(missing_ok=True)
                with suppress(FileNotFoundError):
                    os.replace(f"{self._path}{suffix}", f"{aside}{suffix}")
            self._warned(
                f"The ledger {self._address} is another one than this machine worked on last; results that were not saved "
                f"there are kept in {aside}."
            )
        # The note first: it must never stand beside a copy that stems from another object.
        for file in (self._path.with_name(NOTE), *self._side_files(), self._path):
            file.unlink(missing_ok=True)

    def _side_files(self) -> list[Path]:
        return [file for suffix in SIDE_SUFFIXES if (file := Path(f"{self._path}{suffix}")).exists()]

    def _differs(self, note: _Note) -> bool:
        """Return whether the working copy has been changed since it was the same as the object."""
        return note.saved != self._file_state() or bool(self._side_files())

    def _file_state(self) -> FileState:
        found = self._path.stat()
        return found.st_size, found.st_mtime_ns

    def _read_note(self) -> _Note | None:
        from tagger.storage.stores import ObjectState

        try:
            content = json.loads(self._path.with_name(NOTE).read_bytes())
            state, saved = content["state"], content["saved"]
            return _Note(None if state is None else ObjectState(*state), None if saved is None else (saved[0], saved[1]))
        except (OSError, ValueError, TypeError, LookupError):
            return None

    def _write_note(self, saved: bool) -> None:
        """Note the object that the working copy stems from; `saved` where it is the same."""
        note, temporary = self._path.with_name(NOTE), self._path.with_name(f"{NOTE}.tmp")
        content = {"address": self._address, **_Note(self._taken, self._file_state() if saved else None)._asdict()}
        temporary.write_text(json.dumps(content), encoding="utf-8")
        os.replace(temporary, note)

    @contextmanager
    def _errors(self, what: str, kept: str = "") -> Iterator[None]:
        """Raise errors of the bucket and of the disk as `LedgerError`."""
        try:
            yield
        except StorageError as error:
            raise LedgerError(f"The ledger {self._address} {what}: {error} {kept}".strip()) from error
        except OSError as error:
            raise LedgerError(
                f"The working copy {self._path} of the ledger {self._address} cannot be written ({reason_of(error)}); "
                "free disk space or set XDG_CACHE_HOME to another folder, and run again."
            ) from error
