"""Fuse what two networks see in a product, the small one in grey and the backbone in colour, into one answer.

All that both networks say about a product is packed into an embedding of `Fusion.size` bytes. Probabilities and features are
functions of that embedding alone, so that a stored embedding gives what the photo would give. The probabilities are a weighted
geometric mean (a product of experts, Hinton 2002) of three: the small network's, those of ImageNet's classes, and those of a
linear head on the backbone's features. "None of these" is a logistic regression of the three's own opinions on that.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagger.arrays import ExactMatrix, Float32s, softmax
from tagger.models.imagenet import EVIDENCE, evidence

PREFIX = "fusion."
"""Prefix of the fusion's arrays in a bundle's file, which holds the small network's too."""

OF_EMBEDDING = tuple(PREFIX + name for name in ("centre", "spread", "mean", "projection"))
"""Names in a bundle's file of the arrays that embeddings depend on."""

MAX_SIZE = 300
"""Greatest length of an embedding in bytes."""

LENGTH = 10.0
"""Euclidean length of a feature vector."""

_LEAST_PROBABILITY = 1e-4
"""Lower bound of probabilities whose logarithm is taken."""

_LEVELS = 127
"""Features are stored as whole numbers up to this, and their largest as a float16."""

Embeddings = NDArray[np.uint8]
"""uint8 (n, size)."""


