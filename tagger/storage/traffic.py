"""Count the requests to buckets and web servers, and the bytes that they move."""

from collections import Counter
from dataclasses import dataclass, field
from threading import Lock
from typing import Literal, TypeAlias, get_args

RequestKind: TypeAlias = Literal["list", "head", "get", "put"]
"""What providers charge by: a page of a listing, the state of an object, its content, and what writes."""

REQUEST_KINDS: tuple[RequestKind, ...] = get_args(RequestKind)


@dataclass
class Traffic:
    """Counts of requests, filled in as they are made; may be used by several threads at once."""

    requests: Counter[RequestKind] = field(default_factory=Counter)
    """Requests per kind, repeated ones included."""
    retries: int = 0
    """Of these the repeated ones."""
    received: int = 0
    """Bytes of bodies received."""
    sent: int = 0
    """Bytes of bodies sent."""
    _lock: Lock = field(default_factory=Lock, repr=False, compare=False)

    def count(self, kind: RequestKind, *, retried: bool = False) -> None:
        """Count one request."""
        with self._lock:
            self.requests[kind] += 1
            self.retries += retried

    def count_bytes(self, *, received: int = 0, sent: int = 0) -> None:
        """Count bytes of bodies."""
        with self._lock:
            self.received += received
            self.sent += sent

    def add(self, other: "Traffic") -> None:
        """Add the counts of another."""
        with self._lock:
            self.requests.update(other.requests)
            self.retries += other.retries
            self.received += other.received
            self.sent += other.sent

    def __getstate__(self) -> tuple[Counter[RequestKind], int, int, int]:
        """Return what processes send each other: the counts without the lock."""
        return self.requests, self.retries, self.received, self.sent

    def __setstate__(self, state: tuple[Counter[RequestKind], int, int, int]) -> None:
        self.requests, self.retries, self.received, self.sent = state
        self._lock = Lock()
