"""Messages in Protocol Buffers' format are read as they were written, and damaged ones are refused."""
# ruff: noqa: SIM300 - the expected value stands first, as in every test here

import pytest

from tagger.models.protobuf import BYTES, FIXED32, FIXED64, VARINT, Field, bytes_field, read_fields, varint_field


def fields_of(message: bytes) -> list[tuple[int, int, int, bytes]]:
    """Return the fields of a message with their contents as bytes."""
    return [(field.number, field.kind, field.integer, bytes(field.content)) for field in read_fields(message)]


@pytest.mark.parametrize("value", [0, 1, 127, 128, 300, 2**32, 2**63 - 1, 2**64 - 1])
def test_integers_are_read_as_written(value: int) -> None:
    """An integer of any length up to 64 bits is the same after writing and reading."""
    assert [(5, VARINT, value, b"")] == fields_of(varint_field(5, value))


def test_negative_integers_are_in_twos_complement() -> None:
    """-1 is stored as the format demands, as 64 bits of 1."""
    assert b"\x08" + b"\xff" * 9 + b"\x01" == varint_field(1, -1)


def test_the_formats_own_example() -> None:
    """150 in field 1 and "testing" in field 2 are the bytes of the format's documentation."""
    assert bytes.fromhex("089601") == varint_field(1, 150)
    assert bytes.fromhex("120774657374696e67") == bytes_field(2, "testing")


def test_texts_and_bytes_are_read_as_written() -> None:
    """Bytes, texts and empty ones come back in their order; field numbers may be large."""
    message = bytes_field(2, "é") + bytes_field(3000, b"") + bytes_field(2, b"\0" * 300)
    assert [(2, BYTES, 0, "é".encode()), (3000, BYTES, 0, b""), (2, BYTES, 0, b"\0" * 300)] == fields_of(message)


def test_numbers_of_fixed_size_are_passed_over() -> None:
    """Numbers of four and eight bytes are fields of their own kinds, and what follows them is read."""
    message = bytes([1 << 3 | FIXED32]) + b"abcd" + bytes([2 << 3 | FIXED64]) + b"abcdefgh" + varint_field(3, 7)
    assert [(1, FIXED32, 0, b"abcd"), (2, FIXED64, 0, b"abcdefgh"), (3, VARINT, 7, b"")] == fields_of(message)


def test_reading_copies_nothing() -> None:
    """A content is a view of the message, so that large weights are not copied."""
    message = bytes_field(1, b"weights")
    (field,) = read_fields(message)
    assert isinstance(field, Field)
    assert field.content.obj is message


@pytest.mark.parametrize("end", range(1, len(bytes_field(1, "testing"))))
def test_cut_messages_are_refused(end: int) -> None:
    """A message that ends within a field is refused at any place."""
    with pytest.raises(ValueError, match="cut short"):
        fields_of(bytes_field(1, "testing")[:end])


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b"\x0b", "unknown kind 3"),
        (b"\x0f\x00", "unknown kind 7"),
        (b"\x08" + b"\xff" * 11, "an integer without an end"),
        (bytes([1 << 3 | FIXED32]) + b"abc", "cut short"),
        (b"\x0a" + b"\xff" * 9 + b"\x01", "cut short"),
    ],
)
def test_damaged_messages_are_refused(message: bytes, reason: str) -> None:
    """Groups, unknown kinds, endless integers and absurd sizes are refused with the reason."""
    with pytest.raises(ValueError, match=reason):
        fields_of(message)
