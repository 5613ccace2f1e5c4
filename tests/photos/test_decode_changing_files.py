"""Files that change while they are read."""

import hashlib
import os
from pathlib import Path

import pytest
from helpers import draw_photo

from tagger.photos import decode


def test_a_file_replaced_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hash is that of the decoded bytes, and size and time of a file that changed meanwhile do not count."""
    file = tmp_path / "photo.jpg"
    draw_photo(1).save(file)
    old = file.read_bytes()
    real, calls = os.fstat, []

    def replaced(handle: int) -> os.stat_result:
        calls.append(handle)
        if len(calls) == 2:
            file.write_bytes(old + b"more")
        return real(handle)

    monkeypatch.setattr(decode.os, "fstat", replaced)
    got = decode.read(file)
    assert isinstance(got, tuple)
    content, known = got
    assert content == old
    assert known.sha256 == hashlib.sha256(old).digest()
    assert known.mtime_ns is None
