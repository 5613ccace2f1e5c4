"""Read and write Protocol Buffers' wire format, as far as ONNX files need it.

Origin: https://protobuf.dev/programming-guides/encoding. The package `onnx` does the same, but takes a tenth of a second to
import, in every process that tags photos.
"""

from collections.abc import Iterator
from typing import NamedTuple

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
"""Kinds of values (wire types): integers of variable length, eight bytes, a counted number of bytes, four bytes."""

_SIZES = {FIXED64: 8, FIXED32: 4}

_LONGEST_VARINT = 10
"""Bytes of the longest integer, of 64 bits at seven a byte."""


class Field(NamedTuple):
    """One field of a message as it is stored."""

    number: int
    kind: int
    """`VARINT`, `FIXED64`, `BYTES` or `FIXED32`."""
    integer: int
    """The value of a `VARINT`, 0 to 2**64 - 1; 0 for other kinds."""
    content: memoryview
    """The bytes of another kind; empty for a `VARINT`."""


def read_fields(message: bytes | memoryview) -> Iterator[Field]:
    """Yield the fields of a message in their order, without copying; raises `ValueError` if it is truncated or malformed."""
    view, at = memoryview(message), 0
    nothing = view[:0]
    while at < len(view):
        tag, at = _read_varint(view, at)
        number, kind = tag >> 3, tag & 7
        if kind == VARINT:
            integer, at = _read_varint(view, at)
            yield Field(number, kind, integer, nothing)
            continue
        if kind == BYTES:
            size, at = _read_varint(view, at)
        elif kind in _SIZES:
            size = _SIZES[kind]
        else:
            raise ValueError(f"it is damaged (a value of the unknown kind {kind})")
        if size > len(view) - at:
            raise ValueError("it is cut short")
        yield Field(number, kind, 0, view[at : at + size])
        at += size


def _read_varint(view: memoryview, at: int) -> tuple[int, int]:
    """Return the integer that begins at a place, and the place after it."""
    value = 0
    for index, byte in enumerate(view[at : at + _LONGEST_VARINT]):
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, at + index + 1
    raise ValueError("it is cut short" if len(view) - at < _LONGEST_VARINT else "it is damaged (an integer without an end)")


def varint_field(number: int, value: int) -> bytes:
    """Return a field with an integer, -2**63 to 2**64 - 1."""
    return _varint(number << 3 | VARINT) + _varint(value)


def bytes_field(number: int, content: bytes | str) -> bytes:
    """Return a field with bytes, the UTF-8 of a text, or another message."""
    encoded = content.encode() if isinstance(content, str) else content
    return _varint(number << 3 | BYTES) + _varint(len(encoded)) + encoded


def _varint(value: int) -> bytes:
    rest = value & 0xFFFF_FFFF_FFFF_FFFF  # negative integers are stored in two's complement
    encoded = bytearray()
    while rest > 0x7F:
        encoded.append(rest & 0x7F | 0x80)
        rest >>= 7
    encoded.append(rest)
    return bytes(encoded)
