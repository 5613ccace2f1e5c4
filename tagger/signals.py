"""Stop a command in an orderly way on SIGINT and SIGTERM: finish the current step first, unless a second signal comes."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from tagger.errors import Interrupted

SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""The signals that stop a command."""


class SignalGuard:
    """Turns a signal into `Interrupted`: at once, or, within `defer`, at the end of the block."""

    def __init__(self) -> None:
        self._deferring = False
        self._received: int | None = None

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Handle the signals for the block; those that this process was started to ignore stay ignored."""
        handled = [one for one in SIGNALS if signal.getsignal(one) is not signal.SIG_IGN]
        before = {one: signal.signal(one, self._handle) for one in handled}
        try:
            yield
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)

    @contextmanager
    def defer(self) -> Iterator[None]:
        """Raise `Interrupted` for a signal during the block only at its end; a second signal raises it at once."""
        with self.ignore():
            yield
        if self._received is not None:
            raise Interrupted(self._received)

    @contextmanager
    def ignore(self) -> Iterator[None]:
        """Raise nothing for a signal during the block, as for the last step of a command; a second signal raises at once."""
        self._deferring = True
        try:
            yield
        finally:
            self._deferring = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        again = self._received is not None
        self._received = number
        if again or not self._deferring:
            raise Interrupted(number)
