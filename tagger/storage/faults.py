"""Tell why a request failed: for this object, for the whole bucket, or in a way that may pass."""

import asyncio
import socket
from typing import Literal, TypeAlias

FaultKind: TypeAlias = Literal[
    "missing", "denied", "changed", "too_large", "credentials", "no_bucket", "no_host", "unreachable", "temporary", "other"
]

MAY_PASS: frozenset[FaultKind] = frozenset({"unreachable", "temporary"})
"""Faults after which a request is repeated."""

OF_BUCKET: frozenset[FaultKind] = frozenset({"credentials", "no_bucket", "no_host", "unreachable"})
"""Faults that concern every object of a bucket."""

_KINDS: dict[str, FaultKind] = {
    **dict.fromkeys(("NoSuchKey", "404", "NotFound", "NoSuchVersion", "MethodNotAllowed"), "missing"),
    **dict.fromkeys(("NoSuchBucket", "InvalidBucketName"), "no_bucket"),
    **dict.fromkeys(("AccessDenied", "403", "Forbidden", "AllAccessDisabled", "InvalidObjectState"), "denied"),
    **dict.fromkeys(("PreconditionFailed", "412", "ConditionalRequestConflict"), "changed"),
    **dict.fromkeys(
        (
            *("ExpiredToken", "ExpiredTokenException", "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "400"),
            *("TokenRefreshRequired", "RequestTimeTooSkewed", "RequestExpired", "InvalidClientTokenId", "InvalidSecurity"),
        ),
        "credentials",
    ),
    **dict.fromkeys(
        (
            *("SlowDown", "RequestTimeout", "RequestTimeoutException", "InternalError", "ServiceUnavailable", "Throttling"),
            *(
                "ThrottlingException",
                "RequestThrottled",
                "TooManyRequestsException",
                "RequestLimitExceeded",
                "OperationAborted",
            ),
        ),
        "temporary",
    ),
}
"""Kinds of the error codes of S3 and what speaks its protocol. A HEAD has no code but its status, which is 400 where a token
has expired. "MethodNotAllowed" is the answer where the latest version of an object is its deletion."""

_CREDENTIAL_ERRORS = (
    "NoCredentialsError",
    "PartialCredentialsError",
    "CredentialRetrievalError",
    "TokenRetrievalError",
    "UnauthorizedSSOTokenError",
    "SSOTokenLoadError",
    "ProfileNotFound",
    "DefaultCredentialsError",
    "RefreshError",
    "ClientAuthenticationError",
)
"""Names of the errors by which botocore, google-auth and azure-core tell that there are no credentials, or no valid ones."""

_UNREACHABLE_ERRORS = ("EndpointConnectionError", "ConnectTimeoutError", "ClientConnectorError", "ProxyConnectionError")

_TEMPORARY_ERRORS = (
    *("HTTPClientError", "ConnectionError", "ReadTimeoutError", "ResponseStreamingError", "IncompleteReadError"),
    *("ClientPayloadError", "ClientOSError", "ServerDisconnectedError", "ServerTimeoutError", "ClientConnectionError"),
    *("ServiceRequestError", "ServiceResponseError", "IncompleteBody"),
)


class Fault(Exception):  # noqa: N818 (an outcome of a request, which becomes a value or an error of its caller)
    """A request that failed."""

    def __init__(self, kind: FaultKind, why: str) -> None:
        super().__init__(why)
        self.kind: FaultKind = kind
        self.why = why
        """A few words, never the server's own, which may hold the id of a key."""


def status_fault(status: int) -> Fault:
    """Return the fault of an answer with an HTTP status that is no success."""
    why = f"its server answers {status}"
    if status in (404, 410):
        return Fault("missing", why)
    if status in (401, 403):
        return Fault("denied", f"{why}, access denied")
    if status == 412:
        return Fault("changed", why)
    return Fault("temporary" if status >= 500 or status in (408, 425, 429) else "other", why)


def fault_of(error: BaseException) -> Fault:
    """Return the fault that an exception of a client means."""
    if isinstance(error, Fault):
        return error
    if (code := _code_of(error)) is not None:
        return _coded(*code)
    names = {kind.__name__ for kind in type(error).__mro__}
    unresolved = next((one for one in (error, getattr(error, "os_error", None)) if isinstance(one, socket.gaierror)), None)
    if unresolved is not None and unresolved.errno != socket.EAI_AGAIN:
        return Fault("no_host", "the name of its server is not known")
    if isinstance(error, FileNotFoundError):
        return Fault("missing", "no such object")
    if isinstance(error, PermissionError):
        return Fault("denied", "access denied")
    if names.intersection(_CREDENTIAL_ERRORS):
        return Fault("credentials", "there are none, or they cannot be used")
    if names.intersection(_UNREACHABLE_ERRORS) or isinstance(error, ConnectionRefusedError):
        return Fault("unreachable", "its server cannot be reached")
    if isinstance(error, asyncio.TimeoutError | TimeoutError):
        return Fault("temporary", "its server did not answer in time")
    if isinstance(error, OSError) or names.intersection(_TEMPORARY_ERRORS):
        return Fault("temporary", "the connection to its server failed")
    return Fault("other", type(error).__name__)


def _code_of(error: BaseException) -> tuple[str, int] | None:
    """Return the error code and HTTP status of an answer of S3, or of Google's or Azure's; None for another error."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return str(response.get("Error", {}).get("Code", "")), int(status)
    for name in ("status_code", "status", "code"):  # azure-core, aiohttp, gcsfs
        status = getattr(error, name, None)
        if isinstance(status, int) and 300 <= status < 600:
            return str(status), status
    return None


def _coded(code: str, status: int) -> Fault:
    kind = _KINDS.get(code)
    if kind is None:
        return Fault(status_fault(status).kind, f"its server answers {code or status}")
    if kind == "denied":
        return Fault(kind, "access denied" if code != "InvalidObjectState" else "it is in an archive; restore it first")
    return Fault(kind, "no such object" if kind == "missing" else f"its server answers {code}")
