"""Read the images that a table's cell names: a path or an address, several of them, or what JSON Lines and Parquet hold."""

import ast
import json
import math
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import PurePosixPath
from typing import TypeAlias

from tagger.catalog.addresses import is_address
from tagger.catalog.spellings import clean
from tagger.file_kinds import IMAGE_SUFFIXES
from tagger.records import EmbeddedPhoto, Failed

CellImage: TypeAlias = str | EmbeddedPhoto | Failed
"""One image of a cell: its path or address as the cell has it, its bytes' place in the table, or why it is neither."""

SEPARATORS = ",;|\n"
"""What may separate several images in a cell of a table that is no known export."""

IN_NAMES = ",;"
"""Separators that also occur in the names of files."""

KEYS = ("path", "filepath", "file", "filename", "src", "url", "href", "link", "contenturl", "image", "name")
"""Keys of an object that name its image, the likeliest first; case and punctuation do not matter."""

BLANK_WORDS = frozenset(
    r"- -- – — none null nil nan n/a n.a. na #n/a #null! \n undefined empty no_selection (none) (null) [] {}".split()  # noqa: RUF001
)
"""Cells, in lower case, that mean that a row has no image; `no_selection` is Magento's, `\\n` is how MySQL exports a NULL."""

LONGEST_LITERAL = 100_000
"""Characters of a cell that is read as a list in JSON or Python."""

MOST_IMAGES = 1_000
"""Parts of a text cell above which it is no list of images."""

MAX_DEPTH = 8
"""Levels of lists and objects in which an image is looked for."""


def is_blank(text: str) -> bool:
    """Return whether a text cell says that its row has no image."""
    rest = clean(text)
    return not rest or rest.lower() in BLANK_WORDS


def cell_images(value: object, separators: str, exists: Callable[[str], bool]) -> Iterator[CellImage]:
    """Yield the images of a cell in their order; none where it says that there is none.

    Args:
        value: text, or what JSON Lines and Parquet hold: lists, objects with a path, `EmbeddedPhoto`.
        separators: characters that may separate images in text; a comma or semicolon does only after the name of an image.
        exists: whether a file of exactly this name exists, which is one image whatever the name contains.
    """
    return _images(value, separators, exists, MAX_DEPTH)


def _images(value: object, separators: str, exists: Callable[[str], bool], depth: int) -> Iterator[CellImage]:
    match value:
        case EmbeddedPhoto():  # a tuple too
            yield value
        case None | "":
            return
        case str():
            yield from _text_images(value, separators, exists, depth)
        case bool():
            yield Failed("bad_row", f"{value} in place of the path of an image")
        case float() if math.isnan(value):
            return
        case int() | float():
            yield str(value) if exists(str(value)) else Failed("bad_row", f"{value}, a number in place of the path of an image")
        case list() | tuple() if depth:
            for part in value:
                yield from _images(part, separators, exists, depth - 1)
        case Mapping() if depth:
            yield from _object_images(value, separators, exists, depth - 1)
        case _:
            yield Failed("bad_row", f"a value of type {type(value).__name__} in place of the path of an image")


def _object_images(
    value: Mapping[str, object], separators: str, exists: Callable[[str], bool], depth: int
) -> Iterator[CellImage]:
    """Yield the image that an object names by one of `KEYS`."""
    named = {re.sub(r"[\W_]+", "", str(name)).lower(): part for name, part in value.items()}
    for key in KEYS:
        found = list(_images(named.get(key), separators, exists, depth))
        if found:
            yield from found
            return
    if any(part is not None for name, part in named.items() if name not in KEYS):
        yield Failed("bad_row", f"an object without a path of an image; it has {', '.join(map(str, value))}")


def _text_images(text: str, separators: str, exists: Callable[[str], bool], depth: int) -> Iterator[CellImage]:
    if exists(text):
        yield text
        return
    if is_blank(text):
        return
    literal = _literal(text) if depth and separators else None
    if literal is not None:
        yield from _images(literal, separators, exists, depth - 1)
        return
    parts = split_images(text, separators, exists)
    images = [part for part in parts if not is_blank(part)]
    if len(images) == 1 and clean(images[0]) == clean(text):
        yield text  # as the source gave it
    else:
        yield from images


def _literal(text: str) -> list[object] | dict[str, object] | None:
    """Return the list or object that a cell holds as JSON, or as Python prints it; None where it holds neither."""
    bare = text.strip()
    if bare[:1] + bare[-1:] not in ("[]", "{}") or len(bare) > LONGEST_LITERAL:
        return None
    for read in (json.loads, ast.literal_eval):
        with suppress(ValueError, SyntaxError, RecursionError, MemoryError), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about escapes that Python lacks
            value = read(bare)
            return value if isinstance(value, list | dict) else None
    return None


def split_images(text: str, separators: str, exists: Callable[[str], bool]) -> list[str]:
    """Split a cell at the separators that stand between images, and return the parts without blanks around them.

    A comma or a semicolon may belong to a name or an address, so it separates only what are images by their suffixes or exist.
    """
    if not any(mark in text for mark in separators):
        return [text.strip()]
    pieces = re.split(f"([{re.escape(separators)}])", text)
    names, marks = pieces[::2], pieces[1::2]
    if len(names) > MOST_IMAGES:
        return [text.strip()]
    while len(names) > 1 and is_blank(names[-1]):
        names.pop()
    ends_in_image = _is_image(names[-1], exists)
    images = [names[0]]
    for mark, name in zip(marks, names[1:], strict=False):
        before = images[-1]
        if mark not in IN_NAMES or is_address(name) or not before.strip() or (ends_in_image and _is_whole(before, exists)):
            images.append(name)
        else:
            images[-1] += mark + name
    return [stripped for image in images if (stripped := image.strip())]


def _is_whole(text: str, exists: Callable[[str], bool]) -> bool:
    """Return whether an image ends here; an address with a query may go on."""
    return _is_image(text, exists) and not (is_address(text) and "?" in text)


def _is_image(text: str, exists: Callable[[str], bool]) -> bool:
    name = clean(text)
    path = re.split(r"[?#]", name, maxsplit=1)[0] if is_address(name) else name
    return PurePosixPath(path.replace("\\", "/")).suffix.lower() in IMAGE_SUFFIXES or exists(text.strip())