@dataclass(frozen=True)
class Fusion:
    """The parameters of the fusion, float32, for S labels, F features of the backbone and d stored ones."""

    centre: Float32s
    """Means of the backbone's features (F,)."""
    spread: Float32s
    """Their standard deviations (F,), positive."""
    mean: Float32s
    """Mean of the normalized features (F,), from where the projection starts."""
    projection: Float32s
    """Principal components, scaled, (F, d)."""
    weight: Float32s
    """Weights of the head (d, S + 1); the last column is none of the labels."""
    bias: Float32s
    """Biases of the head (S + 1,)."""
    exponents: Float32s
    """Weights of the three logarithms (3,): of the small network, ImageNet's classes and the head."""
    none_weight: Float32s
    """Weights of the three log-odds of none of the labels (3,), in the same order."""
    none_bias: Float32s
    """Bias of these (1,)."""
    temperature: Float32s
    """Divides the sum of the three logarithms (1,)."""

    def __post_init__(self) -> None:
        """Refuse arrays that do not fit each other, as a damaged file may hold."""
        if self.projection.ndim != 2:
            raise ValueError("the fusion's projection is no matrix")
        count, stored = self.projection.shape
        shapes = {
            "centre": (count,),
            "spread": (count,),
            "mean": (count,),
            "weight": (stored, EVIDENCE),
            "bias": (EVIDENCE,),
            "exponents": (3,),
            "none_weight": (3,),
            "none_bias": (1,),
            "temperature": (1,),
        }
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"the fusion's {name} has the shape {getattr(self, name).shape}, not {shape}")
        if self.size > MAX_SIZE:
            raise ValueError(f"the embedding takes {self.size} bytes, more than {MAX_SIZE}")
        finite = all(np.isfinite(getattr(self, field.name)).all() for field in fields(self))
        if not finite or (self.spread <= 0).any() or self.temperature[0] <= 0:
            raise ValueError("the fusion holds numbers that cannot be used")

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> "Fusion | None":
        """Return the fusion among a file's arrays, or None if they hold none; raises `ValueError` if it is incomplete."""
        own = {name.removeprefix(PREFIX): array for name, array in arrays.items() if name.startswith(PREFIX)}
        if not own:
            return None
        wrong = {field.name for field in fields(cls)} ^ own.keys()
        if wrong:
            raise ValueError(f"arrays of the fusion are missing or unknown: {', '.join(sorted(wrong))}")
        return cls(**{name: np.asarray(array, np.float32) for name, array in own.items()})

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays by their names in a bundle's file, as `of_arrays` reads them; the projection as float16."""
        arrays: dict[str, NDArray[Any]] = {PREFIX + field.name: getattr(self, field.name) for field in fields(self)}
        return arrays | {f"{PREFIX}projection": self.projection.astype(np.float16)}

    @property
    def outputs(self) -> int:
        """S + 1, the number of labels and of none of them."""
        return len(self.bias)

    @property
    def size(self) -> int:
        """Length of an embedding in bytes."""
        return 1 + 2 * (self.outputs + EVIDENCE + 1) + int(self.projection.shape[1])

    # Into an embedding -----------------------------------------------------------------------------------------------

    def embed(self, small: Float32s, features: Float32s, logits: Float32s, kinds: NDArray[np.uint8]) -> Embeddings:
        """Pack the evidence of n product images.

        Args:
            small: probabilities by the small network (n, S + 1), the last column none of the labels.
            features: the backbone's (n, F); of images that it has not seen, anything finite.
            logits: of ImageNet's classes (n, 1000), likewise.
            kinds: uint8 (n,), kept as they are: what sort of image each is.
        """
        projected = self._project(features)
        scale = np.maximum(np.abs(projected).max(1, keepdims=True), 1e-3).astype(np.float16)
        whole = np.rint(projected / scale.astype(np.float32) * _LEVELS).clip(-_LEVELS, _LEVELS).astype(np.int8)
        logs = np.log(np.clip(small, np.float32(1e-7), 1)).astype(np.float16)
        halves = np.concatenate([logs, evidence(logits).astype(np.float16), scale], 1)
        packed = np.ascontiguousarray(halves, "<f2").view(np.uint8)
        return np.concatenate([kinds[:, None], packed, whole.view(np.uint8)], 1)

    def normalized(self, features: Float32s) -> Float32s:
        """Return features (n, F) standardized, float32 (n, F), of length 1.

        Of the standardized ones the square roots are taken with their signs (power normalization, Perronnin et al. 2010): a few
        large ones would otherwise decide all.
        """
        standard = (features - self.centre) / self.spread
        rooted = np.sign(standard) * np.sqrt(np.abs(standard))
        return np.asarray(rooted / np.maximum(np.linalg.norm(rooted, axis=1, keepdims=True), 1e-6), np.float32)

    def _project(self, features: Float32s) -> Float32s:
        """Return the principal components, float32 (n, d), of features (n, F)."""
        return self._exact_projection.product(self.normalized(features) - self.mean)

    # Out of an embedding ---------------------------------------------------------------------------------------------

    def kinds(self, embeddings: Embeddings) -> NDArray[np.uint8]:
        """Return the kinds of n images that `embed` was given, uint8 (n,)."""
        return embeddings[:, 0]

    def small(self, embeddings: Embeddings) -> Float32s:
        """Return the small network's probabilities, float32 (n, S + 1)."""
        return np.exp(self._halves(embeddings)[:, : self.outputs])

    def imagenet(self, embeddings: Embeddings) -> Float32s:
        """Return the logarithms of the evidence of ImageNet's classes, float32 (n, S + 1)."""
        return self._halves(embeddings)[:, self.outputs : -1]

    def features(self, embeddings: Embeddings) -> Float32s:
        """Return the backbone's features, float32 (n, d), each vector of length `LENGTH`."""
        whole = np.ascontiguousarray(embeddings[:, -self.projection.shape[1] :]).view(np.int8).astype(np.float32)
        # Whole numbers, whose squares add up exactly in any order.
        return np.asarray(whole * (LENGTH / np.sqrt(np.maximum((whole**2).sum(1, keepdims=True), 1))), np.float32)

    def head(self, embeddings: Embeddings) -> Float32s:
        """Return the head's probabilities, float32 (n, S + 1)."""
        return softmax(self._exact_head.product(self.features(embeddings)) + self.bias)

    def probabilities(self, embeddings: Embeddings) -> Float32s:
        """Return calibrated probabilities, float32 (n, S + 1); rows sum to 1, and the last column is none of the labels."""
        opinions = self._opinions(embeddings)
        known = softmax(self._label_logits(*opinions) / self.temperature)
        none = (1 / (1 + np.exp(-(self._none_scores(*opinions) + self.none_bias))))[:, None]
        return np.asarray(np.concatenate([(1 - none) * known, none], 1), np.float32)

    def label_logits(self, embeddings: Embeddings) -> Float32s:
        """Return the weighted sum of the three logarithms of each label, float32 (n, S), not yet divided by the temperature."""
        return self._label_logits(*self._opinions(embeddings))

    def none_scores(self, embeddings: Embeddings) -> Float32s:
        """Return the log-odds of none of the labels, float32 (n,), without their bias."""
        return self._none_scores(*self._opinions(embeddings))

    def _opinions(self, embeddings: Embeddings) -> tuple[Float32s, Float32s, Float32s]:
        """Return what the small network, ImageNet's classes (as logarithms) and the head say, float32 (n, S + 1) each."""
        return self.small(embeddings), self.imagenet(embeddings), self.head(embeddings)

    def _label_logits(self, small: Float32s, seen: Float32s, head: Float32s) -> Float32s:
        return np.asarray(
            self.exponents[0] * np.log(small[:, :-1].clip(_LEAST_PROBABILITY))
            + self.exponents[1] * seen[:, :-1]
            + self.exponents[2] * np.log(head[:, :-1].clip(_LEAST_PROBABILITY)),
            np.float32,
        )

    def _none_scores(self, small: Float32s, seen: Float32s, head: Float32s) -> Float32s:
        odds = _log_odds(small[:, -1]), -_log_odds(np.exp(seen[:, -1])), _log_odds(head[:, -1])
        # A sum of three in a fixed order: a matrix product may choose its own.
        return np.asarray(sum(one * weight for one, weight in zip(odds, self.none_weight, strict=True)), np.float32)

    def _halves(self, embeddings: Embeddings) -> Float32s:
        """Return the stored float16 numbers, float32 (n, 2 S + 4): logarithms of both, and the scale of the features."""
        count = self.outputs + EVIDENCE + 1
        stored = np.ascontiguousarray(embeddings[:, 1 : 1 + 2 * count])
        return stored.view("<f2").astype(np.float32)

    @cached_property
    def _exact_projection(self) -> ExactMatrix:
        return ExactMatrix(self.projection, 2.0)

    @cached_property
    def _exact_head(self) -> ExactMatrix:
        return ExactMatrix(self.weight, LENGTH)


def _log_odds(probabilities: Float32s) -> Float32s:
    clipped = probabilities.clip(_LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY)
    return np.asarray(np.log(clipped) - np.log(1 - clipped), np.float32)
