"""Tell what kind of table a file is by its content: suffixes say otherwise as often as not."""

import re
import zipfile
from pathlib import Path
from typing import Literal, TypeAlias

from tagger.catalog.compressed import DAMAGE, LONGEST_START, is_compressed, open_bytes
from tagger.catalog.encoding import Encoding, find_encoding, wide_encoding
from tagger.errors import SourceError, reason_of
from tagger.file_kinds import EMPTY, JSON, PARQUET, READ, START, TEXT, UNKNOWN, Kind, is_photo, kind_of

TableKind: TypeAlias = Literal["text", "json", "workbook", "parquet"]

ENCRYPTED = Kind(
    "a spreadsheet of an old format (.xls) or one with a password", "save it as .xlsx without a password, or as CSV"
)

MAX_CONTROLS, FEW_CONTROLS = 0.02, 16
"""Share of control characters in the beginning of a text, of which it may always have a few; noise has an eighth."""


def table_kind(path: Path) -> TableKind:
    """Return what kind of table a file is, by its first bytes, decompressed.

    Raises `SourceError`, with the kind and the remedy, where it is none that fmtag reads, or cannot be read.
    """
    start, packed = _starts(path)
    if is_photo(start):
        raise SourceError(f"{path} is a photo, not a table; let its name end as that of a photo. {READ}.")
    if (wide := wide_encoding(start)) is not None:
        text = start[: len(start) // 4 * 4].decode(wide, "replace")
        start = text.replace("\ufffd", "\x02").encode("utf-8", "replace")  # noise has half a surrogate here and there
    kind = kind_of(start, path.suffix)
    if kind is PARQUET and not packed:
        return "parquet"
    if start.startswith(b"PK") and not packed and _is_workbook(path):
        return "workbook"
    if start.startswith(b"\xd0\xcf\x11\xe0"):
        kind = ENCRYPTED
    if kind is JSON:
        return "json"
    if kind in (TEXT, EMPTY) or (kind is UNKNOWN and not _is_noise(start)):
        return "text"
    if packed and kind is PARQUET:
        kind = Kind("a compressed Parquet table", "decompress it first")
    raise SourceError(f"{path} is {kind.name}, not a photo or table; {kind.remedy}. {READ}.")


def text_encoding(path: Path) -> Encoding:
    """Return the encoding of a text table; raises `SourceError` where the file cannot be read or is damaged."""
    try:
        return find_encoding(path)
    except OSError as error:
        raise _unreadable(path, error) from error
    except DAMAGE as error:
        raise _damaged(path, error) from error


def _starts(path: Path) -> tuple[bytes, bool]:
    """Return the first bytes of what a file holds, and whether it is compressed."""
    try:
        with path.open("rb") as file:
            packed = is_compressed(file.read(LONGEST_START))
        with open_bytes(path) as file:
            return file.read(START), packed
    except DAMAGE as error:
        raise _damaged(path, error) from error
    except OSError as error:
        raise _unreadable(path, error) from error


def _is_workbook(path: Path) -> bool:
    """Return whether a ZIP archive is an Excel workbook, and not a binary one (.xlsb), which is none that openpyxl reads."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError):
        if path.suffix.lower() in (".xlsx", ".xlsm"):
            raise SourceError(f"{path} is a damaged Excel workbook; save or copy it again.") from None
        return False
    return any(re.fullmatch(r"xl/workbook\d*\.xml", name) for name in names)


def _is_noise(start: bytes) -> bool:
    controls = len(re.findall(rb"[\x02-\x08\x0e-\x19]", start))
    return controls > max(FEW_CONTROLS, MAX_CONTROLS * len(start)) or start.count(0) > 0.8 * len(start)


def _damaged(path: Path, error: Exception) -> SourceError:
    return SourceError(f"{path} is a damaged compressed file ({reason_of(error)}); export or copy it again.")


def _unreadable(path: Path, error: OSError) -> SourceError:
    return SourceError(f"{path} cannot be read: {reason_of(error)}.")
