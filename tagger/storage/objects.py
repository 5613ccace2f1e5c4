"""List, read and write objects, with attempts repeated: the whole object or nothing, and failures of one object as values."""

import hashlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from threading import Lock
from typing import Final, Literal, NoReturn
from urllib.parse import urlsplit

from tagger.errors import StorageError
from tagger.records import Content, Failed, FailedReason, RemotePhoto
from tagger.storage import settings
from tagger.storage.addresses import bucket_address, is_bucket, shown, signed
from tagger.storage.faults import OF_BUCKET, Fault
from tagger.storage.retries import attempt
from tagger.storage.stores import ListedObject, ObjectState, store_of
from tagger.storage.traffic import Traffic

__all__ = [
    "ANY",
    "ListedObject",
    "ObjectState",
    "download",
    "list_objects",
    "object_state",
    "read_object",
    "state_before_writing",
    "upload",
]

ANY: Final[Literal["any"]] = "any"
"""That an object is written over whatever is there."""

MAX_DOWNLOAD = 5_000_000_000_000
"""Bytes of a table or a ledger at most: an object has no more."""


def list_objects(folder: str, traffic: Traffic) -> Iterator[ListedObject]:
    """Yield the objects below a folder, whose address ends with `/`, in the order of their keys, a page at a time.

    Raises `StorageError` where it cannot be listed.
    """
    store, token = store_of(folder), None
    while True:
        try:
            objects, token = attempt("list", traffic, lambda: store.page(folder, token))  # noqa: B023 (called at once)
        except Fault as fault:
            _raise_for_bucket(folder, fault, "listed")
        yield from objects
        if token is None:
            return


def object_state(address: str, traffic: Traffic, signature: str = "") -> ObjectState | None:
    """Return the state of an object; None where there is none.

    Of a file of a web server that is not reached nothing is known. Raises `StorageError` where a bucket cannot be used.
    """
    target = signed(address, signature)
    if not is_bucket(address) and _hosts.is_given_up(address):
        return ObjectState(None, None)
    try:
        return attempt("head", traffic, lambda: store_of(target).state(target))
    except Fault as fault:
        if fault.kind == "missing":
            return None
        if is_bucket(address) and fault.kind != "denied":
            _raise_for_bucket(address, fault, "read")
        return ObjectState(None, None)


def state_before_writing(address: str, traffic: Traffic) -> ObjectState | None:
    """Return the state of an object, None where there is none; raises `StorageError` where there is no bucket for one either.

    S3's answer to the request for a state does not tell whether it is the object or the bucket that is missing.
    """
    state = object_state(address, traffic)
    if state is None and bucket_address(address).scheme == "s3":
        next(list_objects(f"{address}/", traffic), None)
    return state


def read_object(photo: RemotePhoto, max_bytes: int, traffic: Traffic) -> tuple[bytes, Content] | Failed:
    """Read a photo as a whole, and return its bytes with their sha256, size and state, or why it cannot be had.

    Raises `StorageError` where its bucket as a whole cannot be used; what is wrong with a web server is the photo's failure.
    """
    target = signed(photo.address, photo.signature)
    if not is_bucket(target) and _hosts.is_given_up(target):
        return Failed(
            "unreadable", f"{shown(target)}: its server was not reached several times in a row, and is not tried again"
        )
    try:
        content, state = attempt("get", traffic, lambda: store_of(target).get(target, max_bytes))
    except Fault as fault:
        return _failed(target, fault)
    (_buckets if is_bucket(target) else _hosts).succeeded(target)
    traffic.count_bytes(received=len(content))
    known = photo.state if state is None else state.state
    return content, Content(hashlib.sha256(content).digest(), len(content), known)


def download(address: str, file: Path, traffic: Traffic, signature: str = "") -> ObjectState:
    """Write an object into a file, and return its state; raises `StorageError` where it cannot be read.

    A large one comes in parts of `settings.PART_BYTES`, so that it need not fit into memory.
    """
    target = signed(address, signature)
    try:
        state = attempt("head", traffic, lambda: store_of(target).state(target)) if is_bucket(target) else None
        if state is not None and (state.size or 0) > settings.PART_BYTES:
            return _download_parts(target, file, traffic, state)
        content, told = attempt("get", traffic, lambda: store_of(target).get(target, MAX_DOWNLOAD))
    except Fault as fault:
        _raise_for_bucket(address, fault, "read")
    traffic.count_bytes(received=len(content))
    file.write_bytes(content)
    return told or state or ObjectState(len(content), None)


