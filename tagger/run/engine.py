"""Define what another engine than the processes of this machine is given, and what it gives back."""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from tagger.models.card import StoredCard
from tagger.photos.loader import ScoredPhoto
from tagger.photos.settings import DecodeSettings
from tagger.records import Item
from tagger.settings import Device


@dataclass(frozen=True)
class EngineWork:
    """Photos to read and score, and with what."""

    items: Iterator[Item]
    """Without the cells of their rows. They come from the ledger: to be taken in the calling thread."""
    total: int
    """Number of the items."""
    stored: StoredCard
    """The bundle."""
    decoding: DecodeSettings
    device: Device


Engine: TypeAlias = Callable[[EngineWork], Generator[ScoredPhoto, None, None]]
"""Yields one scored photo per item, in the order of the items, each with an outcome; an item need not come back with it.

The product image of an outcome may be empty: what counts is whether a product was found. A caller that stops early must close
the generator. Raises an `FmtagError` where the work cannot be done; what was yielded before is whole.
"""
