"""Decide which requests to the S3 stand-in fail, and how."""

from dataclasses import dataclass
from fnmatch import fnmatchcase

STATUSES = {
    "SlowDown": 503,
    "ServiceUnavailable": 503,
    "InternalError": 500,
    "AccessDenied": 403,
    "InvalidAccessKeyId": 403,
    "SignatureDoesNotMatch": 403,
    "ExpiredToken": 400,
    "RequestTimeout": 400,
    "NoSuchKey": 404,
    "NoSuchBucket": 404,
    "PreconditionFailed": 412,
}
"""HTTP statuses of S3's error codes."""

KINDS = ("error", "reset", "reset_body", "short", "slow")


@dataclass
class Fault:
    """A rule that makes requests fail."""

    kind: str
    """`error`: answers `code`; `reset`: resets the connection before the answer; `reset_body`: resets it in the middle of the
    body; `short`: ends the body after its first half and closes; `slow`: sends `bytes_per_second`."""
    method: str = ""
    """GET, HEAD, PUT, POST, DELETE, or LIST for listings; empty for all."""
    key: str = "*"
    """Pattern as shells have it of the key, or of the prefix of a listing."""
    code: str = "SlowDown"
    """An error of `STATUSES`; NoSuchKey for an object that is listed and has gone."""
    times: int | None = 1
    """Requests that fail; None for all."""
    every: int = 1
    """Each so many-th request that matches fails, beginning with that one."""
    bytes_per_second: int = 10_000
    seen: int = 0
    """Requests that have matched."""

    def __post_init__(self) -> None:
        """Raise `ValueError` where the rule names what there is not."""
        if self.kind not in KINDS or self.code not in STATUSES:
            raise ValueError(f"unknown kind {self.kind!r} or code {self.code!r}")


class Faults:
    """The rules, in the order in which they were given."""

    def __init__(self) -> None:
        """Begin without a rule."""
        self.rules: list[Fault] = []

    def find(self, method: str, key: str) -> Fault | None:
        """Return the first rule that this request falls to, and count it."""
        for rule in self.rules:
            if rule.times == 0 or rule.method not in ("", method) or not fnmatchcase(key, rule.key):
                continue
            rule.seen += 1
            if rule.seen % rule.every == 0:
                if rule.times is not None:
                    rule.times -= 1
                return rule
        return None
