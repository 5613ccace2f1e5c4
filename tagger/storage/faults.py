"""Tell why a request failed: for this object, for the whole bucket, or in a way that may pass."""

import asyncio
import socket
import ssl
from typing import Any, Literal, TypeAlias

FaultKind: TypeAlias = (
    Literal["missing", "denied", "changed", "too_large", "credentials", "no_bucket", "region"]
    | Literal["no_host", "unreachable", "silent", "temporary", "other"]
)

MAY_PASS: frozenset[FaultKind] = frozenset({"unreachable", "silent", "temporary"})
"""Faults after which a request is repeated."""

OF_BUCKET: frozenset[FaultKind] = frozenset({"credentials", "no_bucket", "region", "no_host", "unreachable"})
"""Faults that concern every object of a bucket."""

OF_HOST: frozenset[FaultKind] = frozenset({"no_host", "unreachable", "silent"})
"""Faults of a web server that answers nothing at all."""

_KINDS: dict[str, FaultKind] = {
    **dict.fromkeys(("NoSuchKey", "404", "NotFound", "NoSuchVersion", "MethodNotAllowed"), "missing"),
    **dict.fromkeys(("NoSuchBucket", "InvalidBucketName"), "no_bucket"),
    **dict.fromkeys(("PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"), "region"),
    **dict.fromkeys(("AccessDenied", "403", "Forbidden", "AllAccessDisabled", "InvalidObjectState"), "denied"),
    **dict.fromkeys(("PreconditionFailed", "412", "ConditionalRequestConflict"), "changed"),
    **dict.fromkeys(
        (
            *("ExpiredToken", "ExpiredTokenException", "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken"),
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
"""Kinds of the error codes of S3 and what speaks its protocol. "MethodNotAllowed" is the answer where the
latest version of an object is its deletion."""

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

_UNREACHABLE_ERRORS = (
    *("EndpointConnectionError", "ConnectTimeoutError", "ProxyConnectionError"),
    *("ClientConnectorError", "ConnectionTimeoutError"),
)

_TEMPORARY_ERRORS = (
    *("HTTPClientError", "ConnectionError", "ResponseStreamingError", "IncompleteReadError"),
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
    may_pass = (status >= 500 and status not in (501, 505)) or status in (408, 425, 429)
    return Fault("temporary" if may_pass else "other", why)


def fault_of(error: BaseException) -> Fault:
    """Return the fault that an exception of a client means."""
    if isinstance(error, Fault):
        return error
    response = getattr(error, "response", None)
    if isinstance(response, dict):  # of botocore
        return _coded(str(response.get("Error", {}).get("Code", "")), _status(response))
    if (status := _status_of(error)) is not None:
        return _of_status(error, status)
    names = {kind.__name__ for kind in type(error).__mro__}
    unresolved = next((one for one in (error, getattr(error, "os_error", None)) if isinstance(one, socket.gaierror)), None)
    if unresolved is not None and unresolved.errno != socket.EAI_AGAIN:
        return Fault("no_host", "the name of its server is not known")
    if isinstance(error, FileNotFoundError):
        return Fault("missing", "no such object")
    if isinstance(error, FileExistsError):  # of gcsfs
        return Fault("changed", "it was written meanwhile")
    if isinstance(error, PermissionError) or (isinstance(error, OSError) and str(error).startswith("Forbidden:")):  # of gcsfs
        return Fault("denied", "access denied")
    if names.intersection(_CREDENTIAL_ERRORS):
        return Fault("credentials", "there are none, or they cannot be used")
    if _is_untrusted(error):
        return Fault("no_host", "the TLS certificate of its server is not accepted")
    if "ParamValidationError" in names and "bucket name" in str(error):
        return Fault("no_bucket", "no bucket can have that name")
    if isinstance(error, ValueError) and str(error).startswith("Invalid endpoint"):
        return Fault("no_host", "the endpoint that is set is not an address such as https://minio.example.com")
    if names.intersection(_UNREACHABLE_ERRORS) or isinstance(error, ConnectionRefusedError):
        return Fault("unreachable", "its server cannot be reached")
    if isinstance(error, asyncio.TimeoutError | TimeoutError) or "ReadTimeoutError" in names:
        return Fault("silent", "its server did not answer in time")
    if isinstance(error, OSError) or names.intersection(_TEMPORARY_ERRORS):
        return Fault("temporary", "the connection to its server failed")
    return Fault("other", type(error).__name__)


def _is_untrusted(error: BaseException) -> bool:
    """Return whether an exception is, or for botocore holds, that of a certificate that is not valid."""
    inner = getattr(error, "kwargs", {}).get("error", error)
    return isinstance(inner, ssl.SSLCertVerificationError) or type(inner).__name__ == "ClientConnectorCertificateError"


def _status(response: dict[str, Any]) -> int:
    return int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _coded(code: str, status: int) -> Fault:
    """Return the fault of an error code of S3. The answer to a HEAD has none but its status: 400 where a token has expired."""
    if code in ("400", "401", "301") or (not code and status in (400, 401, 301)):
        return Fault("region" if status == 301 else "credentials", f"its server answers {status}")
    kind = _KINDS.get(code)
    if kind is None:
        return Fault(status_fault(status).kind, f"its server answers {code or status}")
    if kind == "denied":
        return Fault(kind, "access denied" if code != "InvalidObjectState" else "it is in an archive; restore it first")
    return Fault(kind, "no such object" if kind == "missing" else f"its server answers {code}")


def _status_of(error: BaseException) -> int | None:
    """Return the HTTP status of an answer of Azure, Google or a web server; None for another error."""
    for name in ("status_code", "status", "code"):  # azure-core, aiohttp, gcsfs
        status = getattr(error, name, None)
        if isinstance(status, str) and status.isdecimal():
            status = int(status)
        if isinstance(status, int) and 300 <= status < 600:
            return status
    return None


def _of_status(error: BaseException, status: int) -> Fault:
    """Return the fault of an answer with a status by the class of its exception."""
    names = {kind.__name__ for kind in type(error).__mro__}
    unauthenticated = getattr(error, "error_code", None) in ("AuthenticationFailed", "NoAuthenticationInformation")  # of Azure
    if unauthenticated or names.intersection(_CREDENTIAL_ERRORS):
        return Fault("credentials", f"its server answers {status}")
    if "HttpError" in names and status == 401:  # of gcsfs
        return Fault("credentials", "its server answers 401")
    if "ClientHttpProxyError" in names:
        return Fault("temporary" if status >= 500 else "no_host", f"the proxy of the environment answers {status}")
    if "ClientResponseError" in names:  # of aiohttp, which fmtag lets judge no status: what came is no HTTP
        return Fault("temporary", "its server sent an answer that is not valid HTTP")
    return status_fault(status)
