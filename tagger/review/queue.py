"""Read the review's queue from the ledger: flagged photos by predicted tag, the most doubtful first, a page at a time."""

from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple, TypeVar

from tagger.review import queue_queries as queries
from tagger.review.columns import Columns
from tagger.review.details import read_details
from tagger.review.labels import Label, read_labels
from tagger.review.ledger_reader import LedgerReader
from tagger.review.queue_queries import Counted, Query
from tagger.review.queue_rows import queue_row
from tagger.review.queue_values import (
    Count,
    Cursor,
    Decision,
    Details,
    Facets,
    Filters,
    NightCount,
    Page,
    QueueRow,
    Show,
    TagCount,
)

__all__ = [
    "Count",
    "Cursor",
    "Decision",
    "Details",
    "Facets",
    "Filters",
    "Label",
    "NightCount",
    "Page",
    "QueueRow",
    "ReviewQueue",
    "TagCount",
]

PAGE_ROWS = 60
"""Photos of a page by default."""

MAX_FOLDERS = 50
"""Folders that `facets` lists."""

RARE_SHARE = 0.02
"""A label is rare if fewer rows of the output than this share have it."""

KEPT_COUNTS = 32
"""Combinations of folder and text whose counts are kept until the ledger changes."""

Value = TypeVar("Value")


class _Cell(NamedTuple):
    """Rows that agree in what filters select by."""

    tag: str
    reason: str
    group: str
    night: int
    photos: int


