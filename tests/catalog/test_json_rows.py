"""JSON Lines and arrays of objects are streams of values."""

import json
from pathlib import Path

import pytest
from catalog_helpers import write

from tagger.catalog import json_rows as module
from tagger.catalog.json_rows import json_columns, json_rows
from tagger.catalog.table_kinds import text_encoding
from tagger.errors import SourceError

ROWS = [{"image": "a.jpg", "n": 1}, {"image": "ü.jpg", "more": [{"x": "]"}]}, {"image": "c" * 300}]


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_an_array_has_the_values_of_its_elements(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, indent: int | None, encoding: str
) -> None:
    """Wherever the pieces end in which it is read."""
    file = write(tmp_path / "t.json", json.dumps(ROWS, indent=indent).encode(encoding))
    for size in (1, 7, 1000):
        monkeypatch.setattr(module, "CHUNK", size)
        assert list(json_rows(file, text_encoding(file))) == ROWS
    assert json_columns(file, text_encoding(file))[0] == ("image", "n", "more")


def test_lines_are_values(tmp_path: Path) -> None:
    """Blank ones are none, what is not JSON is None; a list on a line is a value."""
    file = write(tmp_path / "t.jsonl", '[1]\n{"image": "a"}\n\n{broken\n')
    assert list(json_rows(file, text_encoding(file))) == [[1], {"image": "a"}, None]


def test_an_encoding_that_was_guessed_is_said(tmp_path: Path) -> None:
    """And the text is read."""
    file = write(tmp_path / "t.jsonl", '{"image": "a.jpg", "n": "Größe"}\n'.encode("cp1252"))
    assert list(json_rows(file, text_encoding(file))) == [{"image": "a.jpg", "n": "Größe"}]
    assert json_columns(file, text_encoding(file)) == (("image", "n"), f"{file} is not UTF-8; it is read as Windows-1252.")


@pytest.mark.parametrize(
    ("content", "problem"),
    [('[{"image": "a"}, {"im', "is damaged"), ("[]", "no line that holds"), ('{\n"rows": []}', "no line")],
)
def test_documents_without_rows_are_refused(tmp_path: Path, content: str, problem: str) -> None:
    """A cut array, an empty one and another document."""
    file = write(tmp_path / "t.json", content)
    with pytest.raises(SourceError, match=problem):
        json_columns(file, text_encoding(file))
