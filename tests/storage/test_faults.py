"""Why a request failed is told from what the clients of stores raise, without their words."""

import asyncio
import socket

import aiohttp
import pytest
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    IncompleteReadError,
    NoCredentialsError,
    ProfileNotFound,
    ReadTimeoutError,
)

from tagger.storage.faults import MAY_PASS, Fault, fault_of, status_fault

SECRET = "AKIASECRET"


def answer(code: str, status: int) -> ClientError:
    """Return the error of an answer of S3."""
    return ClientError(
        {"Error": {"Code": code, "Message": SECRET}, "ResponseMetadata": {"HTTPStatusCode": status}}, "GetObject"
    )


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("NoSuchKey", 404, "missing"),
        ("404", 404, "missing"),
        ("NoSuchBucket", 404, "no_bucket"),
        ("AccessDenied", 403, "denied"),
        ("403", 403, "denied"),
        ("InvalidObjectState", 403, "denied"),
        ("ExpiredToken", 400, "credentials"),
        ("400", 400, "credentials"),
        ("InvalidAccessKeyId", 403, "credentials"),
        ("SignatureDoesNotMatch", 403, "credentials"),
        ("SlowDown", 503, "temporary"),
        ("RequestTimeout", 400, "temporary"),
        ("503", 503, "temporary"),
        ("InternalError", 500, "temporary"),
        ("WhateverComes", 502, "temporary"),
        ("WhateverComes", 409, "other"),
        ("PreconditionFailed", 412, "changed"),
        ("412", 412, "changed"),
    ],
)
def test_the_codes_of_s3(code: str, status: int, kind: str) -> None:
    """Of S3 and what speaks its protocol; a HEAD has no code but the status."""
    fault = fault_of(answer(code, status))
    assert fault.kind == kind
    assert SECRET not in fault.why


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (NoCredentialsError(), "credentials"),
        (ProfileNotFound(profile=SECRET), "credentials"),
        (EndpointConnectionError(endpoint_url=SECRET), "unreachable"),
        (ConnectTimeoutError(endpoint_url=SECRET), "unreachable"),
        (ConnectionRefusedError(SECRET), "unreachable"),
        (socket.gaierror(socket.EAI_NONAME, SECRET), "no_host"),
        (socket.gaierror(socket.EAI_AGAIN, SECRET), "temporary"),
        (IncompleteReadError(actual_bytes=1, expected_bytes=2), "temporary"),
        (ConnectionResetError(SECRET), "temporary"),
        (aiohttp.ClientPayloadError(SECRET), "temporary"),
        (aiohttp.ServerDisconnectedError(SECRET), "temporary"),
        (FileNotFoundError(SECRET), "missing"),
        (PermissionError(SECRET), "denied"),
        (KeyError(SECRET), "other"),
    ],
)
def test_errors_without_an_answer(error: Exception, kind: str) -> None:
    """Of the libraries and of the system; their words stay with them."""
    fault = fault_of(error)
    assert fault.kind == kind
    assert SECRET not in fault.why


@pytest.mark.parametrize("error", [asyncio.TimeoutError(), TimeoutError(), ReadTimeoutError(endpoint_url=SECRET)])
def test_what_takes_too_long_may_pass(error: Exception) -> None:
    """Whatever tells it; `asyncio.TimeoutError` is another one up to Python 3.10."""
    assert fault_of(error).kind in MAY_PASS
    assert fault_of(error).why == "its server did not answer in time"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (404, "missing"),
        (410, "missing"),
        (401, "denied"),
        (403, "denied"),
        (408, "temporary"),
        (429, "temporary"),
        (500, "temporary"),
        (503, "temporary"),
        (504, "temporary"),
        (400, "other"),
        (418, "other"),
    ],
)
def test_the_statuses_of_web_servers(status: int, kind: str) -> None:
    """As what they mean for a file, with their number."""
    fault = status_fault(status)
    assert fault.kind == kind
    assert str(status) in fault.why


def test_a_fault_is_itself() -> None:
    """It passes as it is."""
    fault = Fault("changed", "it was written meanwhile")
    assert fault_of(fault) is fault