class ReviewQueue:
    """The photos of a ledger that are to be reviewed, for any number of threads.

    Every method reads the ledger as it is at its call. Raises `LedgerError` where it cannot be read.

    Args:
        ledger: of the runs.
        columns: the other columns of the output; None where there are none.
    """

    def __init__(self, ledger: Path, columns: Columns | None = None) -> None:
        self.reader = LedgerReader(ledger)
        self._columns = columns
        self._kept: OrderedDict[Any, tuple[object, Any]] = OrderedDict()
        self._lock = Lock()

    def __enter__(self) -> "ReviewQueue":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections to the ledger."""
        self.reader.close()

    # Counts ----------------------------------------------------------------------------------------------------------

    def groups(self, filters: Filters) -> list[TagCount]:
        """Return the predicted tags of the rows that filters select, with how many are open and decided, most open first."""
        opened = _sums(self._cells(filters, "open"), filters, "tag")
        decided = _sums(self._cells(filters, "decided"), filters, "tag")
        counts = [TagCount(tag, opened[tag], decided[tag]) for tag in {*opened, *decided}]
        return sorted(counts, key=lambda count: (-count.open, -count.decided, count.tag))

    def left(self, filters: Filters) -> int:
        """Return how many rows are to be decided of those that filters select, whatever they show."""
        return sum(_sums(self._cells(filters, "open"), filters, "tag").values())

    def facets(self, filters: Filters) -> Facets:
        """Return the values of each filter with the number of rows shown, all other filters kept as they are."""
        cells = [cell for show in _shown(filters) for cell in self._cells(filters, show)]
        reasons = _sums(cells, replace(filters, reason=None), "reason")
        groups = _sums(cells, replace(filters, group=None), "group")
        nights = _sums(cells, replace(filters, night=None), "night")
        started = dict(self.reader.rows(queries.RUNS)) if nights else {}
        return Facets(
            _most_first(reasons),
            _most_first(groups),
            self._folders(replace(filters, folder=None)),
            tuple(NightCount(night, started.get(night, ""), nights[night]) for night in sorted(nights, reverse=True)),
        )

    def _cells(self, filters: Filters, show: Show) -> Sequence[_Cell]:
        """Return the counts of open or decided rows by all filters but folder and text, which select before.

        Open are the flagged rows, which are counted once per run, less those that were decided since, which are few: to count
        all rows anew after each decision would take half a second of a million.
        """
        if show == "decided":
            return self._counted(filters, "decided", self.reader.state)
        left = Counter({cell[:-1]: cell.photos for cell in self._counted(filters, "flagged", self._flagged_state)})
        left.subtract({cell[:-1]: cell.photos for cell in self._counted(filters, "settled", self.reader.state)})
        return [_Cell(*values, photos) for values, photos in left.items() if photos > 0]

    def _counted(self, filters: Filters, counted: Counted, state: Callable[[], object]) -> Sequence[_Cell]:
        condition = self._column_condition(filters)
        key = ("cells", counted, filters.folder, filters.column, filters.text, self._columns_state())
        query = queries.counts(filters, counted, condition)
        return self._until(state, key, lambda: [_Cell(*row) for row in self._rows(query)])

    def _folders(self, filters: Filters) -> tuple[Count, ...]:
        def read() -> tuple[Count, ...]:
            ((first, last),) = self.reader.rows(queries.COMMON_FOLDER)
            if first is None:
                return ()
            base = _common_folder(first, last)
            condition = self._column_condition(filters)
            found: list[tuple[str, int]] = []
            for level in (1, 2):
                if (room := MAX_FOLDERS - len(found)) > 0:
                    found += self._rows(queries.folders(filters, base, level, room, condition))
            return tuple(sorted(Count(base + name, photos) for name, photos in found))

        return self._until(self.reader.state, ("folders", filters, self._columns_state()), read)

    # Rows ------------------------------------------------------------------------------------------------------------

    def page(self, filters: Filters, tag: str, after: Cursor | None = None, count: int = PAGE_ROWS) -> Page:
        """Return rows of one predicted tag, the least confident first, then in the order of their ids.

        Args:
            filters: select rows; their tag is not regarded.
            tag: predicted one, empty for photos without a tag.
            after: where the page before ended; None for the first page. Rows that were decided meanwhile are left out,
                and none is left out or repeated because of them.
            count: rows at most.
        """
        query = queries.page(filters, tag, after, count + 1, self._column_condition(filters))
        rows = self._queue_rows(query)
        return Page(tuple(rows[:count]), rows[count - 1].cursor if len(rows) > count else None)

    def rows(self, items: Sequence[int]) -> list[QueueRow]:
        """Return the rows of items by their ids, in the order of the ids.

        Those that the ledger lacks, or whose bytes are unknown, have none.
        """
        return self._queue_rows(queries.rows(items))

    def details(self, item: int) -> Details | None:
        """Return all that is known of an item's photo; None where the output lacks it or its bytes are unknown."""
        rows = self.rows([item])
        return read_details(self.reader, rows[0], self._columns) if rows else None

    def labels(self) -> tuple[Label, ...]:
        """Return the labels of the bundle that made the last output, in its order; empty where there is no output."""
        return self._until(self._run_state, "labels", lambda: read_labels(self.reader))

    def _queue_rows(self, query: Query) -> list[QueueRow]:
        rare = self._rare_labels()
        return [queue_row(rare, *row) for row in self._rows(query)]

    def _rare_labels(self) -> frozenset[str]:
        """Return the labels of the bundle that are rare in the output."""

        def read() -> frozenset[str]:
            totals = dict(self.reader.rows(queries.TAG_TOTALS))
            least = RARE_SHARE * sum(totals.values())
            return frozenset(label for label, name in self.labels() if totals.get(name, 0) < least)

        return self._until(self._run_state, "rare", read)

    # Helpers ---------------------------------------------------------------------------------------------------------

    def _run_state(self) -> object:
        """Return what is another value after every run."""
        *file, _ = self.reader.state()
        return (*file, self.reader.rows(queries.RUN_STATE)[0][0])

    def _flagged_state(self) -> object:
        """Return what is another value after every run and, while one goes on or was killed, after every change.

        Such a run sets the bytes of photos that it cannot read any more aside, before it publishes its rows.
        """
        before = self.reader.state()
        finished, begun = self.reader.rows(queries.RUN_STATE)[0]
        return self._run_state() if finished == begun else before

    def _rows(self, query: Query) -> list[Any]:
        attached = None if self._columns is None else self._columns.database
        return self.reader.rows(query.sql, query.parameters, attached)

    def _columns_state(self) -> object:
        """Return what is another value once the output has been read again."""
        return None if self._columns is None else self._columns.database

    def _column_condition(self, filters: Filters) -> Query | None:
        """Return the condition of a text in a column; None where no column is named or any text fits."""
        if filters.column is None or not filters.text:
            return None
        return Query("0") if self._columns is None else self._columns.condition(filters.column, filters.text)

    def _until(self, state: Callable[[], object], key: object, read: Callable[[], Value]) -> Value:
        """Return a value that was read since `state` last changed, or read it."""
        now = state()  # before the value is read, which may be newer; the other way round a change could be missed
        with self._lock:
            if key in self._kept and self._kept[key][0] == now:
                self._kept.move_to_end(key)
                return self._kept[key][1]  # type: ignore[no-any-return]
        value = read()
        with self._lock:
            self._kept[key] = (now, value)
            self._kept.move_to_end(key)
            while len(self._kept) > KEPT_COUNTS:
                self._kept.popitem(last=False)
        return value


def _shown(filters: Filters) -> tuple[Show, ...]:
    return ("open", "decided") if filters.show == "all" else (filters.show,)


def _common_folder(first: str, last: str) -> str:
    """Return the folder, with its `/`, that the first and the last path in their order, and so all, lie in; "" for none."""
    folders = zip(first.split("/")[:-1], last.split("/")[:-1], strict=False)
    return "".join(f"{folder}/" for folder, _ in takewhile(lambda pair: pair[0] == pair[1], folders))


def _sums(cells: Sequence[_Cell], filters: Filters, field: str) -> Counter[Any]:
    """Return the number of rows by a field, of the cells that the filters by tag, reason, group and night select."""
    sums: Counter[Any] = Counter()
    chosen = {name: value for name in ("tag", "reason", "group", "night") if (value := getattr(filters, name)) is not None}
    for cell in cells:
        if all(getattr(cell, name) == value for name, value in chosen.items()):
            sums[getattr(cell, field)] += cell.photos
    return sums


def _most_first(sums: Mapping[str, int]) -> tuple[Count, ...]:
    return tuple(Count(value, photos) for value, photos in sorted(sums.items(), key=lambda one: (-one[1], one[0])))
