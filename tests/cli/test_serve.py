"""The command serves with what its options say, and refuses those that contradict each other."""

import http.client
import json
import signal
import socket
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from helpers import RunCli, assert_one_sentence
from service_helpers import server

TOKEN = "0123456789abcdef-of-the-test"


def get(address: str, path: str, **headers: str) -> tuple[int, bytes]:
    """Return status and body of a page."""
    with closing(http.client.HTTPConnection(address, timeout=20)) as connection:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read()


def test_it_serves_until_it_is_stopped(small_bundle: Path) -> None:
    """With the tokens of the environment, the names that are allowed, a log in JSON; SIGINT ends it with 0."""
    options = ("--allowed-host", "shop.example", "--log-format", "json")
    with server(small_bundle, *options, FMTAG_SERVE_TOKEN=f"{TOKEN} other-{TOKEN}") as (process, url):
        address = urlsplit(url).netloc
        assert get(address, "/health/ready", Host="shop.example")[0] == 200
        assert get(address, "/health/ready", Host="evil.example")[0] == 421
        assert get(address, "/metrics")[0] == 401
        assert [get(address, "/metrics", Authorization=f"Bearer {one}")[0] for one in (TOKEN, f"other-{TOKEN}")] == [200, 200]
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        lines = [json.loads(line) for line in process.stderr.read().splitlines()]
        assert process.wait(20) == 0
    assert [line["event"] for line in lines] == ["request", "request", "stopped"]
    assert lines[-1]["answered"] is True


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (("--host", "0.0.0.0"), "--no-token"),
        (("--host", "::"), "FMTAG_SERVE_TOKEN"),
        (("--token", TOKEN, "--no-token"), "contradicts"),
        (("--queue", "5", "--max-files", "6"), "--max-files"),
        (("--allow-fetch", "https://cdn.example/"), "cdn.shop.example"),
        (("--body-seconds", "0"), "--body-seconds"),
        (("--max-files", "0"), "--max-files"),
    ],
)
def test_options_that_contradict_each_other(cli: RunCli, options: tuple[str, ...], part: str) -> None:
    """One sentence, exit code 2, before a bundle is loaded."""
    assert_one_sentence(cli("serve", *options), 2, part)


def test_weak_and_missing_tokens_are_told(cli: RunCli, tmp_path: Path) -> None:
    """As are files of tokens that are empty or not there."""
    (tmp_path / "empty").write_text("\n")
    assert_one_sentence(cli("serve", "--token", "short"), 1, "token_urlsafe")
    assert_one_sentence(cli("serve", "--token-file", tmp_path / "empty"), 1, "is empty")
    assert_one_sentence(cli("serve", "--token-file", tmp_path / "missing"), 1, "cannot be read")


def test_a_port_that_is_taken_is_told(cli: RunCli) -> None:
    """Before a bundle is loaded."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert_one_sentence(cli("serve", "--port", str(taken.getsockname()[1])), 1, "--port")


def test_a_bundle_that_is_missing_is_told(cli: RunCli) -> None:
    """As of every command."""
    assert_one_sentence(cli("serve", "--port", "0", "--model", "./nothing"), 1, "nothing")
