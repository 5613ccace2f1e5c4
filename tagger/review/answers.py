"""Read what people answered about photos, from a table or from an export of Label Studio, whatever ledger it is for."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

from tagger.catalog.columns import given_column, key_of, label_column
from tagger.catalog.encoding import open_text
from tagger.catalog.export_formats import image_columns
from tagger.catalog.items import with_image
from tagger.catalog.source import open_source
from tagger.catalog.table_kinds import table_kind, text_encoding
from tagger.errors import SourceError, reason_of
from tagger.records import Item
from tagger.review import label_studio
from tagger.run.ledger_values import stored_time


class Answer(NamedTuple):
    """What a person answered about a photo."""

    paths: tuple[str, ...]
    """Spellings of where the photo is, as the file has them, the surest first."""
    label: str
    """As the file spells it; never empty."""
    reviewer: str = ""
    """Empty where the file does not tell."""
    decided: str | None = None
    """UTC, ISO 8601 with milliseconds, not in the future; None where the file does not tell."""
    sha256: bytes | None = None
    """Of the photo's bytes; None where the file does not tell."""
    place: Path | None = None
    """The file that a table's cell names, from the table's own folder."""
    of_run: bool = False
    """Whether it is a row of an output of `fmtag run`, whose tag is a person's only where it was changed."""
    flagged: bool = False
    """Whether that row is flagged."""


@dataclass
class Answers:
    """The answers of a file."""

    answers: list[Answer] = field(default_factory=list)
    without_label: int = 0
    """Rows and tasks without an answer: an empty label, skipped, not done yet."""
    unusable: list[str] = field(default_factory=list)
    """Names of rows and tasks with an answer that cannot be taken: damaged rows, several labels at once."""


def read_answers(file: Path, label_column_name: str | None = None) -> Answers:
    """Read the answers of a table with an image and a label column, or of an export of Label Studio (JSON or JSON-MIN).

    `label_column_name` is the column, or the name of Label Studio's control tag, where names do not tell. Raises
    `SourceError` where the file is neither.
    """
    if file.is_dir():
        raise SourceError(f"{file} is a folder; give a table of labels, or the JSON that Label Studio exports.")
    if not file.exists():
        raise SourceError(f"There is no {file}; give a table of labels, or the JSON that Label Studio exports.")
    document = _json_document(file) if table_kind(file) == "json" else None
    match document:
        case list() if label_studio.is_export(document):
            return _label_studio_answers(file, document, label_column_name)
        case {"rows": list() as rows} if all(isinstance(row, dict) for row in rows):  # an output of fmtag
            columns = tuple(dict.fromkeys(name for row in rows for name in row))
            return _rows_answers(file, columns, ((row, None) for row in rows), label_column_name)
        case {"data": dict(), "annotations": list()}:
            return _label_studio_answers(file, [document], label_column_name)
        case dict() if len(document) != 1:
            raise SourceError(
                f"{file} is a JSON document that is neither a table nor what Label Studio exports as JSON or JSON-MIN; "
                "export it in one of these."
            )
    return _table_answers(file, label_column_name)


def parsed_time(value: object) -> str | None:
    """Return a time in ISO 8601 as the ledger has it, at most now; None where `value` is no such time."""
    if not isinstance(value, str):
        return None
    try:
        # Python 3.10 does not take the Z.
        time = datetime.fromisoformat(value.strip().replace("Z", "+00:00").replace("z", "+00:00"))
    except ValueError:
        return None
    time = time.replace(tzinfo=timezone.utc) if time.tzinfo is None else time
    try:
        return stored_time(min(time, datetime.now(timezone.utc)))
    except OverflowError:
        return None


# Tables ------------------------------------------------------------------------------------------------------------


def _table_answers(file: Path, given: str | None) -> Answers:
    opened = open_source(str(file))
    if not opened.columns:
        raise SourceError(f"{file} is a photo; give a table of labels, or the JSON that Label Studio exports.")
    rows = ((None if _is_damaged(item, file) else item.columns, item.file) for item in with_image(opened.items))
    return _rows_answers(file, opened.columns, rows, given)


def _is_damaged(item: Item, file: Path) -> bool:
    """Return whether a row is damaged, so that its cells may be those of other columns.

    That its photo is not there, or is an address, is no damage. The detail of damage begins with the table's name.
    """
    problem = item.problem
    return problem is not None and problem.reason == "bad_row" and problem.detail.startswith((f"{file}, line ", f"{file}: "))


def _rows_answers(
    file: Path, columns: Sequence[str], rows: Iterable[tuple[Mapping[str, Any] | None, Path | None]], given: str | None
) -> Answers:
    """Return the answers of rows with the files that they name; None in place of a row that is damaged."""
    image = image_columns(str(file), columns).main
    label = label_column(columns, given, str(file))
    # A CSV of Label Studio repeats the columns of the task, which tell of an earlier decision.
    of_label_studio = "annotation_id" in columns
    who, when = ("annotator", "updated_at") if of_label_studio else ("reviewer", "decided")
    reviewer, decided, sha = (given_column(columns, name) for name in (who, when, "sha256"))
    of_run = "group_confidence" in columns and key_of(label) == "tag"
    found = Answers()
    for number, (cells, place) in enumerate(rows, 1):
        if cells is None:
            found.unusable.append(f"row {number}")
            continue
        text = _text(cells.get(label))
        if not text:
            found.without_label += 1
            continue
        found.answers.append(
            Answer(
                (str(cells.get(image) or ""),),
                text,
                _reviewer(cells.get(reviewer), of_label_studio) if reviewer else "",
                parsed_time(cells.get(decided)) if decided else None,
                _digest(cells.get(sha)) if sha else None,
                place,
                of_run,
                _text(cells.get("low_confidence")).casefold() == "true",
            )
        )
    return found


def _reviewer(cell: object, of_label_studio: bool) -> str:
    text = _text(cell)
    return label_studio.person(int(text)) if of_label_studio and text.isdecimal() else text


def _text(cell: object) -> str:
    """Return the text of a cell; empty for a missing one, which Parquet has as None or as nan, which is not equal to itself."""
    return "" if cell is None or cell != cell else str(cell).strip()


def _digest(cell: object) -> bytes | None:
    """Return the sha256 of a cell of 64 hexadecimal digits; None for any other."""
    try:
        digest = bytes.fromhex(_text(cell))
    except ValueError:
        return None
    return digest if len(digest) == 32 else None


# Label Studio ------------------------------------------------------------------------------------------------------


def _json_document(file: Path) -> Any:
    """Return a JSON document; None for JSON Lines, or a damaged one, which the reader of tables names."""
    try:
        with open_text(file, text_encoding(file)) as text:
            return json.load(text)
    except OSError as error:
        raise SourceError(f"{file} cannot be read: {reason_of(error)}.") from error
    except (ValueError, RecursionError):
        return None


def _label_studio_answers(file: Path, tasks: Sequence[Any], given: str | None) -> Answers:
    found = Answers()
    for one in label_studio.read_tasks(str(file), tasks, given):
        if one.labels is None:
            found.without_label += 1
        elif len(one.labels) != 1 or not one.labels[0].strip():
            found.unusable.append(one.name)
        else:
            decided = parsed_time(one.completed or one.exported)
            found.answers.append(Answer(one.paths, one.labels[0].strip(), one.reviewer, decided, _digest(one.sha256)))
    return found
