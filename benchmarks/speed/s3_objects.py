"""Hold the objects of the S3 stand-in: of a folder, in memory, or numbered ones that are made when they are read."""

import base64
import bisect
import heapq
import time
from collections.abc import Iterator
from hashlib import md5
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import NamedTuple

from PIL import Image

AFTER_ALL = "\U0010ffff"
"""Sorts after all that a key can go on with."""

MADE_AT = 1_700_000_000.0
"""When all numbered objects were written, in seconds since 1970."""

AFTER_APP0 = 20
"""Where a JPEG of Pillow may have a comment: behind its first two segments."""


class Stored(NamedTuple):
    """An object: its content, or the file that has it."""

    content: bytes | Path
    size: int
    etag: str
    """MD5 of the content in hexadecimal digits; of an upload in parts as S3 makes it, with their number."""
    modified: float
    """Seconds since 1970."""

    def read(self) -> bytes:
        """Return the content."""
        return self.content if isinstance(self.content, bytes) else self.content.read_bytes()


class Page(NamedTuple):
    """A page of a listing."""

    objects: list[tuple[str, Stored]]
    prefixes: list[str]
    """What the keys have up to the delimiter, where they have one."""
    token: str
    """Continues the listing; empty at its end."""


class Numbered:
    """Objects `0000000/0000000000.jpg`, ... in folders of a thousand, each a tiny JPEG with bytes of its own."""

    def __init__(self, total: int) -> None:
        """Take the number of objects."""
        stream = BytesIO()
        Image.new("RGB", (16, 16), (200, 60, 60)).save(stream, "JPEG", quality=50)
        self._jpeg = stream.getvalue()
        self._numbers = range(total)

    @staticmethod
    def key(number: int) -> str:
        """Return the key of an object; keys sort like their numbers."""
        return f"{number // 1000:07d}/{number:010d}.jpg"

    def get(self, key: str) -> Stored | None:
        """Return the object of a key."""
        at = bisect.bisect_left(self._numbers, key, key=self.key)
        return self.object(at) if at < len(self._numbers) and self.key(at) == key else None

    def object(self, number: int) -> Stored:
        """Return an object, with a comment in its JPEG that has its number."""
        content = b"%b\xff\xfe\x00\x0c%010d%b" % (self._jpeg[:AFTER_APP0], number, self._jpeg[AFTER_APP0:])
        return Stored(content, len(content), md5(content, usedforsecurity=False).hexdigest(), MADE_AT)

    def keys_from(self, key: str, beyond: bool) -> Iterator[str]:
        """Yield the keys that sort after `key`, or from it on where they need not be beyond it."""
        bisected = (bisect.bisect_right if beyond else bisect.bisect_left)(self._numbers, key, key=self.key)
        return map(self.key, self._numbers[bisected:])


class Objects:
    """The objects of a bucket, which begins with those of a folder or with numbered ones; writes are kept in memory."""

    def __init__(self, folder: Path | None = None, numbered: int = 0) -> None:
        """Read the MD5 of all files of a folder, whose content is read again at each request."""
        self._numbered = Numbered(numbered)
        self._written: dict[str, Stored] = {}
        self._removed: set[str] = set()
        self._uploads: dict[str, dict[int, bytes]] = {}
        self._upload_ids = count(1)
        for path in folder.rglob("*") if folder else ():
            if path.is_file():
                content, found = path.read_bytes(), path.stat()
                etag = md5(content, usedforsecurity=False).hexdigest()
                self._written[path.relative_to(folder or path).as_posix()] = Stored(path, len(content), etag, found.st_mtime)
        self._keys = sorted(self._written)

    def get(self, key: str) -> Stored | None:
        """Return the object of a key."""
        return self._written.get(key) or (None if key in self._removed else self._numbered.get(key))

    def put(self, key: str, content: bytes, etag: str = "") -> Stored:
        """Write an object."""
        etag = etag or md5(content, usedforsecurity=False).hexdigest()
        if key not in self._written:
            bisect.insort(self._keys, key)
        self._written[key] = Stored(content, len(content), etag, time.time())
        return self._written[key]

    def delete(self, key: str) -> None:
        """Remove an object, where there is one."""
        if self._written.pop(key, None):
            del self._keys[bisect.bisect_left(self._keys, key)]
        self._removed.add(key)

    def begin_upload(self) -> str:
        """Return the id of a new upload in parts."""
        upload = f"upload-{next(self._upload_ids)}"
        self._uploads[upload] = {}
        return upload

    def put_part(self, upload: str, number: int, content: bytes) -> str | None:
        """Keep a part and return its ETag; None where there is no such upload."""
        if upload not in self._uploads:
            return None
        self._uploads[upload][number] = content
        return md5(content, usedforsecurity=False).hexdigest()

    def complete(self, upload: str, key: str, numbers: list[int]) -> Stored | None:
        """Write the object of an upload from its parts; None where one of them is missing."""
        parts = self._uploads.get(upload)
        if parts is None or not numbers or any(number not in parts for number in numbers):
            return None
        chosen = [parts[number] for number in numbers]
        digests = b"".join(md5(part, usedforsecurity=False).digest() for part in chosen)
        del self._uploads[upload]
        return self.put(key, b"".join(chosen), f"{md5(digests, usedforsecurity=False).hexdigest()}-{len(chosen)}")

    def abort(self, upload: str) -> bool:
        """Forget an upload; False where there is none."""
        return self._uploads.pop(upload, None) is not None

    def listed(self, prefix: str, delimiter: str, after: str, token: str, most: int) -> Page:
        """Return a page of the keys that begin with `prefix` and sort after `after`, or of what follows the page before it."""
        if token:
            after = base64.urlsafe_b64decode(token).decode()
            if delimiter and after.startswith(prefix) and after.endswith(delimiter) and len(after) > len(prefix):
                after += AFTER_ALL  # the last entry was all that begins with it
        objects: list[tuple[str, Stored]] = []
        prefixes: list[str] = []
        last = ""
        keys = self._from(after, prefix)
        while (key := next(keys, None)) is not None and key.startswith(prefix):
            if len(objects) + len(prefixes) >= most:
                return Page(objects, prefixes, base64.urlsafe_b64encode(last.encode()).decode() if most else "")
            end = key.find(delimiter, len(prefix)) if delimiter else -1
            if end >= 0:
                last = key[: end + len(delimiter)]
                prefixes.append(last)
                keys = self._from(last + AFTER_ALL, prefix)
            elif found := self.get(key):
                last = key
                objects.append((key, found))
        return Page(objects, prefixes, "")

    def _from(self, after: str, prefix: str) -> Iterator[str]:
        """Yield keys in their order, from the first one that is after `after` and may begin with `prefix`."""
        beyond = after >= prefix
        start = bisect.bisect_right(self._keys, after) if beyond else bisect.bisect_left(self._keys, prefix)
        written = (self._keys[number] for number in range(start, len(self._keys)))
        hidden = self._written.keys() | self._removed
        numbered = self._numbered.keys_from(max(after, prefix), beyond)
        return heapq.merge(written, (key for key in numbered if key not in hidden))
