"""Requests that may pass are repeated after waits that grow at random, all others are made once."""

import sys
from collections.abc import Callable

import pytest

from tagger.errors import Interrupted, StorageError
from tagger.storage import retries, settings
from tagger.storage.faults import MAY_PASS, Fault
from tagger.storage.retries import attempt
from tagger.storage.traffic import Traffic


def failing(*errors: Exception | None) -> Callable[[], str]:
    """Return a request that raises these errors, one at each attempt, and then answers."""
    left = [*errors]

    def request() -> str:
        if left and (error := left.pop(0)) is not None:
            raise error
        return "answer"

    return request


@pytest.mark.parametrize("kind", sorted(MAY_PASS))
def test_a_fault_that_may_pass_is_repeated(kind: str) -> None:
    """Up to the last attempt; each one is counted."""
    traffic = Traffic()
    faults = [Fault(kind, "why")] * (settings.ATTEMPTS - 1)  # type: ignore[arg-type]
    assert attempt("get", traffic, failing(*faults)) == "answer"
    assert (traffic.requests["get"], traffic.retries) == (settings.ATTEMPTS, settings.ATTEMPTS - 1)
    with pytest.raises(Fault) as raised:
        attempt("get", traffic, failing(*faults, Fault(kind, "why")))  # type: ignore[arg-type]
    assert raised.value.kind == kind
    assert attempt("get", traffic, failing()) == "answer"
    assert (traffic.requests["get"], traffic.retries) == (2 * settings.ATTEMPTS + 1, 2 * settings.ATTEMPTS - 2)


@pytest.mark.parametrize("kind", ["missing", "denied", "changed", "too_large", "credentials", "no_bucket", "no_host", "other"])
def test_a_fault_that_stays_is_not_repeated(kind: str) -> None:
    """One attempt, whose fault is raised."""
    traffic = Traffic()
    with pytest.raises(Fault):
        attempt("head", traffic, failing(Fault(kind, "why")))  # type: ignore[arg-type]
    assert (traffic.requests["head"], traffic.retries) == (1, 0)


@pytest.mark.parametrize("error", [Interrupted(15), StorageError("What reads buckets is not installed.")])
def test_what_is_no_fault_of_a_request_is_raised_as_it_is(error: Exception) -> None:
    """A signal that came meanwhile, and an error that is a sentence for the user."""
    with pytest.raises(type(error)) as raised:
        attempt("list", Traffic(), failing(error))
    assert raised.value is error


def test_waits_grow_and_are_random(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each below a bound that doubles, up to the longest."""
    waits: list[float] = []
    monkeypatch.setattr(retries, "pause", waits.append)
    monkeypatch.setattr(settings, "FIRST_WAIT", 1.0)
    monkeypatch.setattr(settings, "LONGEST_WAIT", 4.0)
    for _ in range(20):
        attempt("get", Traffic(), failing(*[OSError("reset")] * (settings.ATTEMPTS - 1)))
    rounds = [waits[number :: settings.ATTEMPTS - 1] for number in range(settings.ATTEMPTS - 1)]
    for bound, some in zip((1, 2, 4, 4, 4), rounds, strict=True):
        assert all(0 <= wait <= bound for wait in some)
        assert len({*some}) > 15
    assert max(rounds[2]) > 2


def test_without_the_extra_a_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is requested."""
    monkeypatch.setitem(sys.modules, "tenacity", None)
    with pytest.raises(StorageError, match=r"pip install 'fmtag\[cloud\]'"):
        attempt("get", Traffic(), failing())
