"""A folder, an image, a table or a list of paths becomes a stream of items. Opens no image."""

import csv
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from tagger.errors import SourceError
from tagger.file_kinds import IMAGE_SUFFIXES, JSON, TABLE_SUFFIXES, check_photo, check_table, is_empty
from tagger.file_names import resolve_escaped
from tagger.records import Failed, Item

if TYPE_CHECKING:
    import pyarrow

IMAGE_COLUMNS = (
    "image image_path image_file image_filename image_src image_name product_image path file_path file filename "
    "file_name photo photo_path picture img img_path src"
).split()
"""Names that an image column may have, the likeliest first; case, spaces and underscores do not matter."""

LABEL_COLUMNS = ("label", "class", "category", "tag")

CHUNK_ROWS = 2_000

DEEPEST = 100
"""A table's value may be nested so deep; a hundred times more and neither Python nor those who read the output get through."""

SPARE_COLUMNS = 64
"""A row may have so many cells too many and still be a row, marked as bad; with more the table is damaged."""

Ignored = Callable[[str, str], None]
"""Is told the path, and why it is no item, of each entry of a folder that is passed over."""


@dataclass(frozen=True)
class Source:
    """A stream of items, with the names of the columns that each carries; `schema` holds their types, if the table has any."""

    items: Iterator[Item]
    root: Path
    """What the items' paths are relative to."""
    columns: tuple[str, ...] = ()
    schema: "pyarrow.Schema | None" = None


def open_source(
    source: str,
    image_column: str | None = None,
    stdin: IO[bytes] | None = None,
    ignored: Ignored = lambda path, why: None,
) -> Source:
    """Return the photos that `source` names: a folder, a table by its suffix, `-` for paths on `stdin`, or an image.

    An image is one by its suffix or by its content. Raises `SourceError` where there is no such thing, a file is neither image
    nor table, or a table is of another kind than its suffix says, has no image column or two columns of one name. Whatever goes
    wrong while the items are read is a `SourceError` too, which names the source.
    """
    if source == "-":
        if stdin is None:
            raise SourceError("Paths on standard input (-) were asked for, but there is no standard input.")
        return Source(_listed(stdin), Path())
    path = Path(source)
    try:
        if path.is_dir():
            return Source(_walked(path, ignored), path)
        if not path.exists():
            raise SourceError(f"There is no {source}; give a folder, an image, a table or - for paths on standard input.")
        if not path.is_file():
            raise SourceError(f"{source} is no regular file; pipe a list of paths into: fmtag run -")
    except OSError as error:
        raise SourceError(f"{source} cannot be read: {error.strerror or error}.") from error
    if path.suffix.lower() in TABLE_SUFFIXES:
        return _table(path, image_column)
    if path.suffix.lower() not in IMAGE_SUFFIXES:
        check_photo(path)
    return Source(iter([Item(source, path)]), Path())


def count(source: str, image_column: str | None = None) -> int:
    """Return how many items a source holds, opening no image."""
    return sum(1 for _ in open_source(source, image_column).items)


def label_column(columns: Sequence[str], given: str | None = None, table: str = "The table") -> str:
    """Return the column that holds the labels: the one asked for, or one of a usual name; `table` is named if there is none."""
    return _column("label", columns, given, LABEL_COLUMNS, table)


def read_label_map(path: Path, labels: Sequence[str]) -> dict[str, str]:
    """Return the name that each label is to go by, from a CSV whose first two columns are the two.

    Raises `SourceError` where it cannot be read, names a label that there is not, or lacks one that there is.
    """
    try:
        check_table(path)
        separator = _separator(path)
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [row for row in csv.reader(file, delimiter=separator) if any(row)][1:]
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror or error}.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise _not_a_table(path, error) from error
    names = {row[0].strip(): row[1].strip() for row in rows if len(row) > 1 and row[1].strip()}
    unknown, missing = sorted(set(names) - set(labels)), [label for label in labels if label not in names]
    if unknown or missing:
        what = f"names labels that the bundle has not: {', '.join(unknown)}" if unknown else f"lacks {', '.join(missing)}"
        raise SourceError(f"{path} {what}; below a line of column names it needs a line for each of {', '.join(labels)}.")
    return names


# Folders -----------------------------------------------------------------------------------------------------------


