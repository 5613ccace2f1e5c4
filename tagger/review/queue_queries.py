"""Build the SQL of the review's queue from its filters.

Rows that are to be decided are found by a scan of `items`, as the ledger has no index by tag: every run would have to keep it.
Decided rows are found from `reviews`, as they are few beside the others.
"""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

from tagger.review.queue_values import UNREADABLE, Cursor, Filters, Show
from tagger.run.ledger_values import storable


class Query(NamedTuple):
    """SQL with its parameters."""

    sql: str
    parameters: tuple[Any, ...] = ()


Counted: TypeAlias = Literal["flagged", "settled", "decided"]
"""Rows that are counted: those that the last run flagged, which only a run changes; those of them that were decided since, and
so are no longer open; and all decided ones."""


class _Part(NamedTuple):
    """One of the two kinds of rows: where they are found, and what is known of them from before a decision."""

    source: str
    predicted: str
    doubt: str
    reason: str


# What the bundle predicts is none of the labels where it does not recognise the photo, whatever label is the most likely.
_PREDICTED = (
    "CASE WHEN {reason} = 'not_recognised' THEN '' WHEN {tag} = '' AND {reason} != 'reviewed'"
    f" THEN '{UNREADABLE}' ELSE {{tag}} END"
)
# Confidences have the same number of decimals, so that their order as text is that of the numbers. Of none of the labels those
# are the most doubtful that have a label of a high confidence.
_DOUBT = "CASE WHEN {reason} = 'not_recognised' THEN printf('%.4f', 1 - {confidence}) ELSE {confidence} END"


def _part(source: str, tag: str, confidence: str, reason: str) -> _Part:
    cells = {"tag": tag, "confidence": confidence, "reason": reason}
    return _Part(source, _PREDICTED.format(**cells), _DOUBT.format(**cells), reason)


_OF_NETWORKS = ("items.tag", "items.confidence", "items.reason")
FLAGGED = "(items.low_confidence = 'true' AND items.reason != 'reviewed')"
"""The condition of rows that a person should look at."""

_STILL_FLAGGED = f"items.published IS NOT NULL AND {FLAGGED} AND items.content IS NOT NULL"

# CROSS keeps the planner from starting with `contents`, of which every run of before has left some.
_OPEN = _part(
    f"items {{index}} CROSS JOIN contents ON contents.id = items.content WHERE {_STILL_FLAGGED} AND contents.review IS NULL",
    *_OF_NETWORKS,
)
_DECIDED = _part(
    "reviews CROSS JOIN contents ON contents.id = reviews.content AND contents.review = reviews.id"
    " CROSS JOIN items ON items.content = contents.id WHERE items.published IS NOT NULL AND reviews.label IS NOT NULL",
    "coalesce(reviews.tag, items.tag)",
    "coalesce(reviews.confidence, items.confidence)",
    "coalesce(reviews.reason, items.reason)",
)

_COUNTED: dict[Counted, _Part] = {
    "flagged": _part(f"items {{index}} WHERE {_STILL_FLAGGED}", *_OF_NETWORKS),
    "settled": _part(
        "reviews CROSS JOIN contents ON contents.id = reviews.content AND contents.review = reviews.id"
        f" CROSS JOIN items ON items.content = contents.id WHERE {_STILL_FLAGGED}",
        *_OF_NETWORKS,
    ),
    "decided": _DECIDED,
}

_PARTS: dict[Show, Sequence[_Part]] = {"open": (_OPEN,), "decided": (_DECIDED,), "all": (_OPEN, _DECIDED)}

RUN_STATE = "SELECT coalesce(max(CASE WHEN finished IS NOT NULL THEN id END), 0), coalesce(max(id), 0) FROM runs"
"""The last run that has finished, with which alone rows of the output change, and the last one that was begun."""

RUNS = "SELECT id, started FROM runs"

TAG_TOTALS = "SELECT tag, count(*) FROM items NOT INDEXED WHERE published IS NOT NULL GROUP BY tag"

COMMON_FOLDER = "SELECT min(key), max(key) FROM items WHERE typeof(key) = 'text'"

_ROW = """
    items.id, items.key, lower(hex(contents.sha256)), {cells}, items.group_, items.published,
    contents.probabilities, models.labels, reviews.label, reviews.reviewer, reviews.decided, reviews.id
"""

_ROW_TABLES = """
    CROSS JOIN contents ON contents.id = items.content LEFT JOIN models ON models.id = contents.model
    LEFT JOIN reviews ON reviews.id = contents.review AND reviews.label IS NOT NULL
"""

_BEFORE = ", ".join(f"coalesce(reviews.{name}, items.{name}, '')" for name in ("tag", "confidence", "reason"))


