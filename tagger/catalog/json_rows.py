"""Read JSON Lines, and JSON documents that are one array, as a stream of values: one per row, the rest not in memory."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from tagger.catalog.encoding import Encoding, open_text
from tagger.errors import SourceError
from tagger.file_kinds import JSON

CHUNK = 1 << 16
"""Characters of an array that are read at once."""


def json_columns(path: Path, encoding: Encoding) -> tuple[tuple[str, ...], str]:
    """Return the keys of all objects of a file, in the order of their first appearance, and a note on its encoding, or "".

    Raises `SourceError` where no value is an object.
    """
    columns: dict[str, None] = {}
    empty = True
    for value in json_rows(path, encoding):
        empty = False
        if isinstance(value, dict):
            columns.update(dict.fromkeys(value))
    if not columns and not empty:
        raise SourceError(f"{path} is a JSON document that has no line that holds a JSON object; {JSON.remedy}.")
    return tuple(columns), f"{path} {encoding.note}." if encoding.note else ""


def json_rows(path: Path, encoding: Encoding) -> Iterator[object]:
    """Yield the value of each line that is not blank, or of each element of a single array; None for what is not JSON."""
    with open_text(path, encoding) as file:
        is_array = _is_array(file)
        file.seek(0)
        yield from _elements(path, file) if is_array else _lines(file)


def _is_array(file: TextIO) -> bool:
    """Return whether a file is one array of objects, and not a value per line; reads as far as the second line."""
    first = next((line.lstrip("\ufeff").strip() for line in file if line.strip("\ufeff \t\r\n")), "")
    if not first.startswith("["):
        return False
    inner = first[1:].lstrip()
    if not inner:
        inner = next((line.strip() for line in file if line.strip()), "")
    return inner.startswith("{")


def _lines(file: TextIO) -> Iterator[object]:
    for line in file:
        text = line.strip("\ufeff \t\r\n\0")
        if text:
            try:
                yield json.loads(text)
            except (ValueError, RecursionError):
                yield None


def _elements(path: Path, file: TextIO) -> Iterator[object]:
    """Yield the elements of an array; of a damaged one those before the fault, then a `SourceError`."""
    decode = json.JSONDecoder().raw_decode
    text = file.read(CHUNK).lstrip("\ufeff \t\r\n").removeprefix("[")
    while True:
        text = text.lstrip(", \t\r\n")
        try:
            value, end = decode(text)
        except (ValueError, RecursionError) as error:
            more = file.read(max(CHUNK, len(text)))  # as much again, so that long elements are not parsed too often
            if more:
                text += more
                continue
            if text.startswith("]"):
                return
            raise SourceError(f"{path} is damaged ({error}); export the table again.") from error
        yield value
        text = text[end:]
