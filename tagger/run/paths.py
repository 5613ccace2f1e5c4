"""List the files that a run reads and writes, and find the ledger that belongs to it."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from tagger.catalog.output_paths import Input, Output
from tagger.errors import LedgerError
from tagger.file_names import with_ending
from tagger.models import card
from tagger.run.bucket_ledger import make_working_folder, working_copy
from tagger.run.ledger_file import LONGEST_LEDGER_NAME, SIDE_SUFFIXES, SUFFIX, exclusive, lock_path
from tagger.run.ledger_queries import LAST_RUN
from tagger.run.ledger_values import text_of
from tagger.run.settings import RunSettings
from tagger.storage.addresses import is_remote, join, name, parent, shown, split_signature
from tagger.streams import is_stream


class _Owner(NamedTuple):
    """What the last run of a ledger read and wrote."""

    source: str
    out: str


def source_key(source: str) -> str:
    """Return the source as the ledger records it: an absolute path, an address without its signature, or `-`."""
    return source if source == "-" else split_signature(source)[0] if is_remote(source) else os.path.realpath(source)


def ledger_address(settings: RunSettings) -> str | None:
    """Return the address of a ledger in a bucket: `--ledger`, else the one beside an output there; None for any other."""
    if settings.ledger is not None:
        return settings.ledger if isinstance(settings.ledger, str) and is_remote(settings.ledger) else None
    if not is_remote(settings.out):
        return None
    return join(parent(settings.out), with_ending(Path(name(settings.out)).stem, SUFFIX, LONGEST_LEDGER_NAME))


def ledger_name(settings: RunSettings) -> str | None:
    """Return the ledger as messages and reports name it: its address or its path; None where there is none."""
    path = ledger_address(settings) or ledger_path(settings)
    return None if path is None else shown(str(path))


def ledger_in_messages(settings: RunSettings) -> str | None:
    """Return what the messages of SQLite's errors call a ledger in a bucket; None for any other, which its path names."""
    address = ledger_address(settings)
    return None if address is None else f"{address}, whose working copy is {working_copy(address)},"


def ledger_path(settings: RunSettings) -> Path | None:
    """Return the ledger's file: `--ledger`, else the one beside the output, or None where the output is not a file.

    For a ledger in a bucket it is the working copy on this machine. Beside the output it is `tags.ledger` for `tags.csv`,
    whatever the format. Where another catalog uses `tags.ledger`, as its last run had another source and an output of another
    suffix, such as `tags.json`, it is `tags.csv.ledger`.
    """
    if (address := ledger_address(settings)) is not None:
        return working_copy(address)
    if settings.ledger is not None:
        return Path(settings.ledger)
    out = Path(settings.out)
    if is_stream(settings.out) or not out.name:  # a folder, which is refused
        return None
    usual, own = (out.with_name(with_ending(name, SUFFIX, LONGEST_LEDGER_NAME)) for name in (out.stem, out.name))
    usual_owner, own_owner = _owner(usual), _owner(own)
    if usual_owner is None and own_owner is None:
        return usual  # new, damaged, or no ledger at all, which is found out when it is opened
    return max((usual, usual_owner), (own, own_owner), key=lambda one: _closeness(settings, one[1]))[0]


def ledger_of_output(out: Path) -> Path:
    """Return the ledger of an output that exists, or the ledger itself where `out` is one.

    Raises `LedgerError` where there is none beside the output.
    """
    if out.name.endswith(SUFFIX) and out.is_file():
        return out
    ledger = ledger_path(RunSettings(source="-", out=str(out))) if out.name else None
    if ledger is None or not ledger.is_file():
        raise LedgerError(
            f"There is no ledger beside {out}; give the output of a `fmtag run`, or --ledger the file of its results."
        )
    return ledger


def last_source(ledger: Path) -> str | None:
    """Return the source of the last run of a ledger, as `source_key` has it; None where it has none, or cannot be read."""
    owner = _owner(ledger)
    return None if owner is None else owner.source


def _closeness(settings: RunSettings, owner: _Owner | None) -> int:
    """Return how surely a ledger is the one of this run, by its last one; a ledger that does not exist could be any run's."""
    if owner is None:
        return 1
    same_source = owner.source == source_key(settings.source) != "-"  # two lists on standard input may be of two catalogs
    return 4 * same_source + 2 * (Path(owner.out).suffix == Path(settings.out).suffix)


def _owner(ledger: Path) -> _Owner | None:
    """Return what the last run of a ledger read and wrote; None where it has none, or cannot be read."""
    try:
        if not ledger.is_file():
            return None
        with closing(sqlite3.connect(ledger, isolation_level=None)) as sql:
            found = sql.execute(LAST_RUN).fetchone()
        return None if found is None else _Owner(*map(text_of, found))
    except (OSError, ValueError, sqlite3.Error):
        return None


@contextmanager
def locked_ledger(settings: RunSettings) -> Iterator[Path | None]:
    """Hold the lock of the run's ledger during the block, and yield the ledger's path, as `ledger_path` returns it.

    It is found again once it is locked: the run that held it may have begun it for another catalog. Raises `LockedError` and
    `LedgerError` as `exclusive` does.
    """
    if (address := ledger_address(settings)) is not None:
        make_working_folder(address)
    path, found = ledger_path(settings), None
    while True:
        with exclusive(path, settings.wait):
            found = ledger_path(settings)
            if found == path:
                yield path
                return
        path = found


def outputs_of(settings: RunSettings) -> list[Output]:
    """Return all files that a run writes; the report comes last, so that it is the one refused where two paths are equal."""
    return [
        Output("--out", settings.out),
        Output("--changes", settings.changes),
        *(Output("--ledger", file, "database") for file in _ledger_files(settings)),
        Output("--debug-garments", settings.debug_garments, "images"),
        Output("--report", settings.report),
    ]


def _ledger_files(settings: RunSettings) -> list[str | Path | None]:
    """Return the ledger, with its lock and SQLite's files; those of a working copy are out of the way of all others."""
    if (address := ledger_address(settings)) is not None:
        return [address]
    path = ledger_path(settings)
    if path is None:
        return [None]
    return [path, lock_path(path), *(Path(f"{os.path.realpath(path)}{suffix}") for suffix in SIDE_SUFFIXES)]


def inputs_of(settings: RunSettings) -> list[Input]:
    """Return all files that a run reads, except for the photos of the source."""
    return [
        *([] if settings.source == "-" else [Input("the source itself", settings.source)]),
        *([] if settings.label_map is None else [Input("the label map", settings.label_map)]),
        *(Input("a file of the bundle that tags", file) for file in card.files_of(settings.model)),
    ]
