"""Take the bytes of photos out of the rows of a Parquet table: an item says where they are, and no output repeats them.

Such a column holds bytes, or, as data sets of Hugging Face do, structures of `bytes` and `path`, or lists of either.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagger.embedded_photos import digest
from tagger.file_kinds import START, TEXT, is_photo, kind_of
from tagger.records import EmbeddedPhoto

if TYPE_CHECKING:
    import pyarrow
    from pyarrow import parquet

MAX_DEPTH = 8
"""Levels of lists and structures in which bytes are looked for."""


class EmbeddedColumns:
    """The columns of one table that hold the bytes of photos.

    Args:
        path: of the table.
        file: the same, opened.
        images: names of the columns that hold images, the one that counts first.
    """

    def __init__(self, path: Path, file: "parquet.ParquetFile", images: Sequence[str]) -> None:
        self._path = path
        self._images = images
        self._structured = {field.name for field in file.schema_arrow if _holds_bytes(field.type)}
        self._row = 0
        self._repeated = _repeated_paths(file, [name for name in images if name in self._structured])

    def split(self, row: Mapping[str, object]) -> tuple[list[object], dict[str, object]]:
        """Return the values of the image columns of the next row, and all its cells without the bytes of photos."""
        images: list[object] = [row[name] for name in self._images]
        cells = dict(row)
        for name in self._structured.intersection(row):
            if name in self._images:
                at = self._images.index(name)
                images[at], cells[name] = self._lifted(row[name], name, ())
            else:
                cells[name] = _without_bytes(row[name], MAX_DEPTH)
        self._row += 1
        return images, cells

    def _lifted(self, value: Any, column: str, keys: tuple[str | int, ...], path: str | None = None) -> tuple[object, object]:
        """Return a value with `EmbeddedPhoto` in place of bytes, and the same as the output has it."""
        if isinstance(value, bytes):
            if not value:
                return None, None
            if (text := _as_path(value)) is not None:
                return text, value
            name = path if path and path not in self._repeated else self._name(column, keys)
            return EmbeddedPhoto(name, str(self._path), self._row, column, keys, len(value), digest(value)), None
        if isinstance(value, list) and len(keys) < MAX_DEPTH:
            pairs = [self._lifted(part, column, (*keys, number)) for number, part in enumerate(value)]
            return [image for image, _ in pairs], [cell for _, cell in pairs]
        if isinstance(value, dict) and len(keys) < MAX_DEPTH:
            given = value.get("path") if not keys else None
            lifted = {key: self._lifted(part, column, (*keys, key), given) for key, part in value.items()}
            photo = next((image for image, _ in lifted.values() if isinstance(image, EmbeddedPhoto)), None)
            rest = {key: image for key, (image, _) in lifted.items()}
            return photo or rest, {key: cell for key, (_, cell) in lifted.items()}
        return value, value

    def _name(self, column: str, keys: Sequence[str | int]) -> str:
        """Return the name of a photo by its row, and by column and number where the row has several."""
        numbers = [key for key in keys if isinstance(key, int)]
        number = "".join(f".{key}" for key in numbers) if any(numbers) else ""
        return f"{self._path.name}#{self._row}{number}{'' if column == self._images[0] else f'/{column}'}"


def _holds_bytes(kind: "pyarrow.DataType") -> bool:
    """Return whether a type is bytes, or has bytes within."""
    from pyarrow import types

    if kind.num_fields:
        return any(_holds_bytes(kind.field(number).type) for number in range(kind.num_fields))
    if types.is_dictionary(kind):
        return _holds_bytes(kind.value_type)
    is_view = getattr(types, "is_binary_view", lambda _: False)
    return bool(types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind) or is_view(kind))


def _repeated_paths(file: "parquet.ParquetFile", columns: Sequence[str]) -> frozenset[str]:
    """Return the paths that several rows of a table give their images, by which no photo can go."""
    from pyarrow import types

    seen: set[int] = set()
    repeated = set()
    for column in columns:
        kind = file.schema_arrow.field(column).type
        if not types.is_struct(kind) or kind.get_field_index("path") < 0:
            continue
        for batch in file.iter_batches(columns=[f"{column}.path"]):
            for path in batch.column(0).flatten()[0].to_pylist():
                if isinstance(path, str) and path:
                    if hash(path) in seen:
                        repeated.add(path)
                    seen.add(hash(path))
    return frozenset(repeated)


def _as_path(value: bytes) -> str | None:
    """Return bytes that are a text of one line, as which some systems write the paths of files; None for others."""
    start = value[:START]
    if len(value) > START or is_photo(start) or kind_of(start) is not TEXT:
        return None
    text = value.decode("utf-8", "replace")
    return None if "\n" in text.strip() else text


def _without_bytes(value: Any, depth: int) -> Any:
    """Return a value without the bytes of the structures that Hugging Face has for an image, which repeat a photo."""
    if isinstance(value, list) and depth:
        return [_without_bytes(part, depth - 1) for part in value]
    if isinstance(value, dict) and value.keys() >= {"bytes", "path"} and isinstance(value["bytes"], bytes):
        return {**value, "bytes": None}
    return value
