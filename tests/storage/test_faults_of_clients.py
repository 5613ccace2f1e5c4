"""What the exceptions of clients mean, and that nothing of a server's own message is passed on."""

import asyncio
import socket
import ssl
from types import SimpleNamespace
from typing import Any

import aiohttp
import azure.core.exceptions
import botocore.exceptions
import gcsfs.retry
import pytest

from tagger.storage.faults import Fault, FaultKind, fault_of, status_fault

SECRET = "AKIAIOSFODNN7EXAMPLE"


def client_error(code: str, status: int = 400) -> Exception:
    """Return the error of an answer of S3, whose message holds the id of a key."""
    answer: Any = {"Error": {"Code": code, "Message": SECRET, "AWSAccessKeyId": SECRET}}
    return botocore.exceptions.ClientError({**answer, "ResponseMetadata": {"HTTPStatusCode": status}}, "GetObject")


def connector_error(kind: type[Exception], inner: Exception) -> Exception:
    key: Any = SimpleNamespace(host=SECRET, port=443, ssl=True, is_ssl=True)
    return kind(key, inner)


def azure_error(kind: type[Exception], status: int, code: str = "") -> Exception:
    error: Any = kind(SECRET)
    error.status_code, error.error_code = status, code
    return error  # type: ignore[no-any-return]


S3: list[tuple[Exception, FaultKind]] = [
    (client_error("NoSuchKey", 404), "missing"),
    (client_error("404", 404), "missing"),
    (client_error("NoSuchBucket", 404), "no_bucket"),
    (client_error("AccessDenied", 403), "denied"),
    (client_error("InvalidObjectState", 403), "denied"),
    (client_error("PreconditionFailed", 412), "changed"),
    (client_error("ExpiredToken"), "credentials"),
    (client_error("InvalidAccessKeyId", 403), "credentials"),
    (client_error("SignatureDoesNotMatch", 403), "credentials"),
    (client_error("400"), "credentials"),
    (client_error("PermanentRedirect", 301), "region"),
    (client_error("301", 301), "region"),
    (client_error("SlowDown", 503), "temporary"),
    (client_error("InternalError", 500), "temporary"),
    (client_error("RequestTimeout"), "temporary"),
    (client_error("NotImplemented", 501), "other"),
    (client_error("KeyTooLongError"), "other"),
    (client_error("OfAnotherStore", 502), "temporary"),
    (botocore.exceptions.NoCredentialsError(), "credentials"),
    (botocore.exceptions.ProfileNotFound(profile=SECRET), "credentials"),
    (botocore.exceptions.EndpointConnectionError(endpoint_url=SECRET), "unreachable"),
    (botocore.exceptions.ConnectTimeoutError(endpoint_url=SECRET), "unreachable"),
    (botocore.exceptions.ReadTimeoutError(endpoint_url=SECRET), "silent"),
    (botocore.exceptions.ConnectionClosedError(endpoint_url=SECRET), "temporary"),
    (botocore.exceptions.SSLError(endpoint_url=SECRET, error=ssl.SSLCertVerificationError()), "no_host"),
    (botocore.exceptions.SSLError(endpoint_url=SECRET, error=ssl.SSLError()), "temporary"),
    (botocore.exceptions.ParamValidationError(report=f"Invalid bucket name {SECRET}"), "no_bucket"),
    (ValueError(f"Invalid endpoint: {SECRET}"), "no_host"),
]

WEB: list[tuple[Exception, FaultKind]] = [
    (connector_error(aiohttp.ClientConnectorDNSError, socket.gaierror(socket.EAI_NONAME, SECRET)), "no_host"),
    (connector_error(aiohttp.ClientConnectorDNSError, socket.gaierror(socket.EAI_AGAIN, SECRET)), "unreachable"),
    (connector_error(aiohttp.ClientConnectorCertificateError, ssl.SSLCertVerificationError()), "no_host"),
    (connector_error(aiohttp.ClientConnectorError, ConnectionRefusedError()), "unreachable"),
    (aiohttp.ConnectionTimeoutError(SECRET), "unreachable"),
    (aiohttp.SocketTimeoutError(SECRET), "silent"),
    (asyncio.TimeoutError(), "silent"),
    (aiohttp.ServerDisconnectedError(SECRET), "temporary"),
    (aiohttp.ClientPayloadError(SECRET), "temporary"),
    (ConnectionResetError(SECRET), "temporary"),
    (aiohttp.ClientResponseError(Any, (), status=400, message=SECRET), "temporary"),  # type: ignore[arg-type]
    (aiohttp.ClientHttpProxyError(Any, (), status=407, message=SECRET), "no_host"),  # type: ignore[arg-type]
]

OTHERS: list[tuple[Exception, FaultKind]] = [
    (FileNotFoundError(SECRET), "missing"),
    (PermissionError(SECRET), "denied"),
    (OSError(f"Forbidden: {SECRET}"), "denied"),
    (FileExistsError(SECRET), "changed"),
    (gcsfs.retry.HttpError({"code": 401, "message": SECRET}), "credentials"),
    (gcsfs.retry.HttpError({"code": "503", "message": SECRET}), "temporary"),
    (azure_error(azure.core.exceptions.ClientAuthenticationError, 401), "credentials"),
    (azure_error(azure.core.exceptions.HttpResponseError, 403, "AuthenticationFailed"), "credentials"),
    (azure_error(azure.core.exceptions.HttpResponseError, 403, "AuthorizationPermissionMismatch"), "denied"),
    (azure_error(azure.core.exceptions.HttpResponseError, 429), "temporary"),
    (azure.core.exceptions.ServiceRequestError(SECRET), "temporary"),
    (Fault("too_large", "longer"), "too_large"),
    (ArithmeticError(SECRET), "other"),
]


@pytest.mark.parametrize(("error", "kind"), S3 + WEB + OTHERS)
def test_what_an_exception_means(error: Exception, kind: FaultKind) -> None:
    """In a few words, none of them from the server, which may repeat the id of a key or a signed address."""
    fault = fault_of(error)
    assert fault.kind == kind
    assert fault.why
    assert SECRET not in fault.why


@pytest.mark.parametrize(
    ("status", "kind"),
    [(404, "missing"), (410, "missing"), (401, "denied"), (403, "denied"), (412, "changed"), (400, "other"), (501, "other")]
    + [(status, "temporary") for status in (408, 425, 429, 500, 502, 503, 504)],
)
def test_what_a_status_means(status: int, kind: FaultKind) -> None:
    """Servers that are overloaded are tried again, those that cannot do it are not."""
    fault = status_fault(status)
    assert (fault.kind, str(status) in fault.why) == (kind, True)


def test_an_archive_is_told() -> None:
    """An object of Glacier is not denied for good."""
    assert "restore it" in fault_of(client_error("InvalidObjectState", 403)).why
