"""Signals that ask a run to stop: what is in hand is finished first, and a second one no longer waits for it."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from tagger.errors import Interrupted

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class SignalGuard:
    """Raises `Interrupted` when a signal comes, or, within `defer`, when what is in hand has been finished."""

    def __init__(self) -> None:
        self._deferring = False
        self._received: int | None = None

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Heed the signals while the block lasts, but those that whoever started this process told it to ignore."""
        heeded = [one for one in SIGNALS if signal.getsignal(one) is not signal.SIG_IGN]
        before = {one: signal.signal(one, self._heed) for one in heeded}
        try:
            yield
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)

    @contextmanager
    def defer(self) -> Iterator[None]:
        """Let the block end before a signal is heeded, unless it comes twice."""
        with self.ignore():
            yield
        if self._received is not None:
            raise Interrupted(self._received)

    @contextmanager
    def ignore(self) -> Iterator[None]:
        """Let the block end, and the signal be: there is nothing left to stop."""
        self._deferring = True
        try:
            yield
        finally:
            self._deferring = False

    def _heed(self, number: int, frame: FrameType | None) -> None:
        again = self._received is not None
        self._received = number
        if again or not self._deferring:
            raise Interrupted(number)