def _walked(root: Path, ignored: Ignored) -> Iterator[Item]:
    """Yield the images below `root`, folder by folder in the order of their names, each folder once."""
    real_root = root.resolve()
    linked: set[Path] = set()  # the folders outside that were walked through a link
    try:
        waiting = [(iter(_entries(root)), "", False)]
    except OSError as error:
        raise SourceError(f"{root} cannot be listed: {error.strerror or error}.") from error
    while waiting:
        entries, prefix, outside = waiting[-1]
        for found in entries:
            path = prefix + found.name
            if found.name.startswith("."):
                ignored(path, "hidden")
            elif _is_folder(found):
                real = Path(found.path).resolve() if outside or found.is_symlink() else None
                if real is not None and (real in linked or real.is_relative_to(real_root) or real_root.is_relative_to(real)):
                    ignored(path, "a link to a folder that is walked anyway")
                    continue
                if real is not None:
                    linked.add(real)
                try:
                    waiting.append((iter(_entries(found.path)), path + "/", real is not None))
                except OSError as error:
                    yield Item(path + "/", None, problem=Failed("unreadable", f"{path}/: {error.strerror or error}"))
                    continue
                break
            elif found.name[found.name.rfind(".") :].lower() in IMAGE_SUFFIXES:
                yield Item(path, found.path)
            else:
                ignored(path, "not an image")
        else:
            waiting.pop()


def _entries(folder: str | Path) -> "list[os.DirEntry[str]]":
    with os.scandir(folder) as entries:
        return sorted(entries, key=lambda entry: entry.name)


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    """Whether an entry is a folder; a link that leads to itself or into the forbidden is none."""
    try:
        return entry.is_dir()
    except OSError:
        return False


# Lists -------------------------------------------------------------------------------------------------------------


def _listed(stdin: IO[bytes]) -> Iterator[Item]:
    """Yield the path on each line; an empty line is a row too, so that rows and lines stay side by side."""
    for line in stdin:
        path = os.fsdecode(line.rstrip(b"\r\n"))
        yield _item(path, Path(path), {})


# Tables ------------------------------------------------------------------------------------------------------------


def _table(path: Path, image_column: str | None) -> Source:
    suffix = path.suffix.lower()
    try:
        check_table(path)
        if suffix == ".parquet":
            opened = _parquet(path, image_column)
        elif suffix in (".jsonl", ".ndjson"):
            opened = _json_lines(path, image_column)
        else:
            opened = _separated(path, image_column)
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror or error}.") from error
    return replace(opened, items=_naming(path, opened.items))


def _naming(path: Path, items: Iterator[Item]) -> Iterator[Item]:
    """Yield the items of a table; whatever its reader raises becomes a sentence that names the table."""
    try:
        yield from items
    except SourceError:
        raise
    except Exception as error:
        raise _not_a_table(path, error) from error


