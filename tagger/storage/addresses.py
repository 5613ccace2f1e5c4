"""Take addresses of objects apart: scheme, bucket and key, and what signs an address, which is a credential."""

import re
from typing import NamedTuple

BUCKET_SCHEMES = ("s3", "gs", "az")
"""Amazon S3 and what speaks its protocol, Google Cloud Storage, Azure Blob Storage."""

_REMOTE = re.compile(r"(s3|gs|az|https?)://", re.IGNORECASE)

_BUCKET = re.compile(r"(s3|gs|az)://", re.IGNORECASE)

_USER = re.compile(r"(?<=://)[^/?#]*@")

_SIGNING = re.compile(
    r"x-(amz|goog|oss|cos|obs)-.*|awsaccesskeyid|googleaccessid|key-pair-id|policy|signature|sig|hdnts|hdnea|hmac"
    r"|(access_|auth_|id_|security)?token|api_?key|password|secret",
    re.IGNORECASE,
)
"""Names of parameters by which object stores and content networks sign an address, or that are credentials elsewhere."""

_SIGNED_WITH = re.compile(r"expires|s[eprstv]|srt|ss|spr|skoid|sktid|skt|ske|sks|skv|sdd|saoid|suoid|scid", re.IGNORECASE)
"""Names of what is signed together with it: when it ends, and of Azure's shared access signatures all else."""


class BucketAddress(NamedTuple):
    """An address in a bucket, taken apart."""

    scheme: str
    """One of `BUCKET_SCHEMES`."""
    bucket: str
    key: str
    """As the store has it, not percent-encoded; empty for the bucket itself."""


def is_remote(text: str) -> bool:
    """Return whether a text is an address of a bucket or of a web server."""
    return "://" in text and _REMOTE.match(text) is not None


def is_bucket(text: str) -> bool:
    """Return whether a text is an address of a bucket."""
    return "://" in text and _BUCKET.match(text) is not None


def bucket_address(address: str) -> BucketAddress:
    """Return the parts of an address of a bucket."""
    scheme, _, rest = address.partition("://")
    bucket, _, key = rest.partition("/")
    return BucketAddress(scheme.lower(), bucket, key)


def has_user(address: str) -> bool:
    """Return whether an address holds a user name, and with it perhaps a password."""
    return is_remote(address) and _USER.search(address) is not None


def split_signature(address: str) -> tuple[str, str]:
    """Return a web address without the parameters of its query that sign it, and these, joined by `&`; empty where none does.

    An address of a bucket has none: a `?` in it is part of the key.
    """
    if not is_remote(address) or is_bucket(address) or "?" not in address:
        return address, ""
    path, _, query = address.partition("?")
    parts = query.split("&")
    names = [part.partition("=")[0] for part in parts]
    if not any(map(_SIGNING.fullmatch, names)):
        return address, ""
    signs = [bool(_SIGNING.fullmatch(name) or _SIGNED_WITH.fullmatch(name)) for name in names]
    kept = "&".join(part for part, signing in zip(parts, signs, strict=True) if not signing)
    signature = "&".join(part for part, signing in zip(parts, signs, strict=True) if signing)
    return path + (f"?{kept}" if kept else ""), signature


def signed(address: str, signature: str) -> str:
    """Return the address with its signature, as it is requested and never shown."""
    return address if not signature else f"{address}{'&' if '?' in address else '?'}{signature}"


def shown(address: str) -> str:
    """Return an address as messages, reports and the ledger have it: without a signature or a user; other text as it is."""
    return _USER.sub("", split_signature(address)[0], count=1) if is_remote(address) else address


def join(folder: str, key: str) -> str:
    """Return the address of a key that is relative to a folder, whose address ends with `/`."""
    return folder + key


def parent(address: str) -> str:
    """Return the address of the folder that an object lies in, with `/` at its end."""
    path = address if is_bucket(address) else address.partition("?")[0]
    return path[: path.rindex("/") + 1]


def name(address: str) -> str:
    """Return the last part of an address, without the query of a web address."""
    path = address if is_bucket(address) else address.partition("?")[0]
    return path.rpartition("/")[2]
