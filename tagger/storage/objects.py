"""List, read and write objects, with attempts repeated: the whole object or nothing, and failures of one object as values."""

import hashlib
import time
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
from tagger.storage.faults import OF_BUCKET, OF_HOST, Fault
from tagger.storage.retries import attempt, attempt_once
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


def list_objects(folder: str, traffic: Traffic) -> Iterator[ListedObject]:
    """Yield the objects below a folder, whose address ends with `/`, in the order of their keys, a page at a time.

    Raises `StorageError` where it cannot be listed.
    """
    token = None
    while True:
        try:
            objects, token = attempt("list", traffic, lambda: store_of(folder).page(folder, token))  # noqa: B023 (called at once)
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
        state = attempt("head", traffic, lambda: store_of(target).state(target))
    except Fault as fault:
        if fault.kind == "missing":
            return None
        if is_bucket(address) and fault.kind != "denied":
            _raise_for_bucket(address, fault, "read")
        _count_host(address, fault)
        return ObjectState(None, None)
    if not is_bucket(address):
        _hosts.succeeded(address)
    return state


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
        if photo.size is not None and photo.size > max_bytes:
            raise Fault("too_large", f"longer than {max_bytes:,} bytes")
        content, state = attempt("get", traffic, lambda: store_of(target).get(target, max_bytes))
    except Fault as fault:
        return _failed(target, fault)
    (_buckets if is_bucket(target) else _hosts).succeeded(target)
    traffic.count_bytes(received=len(content))
    known = photo.state if state is None else state.state
    return content, Content(hashlib.sha256(content).digest(), len(content), known)


def download(address: str, file: Path, traffic: Traffic, signature: str = "") -> ObjectState:
    """Write an object into a file, and return its state; raises `StorageError` where it cannot be read."""
    target = signed(address, signature)
    try:
        state = attempt_once(lambda: store_of(target)).fetch(target, file, traffic)
    except Fault as fault:
        _raise_for_bucket(address, fault, "read")
    traffic.count_bytes(received=file.stat().st_size)
    return state


def upload(file: Path, address: str, traffic: Traffic, expected: ObjectState | Literal["any"] | None = ANY) -> ObjectState:
    """Write a file as an object, as a whole or not at all, and return its state.

    `expected` is the state that the object must still have, None where there must be none. Raises `StorageError` where it
    cannot be written, and `FileExistsError` where it has another state.
    """
    tag = None if expected == ANY else "" if expected is None else expected.tag
    try:
        state = attempt_once(lambda: store_of(address)).put(file, address, tag, traffic)
    except Fault as fault:
        if fault.kind == "changed":
            raise FileExistsError(f"{shown(address)} was written by another program meanwhile") from fault
        _raise_for_bucket(address, fault, "written")
    traffic.count_bytes(sent=file.stat().st_size)
    return state


# Failures ----------------------------------------------------------------------------------------------------------


class _Streaks:
    """Counts, by bucket or host, how many objects in a row could not be had after all attempts.

    Many enough count for `settings.GIVE_UP_SECONDS`: a process that runs for days tries again.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._counts: Counter[str] = Counter()
        self._last: dict[str, float] = {}
        self._lock = Lock()

    def succeeded(self, address: str) -> None:
        with self._lock:
            self._counts.pop(_host(address), None)

    def failed(self, address: str) -> bool:
        """Count a failure, and return whether that is one too many."""
        with self._lock:
            self._counts[_host(address)] += 1
            self._last[_host(address)] = time.monotonic()
        return self.is_given_up(address)

    def is_given_up(self, address: str) -> bool:
        host = _host(address)
        if self._counts.get(host, 0) < self._limit:
            return False
        return time.monotonic() - self._last[host] < settings.GIVE_UP_SECONDS


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
        if fault.kind == "no_bucket":  # of one row of a table; that of a listing is told by the listing
            return Failed("missing", f"{shown(address)}: there is no bucket {bucket_address(address).bucket}")
        if fault.kind in OF_BUCKET or (fault.kind in ("temporary", "silent") and _buckets.failed(address)):
            _raise_for_bucket(address, fault, "read")
    else:
        _count_host(address, fault)
    reasons: dict[str, FailedReason] = {"missing": "missing", "too_large": "too_large"}
    return Failed(reasons.get(fault.kind, "unreadable"), f"{shown(address)}: {fault.why}")


def _count_host(address: str, fault: Fault) -> None:
    """Count a fault against the web server of an address, where it answered nothing; any answer begins the count anew."""
    if fault.kind in OF_HOST:
        _hosts.failed(address)
    else:
        _hosts.succeeded(address)


def _raise_for_bucket(address: str, fault: Fault, done: str) -> NoReturn:
    """Raise `StorageError` with what is wrong with a bucket, and what to do."""
    name, place = bucket_address(address).bucket, shown(address)
    kept = "; what was done is kept, so run the command again"
    network = f"{place} cannot be {done}: {fault.why}; check the network, and the endpoint if one is set{kept}."
    silent = f"{place} cannot be {done}: {fault.why}, again and again{kept}."
    sentences = {
        "no_bucket": f"There is no bucket {name} ({place}); check its name and region.",
        "credentials": f"{place} cannot be {done}: the credentials are missing, not valid or have expired"
        f" ({fault.why}); renew those of the environment{kept}.",
        "region": f"{place} cannot be {done}: the bucket {name} lies in another region ({fault.why}); set AWS_REGION to that.",
        "unreachable": network,
        "no_host": network,
        "temporary": silent,
        "silent": silent,
        "denied": f"{place} may not be {done}: {fault.why}; set credentials in the environment that have the permission.",
        "missing": f"{place} cannot be {done}: {fault.why}; check the address.",
    }
    if fault.kind == "denied" and not is_bucket(address):
        raise StorageError(f"{place} may not be {done}: {fault.why}; check the address, and what signs it.") from fault
    raise StorageError(sentences.get(fault.kind, f"{place} cannot be {done}: {fault.why}.")) from fault
