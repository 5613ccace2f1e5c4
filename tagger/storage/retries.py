"""Repeat requests that fail in a way that may pass, after waits that grow at random."""

from collections.abc import Callable
from typing import TypeVar

from tagger.errors import FmtagError, Interrupted, StorageError
from tagger.storage import settings
from tagger.storage.faults import MAY_PASS, Fault, fault_of
from tagger.storage.running import Stopped, pause
from tagger.storage.traffic import RequestKind, Traffic

Answer = TypeVar("Answer")

NOT_INSTALLED = "What reads buckets and web servers is not installed; install it: pip install 'fmtag[cloud]'"


def attempt(kind: RequestKind, traffic: Traffic, request: Callable[[], Answer]) -> Answer:
    """Make a request, up to `settings.ATTEMPTS` times, and return its answer.

    Every attempt is counted in `traffic`. Raises `Fault` for one that failed for good, or at every attempt.
    """
    try:
        import tenacity  # of the extra, and needed only where something is requested
    except ImportError as error:
        raise StorageError(NOT_INSTALLED) from error

    def once() -> Answer:
        traffic.count(kind, retried=waits.statistics.get("attempt_number", 1) > 1)
        return attempt_once(request)

    waits = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(settings.ATTEMPTS),
        wait=tenacity.wait_random_exponential(multiplier=settings.FIRST_WAIT, max=settings.LONGEST_WAIT),
        retry=tenacity.retry_if_exception(lambda error: isinstance(error, Fault) and error.kind in MAY_PASS),
        sleep=pause,
        reraise=True,
    )
    return waits(once)


def attempt_once(request: Callable[[], Answer]) -> Answer:
    """Make a request once, and return its answer; raises `Fault`, and errors of fmtag as they are."""
    try:
        return request()
    except (FmtagError, Interrupted, Stopped):
        raise
    except Exception as error:
        raise fault_of(error) from error
