"""Pillow's global switch is as strict or as lenient as each thread needs, and is restored."""

import threading

import pytest
from PIL import ImageFile

from tagger.photos.truncation import TruncationSwitch


@pytest.mark.parametrize("before", [False, True])
def test_the_switch_is_set_and_restored(before: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Off in the strict mode, on in the lenient one, and afterwards as the caller had it."""
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", before)
    switch = TruncationSwitch()
    with switch.strict(), switch.strict():
        assert ImageFile.LOAD_TRUNCATED_IMAGES is False
    assert ImageFile.LOAD_TRUNCATED_IMAGES is before
    with switch.lenient():
        assert ImageFile.LOAD_TRUNCATED_IMAGES is True
    assert ImageFile.LOAD_TRUNCATED_IMAGES is before


def test_lenient_threads_wait_for_strict_ones() -> None:
    """No lenient thread begins while a strict one decodes."""
    switch = TruncationSwitch()
    entered = threading.Event()

    def rescue() -> None:
        with switch.lenient():
            entered.set()

    thread = threading.Thread(target=rescue)
    with switch.strict():
        thread.start()
        assert not entered.wait(0.1)
    assert entered.wait(10)
    thread.join()
