"""`fmtag review` serves the page of an output until it is stopped, and says in a sentence what it lacks."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from helpers import RunCli, assert_one_sentence, write_photos

from tagger.run.reviews import ReviewStore


@pytest.fixture
def tags(cli: RunCli, tmp_path: Path) -> Path:
    """An output with flagged photos, and its ledger beside it."""
    write_photos(tmp_path / "shop", 3)
    assert cli("run", tmp_path / "shop", "--out", tmp_path / "tags.csv", "--min-confidence", "1").code == 0
    return tmp_path / "tags.csv"


@pytest.fixture
def server(tags: Path) -> Iterator["subprocess.Popen[str]"]:
    """The command in a process of its own, stopped with SIGINT at the end."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FMTAG_")}
    command = [sys.executable, "-m", "tagger", "review", str(tags), "--no-browser", "--reviewer", "Ada"]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, preexec_fn=_default_sigint
    ) as process:
        yield process
        if process.poll() is None:
            process.kill()


def _default_sigint() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def address_of(process: "subprocess.Popen[str]") -> str:
    """Return the address that the command prints once it answers."""
    assert process.stderr is not None
    found = re.search(r"http://\S+", process.stderr.readline())
    assert found
    return found[0]


def test_a_review_from_its_address_to_the_next_run(
    server: "subprocess.Popen[str]", tags: Path, cli: RunCli, tmp_path: Path
) -> None:
    """The printed address opens the page; a decision is in the next output; Ctrl-C ends the command with 0, in a sentence."""
    address = address_of(server)
    with httpx.Client(follow_redirects=True) as client:
        page = client.get(address).text
        assert ("3 left" in page, "0000.jpg" in page) == (True, True)
        item, sha256 = re.findall(r'data-item="(\d+)" data-sha="(\w+)"', page)[0]
        base = address.partition("/?")[0]
        body = {"photos": [[int(item), sha256]], "label": "Bag"}
        answer = client.post(f"{base}/review/decisions", json=body, headers={"origin": base}).json()
        assert [one["reviewer"] for one in answer["reviews"]] == ["Ada"]
    server.send_signal(signal.SIGINT)
    out, err = server.communicate(timeout=20)
    assert (server.returncode, out) == (0, "")
    assert err.splitlines()[-1] == "Stopped."
    assert cli("run", tmp_path / "shop", "--out", tags, "--min-confidence", "1").code == 0
    assert ",Bag,1.0000,false,reviewed," in tags.read_text()


def test_it_is_reached_from_this_machine_alone(server: "subprocess.Popen[str]") -> None:
    """It listens on the loopback, at a port that was free."""
    address = httpx.URL(address_of(server))
    assert address.host == "127.0.0.1"
    with socket.socket() as other:
        other.settimeout(2)
        own = socket.gethostbyname(socket.gethostname())
        if not own.startswith("127."):
            assert other.connect_ex((own, address.port or 0)) != 0


def test_what_is_missing_is_told(cli: RunCli, tmp_path: Path) -> None:
    """No output, one without a ledger, no ledger, a port that is taken: one sentence each."""
    assert_one_sentence(cli("review"), 1, "Give the output of a `fmtag run`")
    assert_one_sentence(cli("review", tmp_path / "tags.csv"), 1, "There is no ledger beside")
    assert_one_sentence(cli("review", "--ledger", tmp_path / "x.ledger"), 1, "There is no ledger")


def test_a_taken_port_is_told(cli: RunCli, tags: Path) -> None:
    """With the option that takes another one."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert_one_sentence(cli("review", tags, "--port", str(port), "--no-browser"), 1, "--port")


def test_the_token_stays_out_of_the_log(server: "subprocess.Popen[str]") -> None:
    """Requests are not logged, as the first one's address holds the token."""
    address = address_of(server)
    httpx.get(address)
    time.sleep(0.1)
    server.terminate()
    _, err = server.communicate(timeout=20)
    assert "token" not in err


def test_a_running_review_holds_up_no_run(server: "subprocess.Popen[str]", tags: Path, cli: RunCli, tmp_path: Path) -> None:
    """A run goes on beside it, and beside another review of the same ledger."""
    address_of(server)
    store = ReviewStore(tags.with_suffix(".ledger"))
    store.close()
    assert cli("run", tmp_path / "shop", "--out", tags).code == 0
