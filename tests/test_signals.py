"""A signal stops a command after its current step, a second one at once."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tagger.errors import Interrupted
from tagger.signals import SIGNALS, SignalGuard

each_signal = pytest.mark.parametrize("number", SIGNALS)


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Put the handlers of this process back, whatever a test leaves."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    assert {number: signal.getsignal(number) for number in SIGNALS} == before


@each_signal
def test_a_signal_interrupts_at_once(number: signal.Signals) -> None:
    """Outside of a step it is raised where it comes, with its number."""
    with SignalGuard().listening(), pytest.raises(Interrupted) as caught:
        signal.raise_signal(number)
    assert caught.value.signal == number


@each_signal
def test_a_step_is_finished_first(number: signal.Signals) -> None:
    """Within `defer` the block ends before the signal is raised, and the next step does not begin."""
    steps = []
    guard = SignalGuard()

    def command() -> None:
        with guard.defer():
            signal.raise_signal(number)
            steps.append("first")
        steps.append("second")

    with guard.listening(), pytest.raises(Interrupted) as caught:
        command()
    assert (steps, caught.value.signal) == (["first"], number)


def test_a_second_signal_does_not_wait() -> None:
    """It is raised at once, both within a step and within the last one."""
    for block in (SignalGuard.defer, SignalGuard.ignore):
        guard = SignalGuard()
        with guard.listening(), suppress(Interrupted), block(guard):
            signal.raise_signal(signal.SIGTERM)
            with pytest.raises(Interrupted):
                signal.raise_signal(signal.SIGINT)


def test_the_last_step_ends_the_command_itself() -> None:
    """Within `ignore` one signal raises nothing, as the command ends with the block."""
    guard = SignalGuard()
    with guard.listening(), guard.ignore():
        signal.raise_signal(signal.SIGTERM)


def test_after_a_step_signals_interrupt_at_once_again() -> None:
    """Also where the step failed."""
    guard = SignalGuard()
    with guard.listening():
        with pytest.raises(LookupError), guard.defer():
            raise LookupError
        with pytest.raises(Interrupted):
            signal.raise_signal(signal.SIGTERM)


def test_an_ignored_signal_stays_ignored() -> None:
    """`nohup` and shells start processes that ignore SIGINT; the guard does not change that."""
    code = (
        "import signal; from tagger.signals import SignalGuard\n"
        "with SignalGuard().listening():\n"
        "    signal.raise_signal(signal.SIGINT)\n"
        "    print('still here')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
        env=os.environ,
    )
    assert done.stdout == "still here\n"