def page(filters: Filters, tag: str, after: Cursor | None, count: int, columns: Query | None) -> Query:
    """Return the query of at most `count` rows of a predicted tag, the most doubtful first, from a cursor on."""
    parts, parameters = [], []
    for part in _PARTS[filters.show]:
        conditions = [*_conditions(filters, part, columns), Query(f"{part.predicted} = ?", (tag,))]
        if after is not None:
            conditions.append(Query(f"({part.doubt}, items.id) > (?, ?)", tuple(after)))
        # Of equal names, as the order of the union goes by them.
        parts.append(f"SELECT items.id AS item, {part.doubt} AS doubt FROM {_joined(part, filters, conditions)}")
        parameters += [value for condition in conditions for value in condition.parameters]
    found = f"{' UNION ALL '.join(parts)} ORDER BY doubt, item LIMIT ?"
    sql = (
        f"SELECT {_ROW.format(cells=_BEFORE)} FROM ({found}) found CROSS JOIN items ON items.id = found.item {_ROW_TABLES}"
        " ORDER BY found.doubt, found.item"
    )
    return Query(sql, (*parameters, count))


def rows(items: Sequence[int]) -> Query:
    """Return the query of the rows of some items, in the order of their ids; those without bytes have none."""
    marks = ", ".join("?" * len(items))
    sql = f"SELECT {_ROW.format(cells=_BEFORE)} FROM items {_ROW_TABLES} WHERE items.id IN ({marks}) ORDER BY items.id"
    return Query(sql, tuple(items))


def counts(filters: Filters, counted: Counted, columns: Query | None) -> Query:
    """Return the query of tag, reason, group, night and number of rows, by folder and text alone of the filters."""
    part = _COUNTED[counted]
    conditions = _conditions(Filters(folder=filters.folder, column=filters.column, text=filters.text), part, columns)
    sql = (
        f"SELECT {part.predicted}, {part.reason}, items.group_, items.published, count(*)"
        f" FROM {_joined(part, filters, conditions)} GROUP BY 1, 2, 3, 4"
    )
    return Query(sql, tuple(value for condition in conditions for value in condition.parameters))


def folders(filters: Filters, base: str, level: int, at_most: int, columns: Query | None) -> Query:
    """Return the query of the folders below `base`, of the first or second level, with their numbers of rows, most first."""
    parts, parameters = [], []
    for part in _PARTS[filters.show]:
        conditions = [*_conditions(filters, part, columns), Query("typeof(items.key) = 'text'")]
        if filters.tag is not None:
            conditions.append(Query(f"{part.predicted} = ?", (filters.tag,)))
        parts.append(f"SELECT substr(items.key, {len(base) + 1}) AS rest FROM {_joined(part, filters, conditions)}")
        parameters += [value for condition in conditions for value in condition.parameters]
    split = f"SELECT rest, instr(rest, '/') AS first FROM ({' UNION ALL '.join(parts)})"
    second = "instr(substr(rest, first + 1), '/')"
    end = "first" if level == 1 else f"CASE {second} WHEN 0 THEN 0 ELSE first + {second} END"
    sql = (
        f"SELECT substr(rest, 1, {end}) AS folder, count(*) FROM ({split}) WHERE first AND folder != ''"
        " GROUP BY folder ORDER BY count(*) DESC, folder LIMIT ?"
    )
    return Query(sql, (*parameters, at_most))


def _joined(part: _Part, filters: Filters, conditions: Sequence[Query]) -> str:
    """Return the tables of a part with all its conditions; a folder is found by the index of paths, all else by a scan."""
    source = part.source.format(index="" if filters.folder else "NOT INDEXED")
    return " AND ".join([source, *(condition.sql for condition in conditions)])


def _conditions(filters: Filters, part: _Part, columns: Query | None) -> list[Query]:
    """Return the conditions of all filters but the tag."""
    conditions = []
    if filters.reason is not None:
        conditions.append(Query(f"{part.reason} = ?", (filters.reason,)))
    if filters.group is not None:
        conditions.append(Query("items.group_ = ?", (filters.group,)))
    if filters.night is not None:
        conditions.append(Query("items.published = ?", (filters.night,)))
    if filters.folder:
        conditions.append(_in_folder(filters.folder.rstrip("/")))
    if columns is not None:
        conditions.append(columns)
    elif filters.text:
        conditions.append(contains("items.key", filters.text))
    return conditions


def contains(expression: str, text: str) -> Query:
    """Return the condition that an expression has a text in it, in any letter case.

    LIKE folds ASCII alone, in a twentieth of the time of Python's `casefold`, and finds nothing in bytes.
    """
    if text.isascii():
        escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        return Query(f"CAST({expression} AS TEXT) LIKE ? ESCAPE '\\'", (f"%{escaped}%",))
    return Query(f"instr(casefold({expression}), ?)", (text.casefold().encode("utf-8", "replace").decode(),))


def _in_folder(folder: str) -> Query:
    """Return the condition that a path lies in a folder; paths that are no Unicode are stored as bytes."""
    first, end = storable(f"{folder}/"), storable(f"{folder}0")  # 0 follows / in ASCII
    if isinstance(first, bytes):
        return Query("(items.key >= ? AND items.key < ?)", (first, end))
    both = (first, end, first.encode(), str(end).encode())
    return Query("((items.key >= ? AND items.key < ?) OR (items.key >= ? AND items.key < ?))", both)
