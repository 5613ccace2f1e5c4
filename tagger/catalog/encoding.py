"""Find the encoding of a text table, and open it as text.

UTF-8 is checked over the whole file; a byte order mark, or zero bytes, tell UTF-16 and UTF-32. Only text that is none of these
is guessed: chardet's statistics of languages rank the encodings that spreadsheets and shops write, and what no word looks like
corrects the ranking, as words are few in a table. Cells are Unicode from here on.
"""

import codecs
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from tagger.catalog.compressed import open_bytes

CHUNK = 1 << 20
"""Bytes that are looked at at once."""

SAMPLE = 1 << 16
"""Bytes of words that are not ASCII from which an encoding is guessed."""

_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

_ENCODINGS = {
    **{"cp1252": 1.5, "cp1250": 1.0, "cp1251": 1.0, "cp1253": 1.0, "cp1254": 1.0, "cp1255": 1.0, "cp1256": 1.0, "cp1257": 0.7},
    **{"iso8859-2": 0.9, "koi8-r": 1.0, "cp850": 0.9, "cp852": 0.6, "cp437": 0.6, "cp866": 1.0, "mac-roman": 0.9},
    **{"cp932": 1.0, "euc_jis_2004": 1.0, "gb18030": 1.0, "big5hkscs": 1.0, "cp949": 1.0},
}
"""Encodings that are guessed, by chardet's names, each with the weight of its score: tables are most often in Windows-1252."""

_NAMES = {
    "cp1252": "Windows-1252",
    "cp932": "Shift-JIS",
    "euc_jis_2004": "EUC-JP",
    "big5hkscs": "Big5",
    "cp949": "EUC-KR",
    "mac-roman": "Mac Roman",
}

# Letters of two scripts in one word, a symbol between small letters, a capital after a small letter, control characters: what
# text looks like that is read in a wrong encoding.
_ODD = re.compile(
    "[A-Za-z][\u0370-\U0010ffff]|[\u0370-\U0010ffff][a-z]|[a-z][^\\w\\s'\u2019.\\-/&+\xae\u2122\"()]+[a-z]"
    "|[a-z\xe0-\xff][A-Z\xc0-\xd6\xd8-\xde]|[\x80-\x9f\ue000-\uf8ff]"
)

_AS_CP1252 = "fmtag.cp1252"


def _decode_as_cp1252(error: UnicodeError) -> tuple[str, int]:
    """Decode bytes that do not fit the encoding of their text as Windows-1252, or as Latin-1 where that has no character."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    wrong = error.object[error.start : error.end]
    return "".join(
        bytes([byte]).decode("cp1252" if byte not in b"\x81\x8d\x8f\x90\x9d" else "latin-1") for byte in wrong
    ), error.end


codecs.register_error(_AS_CP1252, _decode_as_cp1252)


@dataclass(frozen=True)
class Encoding:
    """How the bytes of a table become text."""

    name: str
    """Of a codec of Python."""
    errors: str = _AS_CP1252
    others: tuple[str, ...] = ()
    """Further encodings that the text may have, the likeliest first; empty unless the encoding was guessed."""
    note: str = ""
    """What a user should know about it, as the end of a sentence that begins with the table's name."""


def find_encoding(path: Path) -> Encoding:
    """Return the encoding of a file, by reading it once; raises what `open_bytes` does."""
    with open_bytes(path) as file:
        start = file.read(4096)
        if start.startswith(codecs.BOM_UTF8):
            return Encoding("utf-8-sig")
        wide = wide_encoding(start)
        if wide is not None:
            return Encoding(wide, "replace")
        wrong, right, words = _count_utf8(_chunks(start, file))
    if not wrong:
        return Encoding("utf-8")
    if right > wrong:
        return Encoding("utf-8", note=f"has bytes that are not UTF-8 ({wrong:,}); they are read as Windows-1252")
    return guess_encoding(words)


def open_text(path: Path, encoding: Encoding) -> TextIO:
    """Open a file as text, with its line ends as they are."""
    return io.TextIOWrapper(open_bytes(path), encoding.name, encoding.errors, newline="")


def guess_encoding(words: bytes) -> Encoding:
    """Return the likeliest encoding of words, separated by line breaks, that are neither ASCII nor UTF-8."""
    import chardet

    found = chardet.detect_all(words, ignore_threshold=True, include_encodings=_ENCODINGS, compat_names=False)
    scores: dict[str, float] = {}
    for one in found:
        name = str(one["encoding"])
        if name not in _ENCODINGS:
            continue
        try:
            text = words.decode(name)
        except UnicodeError:
            continue
        odd = sum(bool(_ODD.search(word)) for word in text.split()) / max(1, len(text.split()))
        scores[name] = (float(one["confidence"] or 0.0) + 1e-9) * _ENCODINGS[name] * (1 - odd) ** 3
    scores.setdefault("cp1252", 0.0)
    ranked: Sequence[str] = sorted(scores, key=lambda name: -scores[name])
    return guessed_encoding(ranked[0], tuple(ranked[1:]))


def guessed_encoding(name: str, others: tuple[str, ...] = ()) -> Encoding:
    """Return the encoding of a guess, with its note."""
    return Encoding(name, others=others, note=f"is not UTF-8; it is read as {_shown(name)}")


def _shown(name: str) -> str:
    return _NAMES.get(name) or re.sub("^cp12", "Windows-12", name).replace("cp", "code page ").replace("iso", "ISO ")


def _chunks(start: bytes, file: object) -> Iterator[bytes]:
    yield start
    while chunk := file.read(CHUNK):  # type: ignore[attr-defined]
        yield chunk


def _count_utf8(chunks: Iterator[bytes]) -> tuple[int, int, bytes]:
    """Return the numbers of bytes that are not UTF-8 and of characters that are, ASCII aside, and the words that have them."""
    decode = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode
    wrong = right = size = 0
    words: dict[bytes, None] = {}
    for chunk in chunks:
        text = decode(chunk)
        if text.isascii() and chunk.isascii():
            continue
        faults = len(re.findall("[\udc80-\udcff]", text))
        wrong += faults
        right += len(re.findall("[^\0-\x7f]", text)) - faults
        if size < SAMPLE:
            for word in re.findall(rb"[^\s,;|\"<>]*[\x80-\xff][^\r\n\t ,;|\"<>]*", chunk):
                if word not in words:
                    words[word] = None
                    size += len(word)
    wrong += len(re.findall("[\udc80-\udcff]", decode(b"", True)))
    return wrong, right, b"\n".join(words)


def wide_encoding(start: bytes) -> str | None:
    """Return the encoding of UTF-16 or UTF-32, told by a mark or by the zero bytes of ASCII characters; None for other text."""
    for mark, name in _MARKS:
        if start.startswith(mark):
            return name
    zeros = [start[at::4].count(0) / max(1, len(start[at::4])) for at in range(4)]
    even, odd = (zeros[0] + zeros[2]) / 2, (zeros[1] + zeros[3]) / 2
    if len(start) >= 4 and min(zeros[1:]) > 0.9 and zeros[0] < 0.1:
        return "utf-32-le"
    if len(start) >= 4 and min(zeros[:3]) > 0.9 and zeros[3] < 0.1:
        return "utf-32-be"
    if len(start) >= 4 and start.count(0) > 2 and max(even, odd) > 0.2 and min(even, odd) < 0.01:
        return "utf-16-le" if odd > even else "utf-16-be"
    return None
