"""A fusion whose embeddings are floats, to measure what rounding them to 8 bits costs."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tagger.arrays import Float32s
from tagger.models.fusion import LENGTH, Embeddings, Fusion
from tagger.models.imagenet import EVIDENCE, evidence


@dataclass(frozen=True)
class FloatFusion(Fusion):
    """A fusion that keeps all evidence as float32, any number of components."""

    @property
    def size(self) -> int:
        """0: no limit applies."""
        return 0

    def embed(self, small: Float32s, features: Float32s, logits: Float32s, kinds: NDArray[np.uint8]) -> Embeddings:
        """Return the evidence of n product images, float32 in place of bytes."""
        logs = np.log(np.clip(small, np.float32(1e-7), 1))
        columns = [kinds[:, None].astype(np.float32), logs, evidence(logits), self._project(features)]
        return np.concatenate(columns, 1)

    def kinds(self, embeddings: Embeddings) -> NDArray[np.uint8]:
        """Return the kinds, uint8 (n,)."""
        return embeddings[:, 0].astype(np.uint8)

    def small(self, embeddings: Embeddings) -> Float32s:
        """Return the small network's probabilities, float32 (n, S + 1)."""
        return np.asarray(np.exp(embeddings[:, 1 : 1 + self.outputs]), np.float32)

    def imagenet(self, embeddings: Embeddings) -> Float32s:
        """Return the logarithms of the evidence of ImageNet's classes, float32 (n, S + 1)."""
        return np.asarray(embeddings[:, 1 + self.outputs : 1 + self.outputs + EVIDENCE], np.float32)

    def features(self, embeddings: Embeddings) -> Float32s:
        """Return the backbone's features, float32 (n, d), each vector of length `LENGTH`."""
        stored = embeddings[:, 1 + self.outputs + EVIDENCE :].astype(np.float32)
        return np.asarray(stored * (LENGTH / np.maximum(np.linalg.norm(stored, axis=1, keepdims=True), 1e-6)), np.float32)