def _download_parts(target: str, file: Path, traffic: Traffic, state: ObjectState) -> ObjectState:
    with file.open("wb") as opened:
        while (first := opened.tell()) < (state.size or 0):
            content = attempt("get", traffic, lambda: store_of(target).part(target, first, state.tag))
            traffic.count_bytes(received=len(content))
            opened.write(content)
    return state


def upload(file: Path, address: str, traffic: Traffic, expected: ObjectState | Literal["any"] | None = ANY) -> ObjectState:
    """Write a file as an object, as a whole or not at all, and return its state.

    `expected` is the state that the object must still have, None where there must be none. Raises `StorageError` where it
    cannot be written, and `FileExistsError` where it has another state.
    """
    tag = None if expected == ANY else "" if expected is None else expected.tag
    try:
        state = attempt("put", traffic, lambda: store_of(address).put(file, address, tag))
    except Fault as fault:
        if fault.kind != "changed":
            _raise_for_bucket(address, fault, "written")
        found = object_state(address, traffic)  # an attempt may have written it whose answer was lost
        if found is None or found.size != file.stat().st_size or found.tag.strip('"') != _entity_tag(file):
            raise FileExistsError(f"{shown(address)} was written by another program meanwhile") from fault
        state = found
    traffic.count_bytes(sent=file.stat().st_size)
    return state


def _entity_tag(file: Path) -> str:
    """Return what S3 has as the entity tag of an object that was written by one request, or in parts."""
    with file.open("rb") as opened:
        parts = [hashlib.md5(part, usedforsecurity=False) for part in iter(lambda: opened.read(settings.PART_BYTES), b"")]
    if file.stat().st_size <= settings.PART_BYTES:
        return parts[0].hexdigest() if parts else hashlib.md5(b"", usedforsecurity=False).hexdigest()
    return f"{hashlib.md5(b''.join(part.digest() for part in parts), usedforsecurity=False).hexdigest()}-{len(parts)}"


# Failures ----------------------------------------------------------------------------------------------------------


class _Streaks:
    """Counts, by bucket or host, how many objects in a row could not be had after all attempts."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._counts: Counter[str] = Counter()
        self._lock = Lock()

    def succeeded(self, address: str) -> None:
        with self._lock:
            self._counts.pop(_host(address), None)

    def failed(self, address: str) -> bool:
        """Count a failure, and return whether that is one too many."""
        with self._lock:
            self._counts[_host(address)] += 1
        return self.is_given_up(address)

    def is_given_up(self, address: str) -> bool:
        return self._counts.get(_host(address), 0) >= self._limit


_buckets, _hosts = _Streaks(settings.GIVE_UP_BUCKET), _Streaks(settings.GIVE_UP_HOST)


def _host(address: str) -> str:
    """Return the bucket or the host of an address; empty where it is malformed."""
    try:
        return urlsplit(address).netloc
    except ValueError:
        return ""


def _failed(address: str, fault: Fault) -> Failed:
    """Return the failure of a photo; raises `StorageError` where the fault is that of the whole bucket."""
    if is_bucket(address):
        if fault.kind in OF_BUCKET or (fault.kind == "temporary" and _buckets.failed(address)):
            _raise_for_bucket(address, fault, "read")
    elif fault.kind in ("no_host", "unreachable"):
        _hosts.failed(address)
    reasons: dict[str, FailedReason] = {"missing": "missing", "too_large": "too_large"}
    return Failed(reasons.get(fault.kind, "unreadable"), f"{shown(address)}: {fault.why}")


def _raise_for_bucket(address: str, fault: Fault, done: str) -> NoReturn:
    """Raise `StorageError` with what is wrong with a bucket, and what to do."""
    name, place = bucket_address(address).bucket, shown(address)
    kept = "; what was done is kept, so run the command again"
    sentences = {
        "no_bucket": f"There is no bucket {name} ({place}); check its name and region.",
        "credentials": f"{place} cannot be {done}: the credentials are missing, not valid or have expired"
        f" ({fault.why}); renew those of the environment{kept}.",
        "unreachable": f"{place} cannot be {done}: {fault.why}; check the network, and the endpoint if one is set{kept}.",
        "no_host": f"{place} cannot be {done}: {fault.why}; check the network, and the endpoint if one is set{kept}.",
        "temporary": f"{place} cannot be {done}: {fault.why}, again and again{kept}.",
        "denied": f"{place} may not be {done}: {fault.why}; have the permission given to the credentials of the environment.",
        "missing": f"{place} cannot be {done}: {fault.why}; check the address.",
    }
    raise StorageError(sentences.get(fault.kind, f"{place} cannot be {done}: {fault.why}.")) from fault
