"""Networks are loaded in the background, once, and their errors come to whoever needs them."""

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from tagger.errors import BundleError
from tagger.inference.tagger import Tagger
from tagger.models import card
from tagger.run.networks import Networks


def test_they_are_loaded_once(small_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All threads get the same tagger, whose networks are opened in the background once `begin` was called."""
    opened = threading.Event()
    own = Tagger.open
    monkeypatch.setattr(Tagger, "open", lambda tagger: (own(tagger), opened.set()))
    networks = Networks(card.read(str(small_bundle)), "cpu")
    tagger = networks.tagger
    assert not opened.is_set()
    networks.begin()
    networks.begin()
    assert opened.wait(30)
    assert networks.tagger is tagger


def test_an_error_is_raised_whenever_they_are_needed(small_bundle: Path) -> None:
    """A bundle that was replaced since its card was read is refused each time, also after it failed in the background."""
    stored = replace(card.read(str(small_bundle)), fingerprint="0" * 64)
    networks = Networks(stored, "cpu")
    networks.begin()
    for _ in range(2):
        with pytest.raises(BundleError, match="was replaced during the run"):
            networks.tagger.open()
