"""Stands in for bundles with a backbone: embeddings of product images, and a head that differs from bundle to bundle."""

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tagger.models import card
from tagger.models.card import StoredCard
from tagger.photos.loader import LoadedPhoto, ScoredPhoto, attach_results, product_images
from tagger.records import ProductImage

SIDE = 5

PLAIN = "plain"
"""Name of bundles without a backbone."""


class EmbeddingTagger:
    """Compute embeddings by a bundle's network and probabilities by its temperature; in place of `Tagger` in a run."""

    embedding_size = SIDE * SIDE

    def __init__(self, model: Path, **_: Any) -> None:
        self.stored = card.read(model)
        self.bundle = SimpleNamespace(fingerprint=self.stored.fingerprint)
        rng = np.random.default_rng(round(self.stored.card.temperature * 1000))
        self.head = rng.normal(0, 6, (self.embedding_size, len(self.stored.card.labels) + 1))

    def open(self) -> None:
        """Open nothing."""

    def compute(self, image: ProductImage) -> None:
        """Leave all to `score_batch`."""

    def score_batch(self, photos: Sequence[LoadedPhoto]) -> Iterator[ScoredPhoto]:
        """Yield each photo with its embedding and the probabilities from it."""
        shift = sum(self.stored.card.network.widths)
        images = [image.pixels + np.uint8(shift) for image in product_images(photos)]
        embeddings = [cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA).tobytes() for image in images]
        remaining = iter(embeddings)
        for scored in attach_results(photos, self.probabilities_of(embeddings)):
            if self.stored.eyes and scored.result is not None and scored.result.probabilities is not None:
                yield replace(scored, result=replace(scored.result, embedding=next(remaining)))
            else:
                yield scored

    def probabilities_of(self, embeddings: Sequence[bytes]) -> NDArray[np.float32]:
        """Return probabilities, float32 (n, labels), computed row by row."""
        rows = np.zeros((len(embeddings), self.head.shape[1] - 1), np.float32)
        for row, embedding in zip(rows, embeddings, strict=True):
            powers = np.exp(np.frombuffer(embedding, np.uint8) / 255.0 @ self.head)
            row[:] = (powers / powers.sum())[:-1]
        return rows


def _ignore(stored: StoredCard, value: str) -> None:
    """Leave out what a card says of its eyes."""


def set_eyes(monkeypatch: pytest.MonkeyPatch, eyes: str) -> None:
    """Let every bundle have the same eyes."""
    monkeypatch.setattr(StoredCard, "eyes", property(lambda stored: eyes, _ignore))


def use_embeddings(monkeypatch: pytest.MonkeyPatch, tagger: type = EmbeddingTagger) -> None:
    """Let every bundle but `PLAIN` have a backbone that is told by its network, and runs score by `tagger`."""

    def eyes(stored: StoredCard) -> str:
        return "" if stored.card.name == PLAIN else f"eyes of {stored.card.network.widths}"

    monkeypatch.setattr(StoredCard, "eyes", property(eyes, _ignore))
    monkeypatch.setattr("tagger.inference.tagger.Tagger", tagger)


def with_other_head(bundle: Path, folder: Path, **values: Any) -> Path:
    """Write a copy of a bundle with another temperature and `values` in its card, and return its folder."""
    shutil.copytree(bundle, folder)
    file = folder / "card.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"temperature": 2.0, "name": folder.name} | values))
    return folder