def _separated(path: Path, image_column: str | None) -> Source:
    separator = "\t" if path.suffix.lower() == ".tsv" else _separator(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            columns = next(csv.reader(file, delimiter=separator), [])
    except (UnicodeDecodeError, csv.Error) as error:
        raise _not_a_table(path, error) from error
    column = _image_column(path, columns, image_column)
    return Source(_separated_items(path, separator, columns, column), path.parent, tuple(columns))


def _separator(path: Path) -> str:
    """Return the separator of a .csv: spreadsheets of many countries write semicolons."""
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        header = re.sub(r'"[^"]*("|$)', "", file.readline())
    return max(",;\t|", key=header.count)


def _separated_items(path: Path, separator: str, columns: list[str], column: str) -> Iterator[Item]:
    """Yield the rows; all values stay text, so that an article number keeps its leading zeros."""
    import pandas as pd

    # pandas refuses tables with rows that are too long; with columns of our own to spare it hands them over.
    spare = [f"{''.join(columns)}+{number}" for number in range(SPARE_COLUMNS)]
    try:
        with pd.read_csv(
            path,
            sep=separator,
            header=None,
            skiprows=1,
            names=[*columns, *spare],
            index_col=False,
            dtype=str,
            keep_default_na=False,
            encoding="utf-8-sig",
            chunksize=CHUNK_ROWS,
        ) as chunks:
            for chunk in chunks:
                for cells in chunk.itertuples(index=False, name=None):
                    row = dict(zip(columns, cells, strict=False))
                    too_long = any(cells[len(columns) :])
                    problem = Failed("bad_row", f"{path}: a row with more cells than columns") if too_long else None
                    yield _item(row[column], path.parent / row[column], row, problem)
    except pd.errors.EmptyDataError:
        return  # a header and nothing below it
    except (UnicodeDecodeError, pd.errors.ParserError) as error:
        raise _not_a_table(path, error) from error


def _json_lines(path: Path, image_column: str | None) -> Source:
    columns: dict[str, None] = {}
    for value in _json_values(path):
        if isinstance(value, dict):
            columns.update(dict.fromkeys(value))
    if not columns and not is_empty(path):
        raise SourceError(f"{path} holds no JSON object with a line of its own; {JSON.remedy}.")
    column = _image_column(path, list(columns), image_column)
    return Source(_json_items(path, tuple(columns), column), path.parent, tuple(columns))


def _json_values(path: Path) -> Iterator[object]:
    """Yield the value of each line that is not blank, None for one that is no JSON."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            for line in file:
                if line.strip():
                    try:
                        yield json.loads(line)
                    except (ValueError, RecursionError):
                        yield None
    except UnicodeDecodeError as error:
        raise _not_a_table(path, error) from error


def _json_items(path: Path, columns: tuple[str, ...], column: str) -> Iterator[Item]:
    for value in _json_values(path):
        if not isinstance(value, dict):
            problem = Failed("bad_row", f"{path}: a line that is no JSON object")
            yield Item("", None, dict.fromkeys(columns), problem)
            continue
        yield _typed_item(path, column, {name: value.get(name) for name in columns})


def _typed_item(path: Path, column: str, cells: dict[str, object], fault: str = "") -> Item:
    """Return the item of a row whose cells have types; one that is nested too deep makes it a bad row, and is left out."""
    image = cells[column]
    text = image if isinstance(image, str) else ""
    deep = [name for name, cell in cells.items() if isinstance(cell, dict | list | tuple) and _is_too_deep(cell)]
    if deep:
        fault = f"the value of {deep[0]!r} is nested more than {DEEPEST} deep"
    problem = Failed("bad_row", f"{path}: {fault}") if fault else None
    return _item(text, path.parent / text, cells | dict.fromkeys(deep), problem)


def _is_too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(DEEPEST):
        parts = [part for one in level for part in (one.values() if isinstance(one, dict) else one)]
        level = [part for part in parts if isinstance(part, dict | list | tuple)]
    return bool(level)


def _parquet(path: Path, image_column: str | None) -> Source:
    import pyarrow
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(path)
    except pyarrow.ArrowException as error:
        raise _not_a_table(path, error) from error
    columns = file.schema_arrow.names
    column = _image_column(path, columns, image_column)

    def items() -> Iterator[Item]:
        try:
            for batch in file.iter_batches(batch_size=CHUNK_ROWS):
                for row, fault in _rows(batch):
                    yield _typed_item(path, column, row, fault)
        except (pyarrow.ArrowException, OSError) as error:
            raise _not_a_table(path, error) from error

    return Source(items(), path.parent, tuple(columns), file.schema_arrow)


def _rows(batch: "pyarrow.RecordBatch") -> Iterator[tuple[dict[str, object], str]]:
    """Yield each row with what is wrong with it: a value that is no UTF-8, or a date that Python has not, becomes None."""
    rows: list[dict[str, object]] | None = None
    with suppress(Exception):  # in which row it is, is found out below
        rows = batch.to_pylist()
    if rows is not None:
        yield from ((row, "") for row in rows)
        return
    for number in range(batch.num_rows):
        row: dict[str, object] = dict.fromkeys(batch.schema.names)
        fault = ""
        for name, values in zip(batch.schema.names, batch.columns, strict=True):
            try:
                row[name] = values[number].as_py()
            except Exception as error:
                fault = f"the value of {name!r} cannot be read ({error or type(error).__name__})"
        yield row, fault


def _item(text: str, file: Path, columns: Mapping[str, object], problem: Failed | None = None) -> Item:
    """Return the item of one row or line, with what is already known to be wrong with it."""
    if problem is None and not text.strip():
        problem = Failed("bad_row", "a row without a path")
    if problem is None and re.match(r"\s*[a-z][a-z0-9+.-]*://", text, re.IGNORECASE):
        problem = Failed("bad_row", f"{text}: an address, not a file; fetch the photos first")
    if problem is None and not _may_name_a_file(text):
        problem = Failed("bad_row", f"{text!r}: a path that no file can have")
    return Item(text, None if problem else resolve_escaped(file), columns, problem)


def _may_name_a_file(path: str) -> bool:
    try:
        return b"\0" not in (path.encode() if path.isascii() else os.fsencode(path))
    except UnicodeEncodeError:
        return False


def _image_column(path: Path, columns: Sequence[str], given: str | None) -> str:
    if not columns:
        raise SourceError(f"{path} is empty; a table needs a line of column names.")
    twice = sorted({name for name in columns if list(columns).count(name) > 1})
    if twice:
        raise SourceError(f"{path} has more than one column named {', '.join(map(repr, twice))}; rename all but one.")
    return _column("image", columns, given, IMAGE_COLUMNS, str(path))


def _column(kind: str, columns: Sequence[str], given: str | None, usual: Sequence[str], where: str) -> str:
    there = ", ".join(columns) or "none"
    if given is not None:
        if given not in columns:
            raise SourceError(f"{where} has no column {given!r}; its columns are: {there}.")
        return given
    plain = {_plain(name): name for name in reversed(columns)}
    for name in usual:
        if _plain(name) in plain:
            return plain[_plain(name)]
    raise SourceError(
        f"{where} has no {kind} column that could be told by its name; its columns are: {there}. Name one with --{kind}-column."
    )


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).casefold()


def _not_a_table(path: Path, error: Exception) -> SourceError:
    said = next(iter(str(error).splitlines()), type(error).__name__)
    reason = "is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else f"is damaged ({said})"
    return SourceError(f"{path} {reason}; export the table again as UTF-8 {path.suffix.lstrip('.')}.")
