"""A shop adapter: what a bundle has learned from the catalog of one shop, applied to the output of its network.

The adapter leaves the network unchanged. It maps the network's probabilities to the shop's labels, corrects them by a linear
head on coarse feature maps, and mixes in the labels of the remembered photos that look most alike, each weighted by its
distance (Nadaraya-Watson, as Tip-Adapter does, arXiv 2111.03930). A photo that resembles none of them keeps the head's
probabilities. The module knows no files and no devices.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tagger.arrays import Classes, ExactMatrix, Float32s, largest, softmax

NEIGHBOURS = 10
"""Greatest number of remembered photos that a prediction takes in."""

WIDTH, OWN = 0.05, 0.1
"""Kernel width: a neighbour weighs exp((cosine - 1) / WIDTH); and the weight of the photo's own probabilities beside them.

The kernel is so narrow that only photos of nearly the same thing count: what helps within a catalog misleads on other
photos."""

MIN_PROBABILITY = 1e-4
"""Lower bound of probabilities whose logarithm becomes a feature."""

BLOCK = 1_024
"""Photos embedded at once, so that memory grows with the photos alone."""

PREDICTED = 256
"""Photos predicted at once, so that memory does not grow with photos times remembered ones."""

Float16s: TypeAlias = NDArray[np.float16]

PREFIX = "shop."
"""Prefix of the adapter's tensors in a bundle's file, which holds the network's too."""

STORED_NAMES = {"memory_probabilities": "said"}
"""Names of tensors in a bundle's file that differ from the fields' names; they cannot change without a new format."""


@dataclass(frozen=True)
class ShopAdapter:
    """The adapter's parameters, float32 unless stated, for S labels of the network, K labels of the shop and d features.

    Of K + 1 or S + 1 columns the last one is "none of the labels".
    """

    centre: Float32s
    """Mean of the catalog's feature maps (d,)."""
    spread: Float32s
    """Their standard deviations (d,), positive."""
    translation: Float32s
    """Probability of each label of the shop given a label of the network, (S + 1, K + 1); each row sums to 1."""
    weight: Float32s
    """Weights of the linear head (d, K + 1): logits of the labels, and of none against all labels."""
    bias: Float32s
    """Biases of the head (K + 1,)."""
    memory: Float16s
    """Embeddings of the remembered photos (n, d), float16, as `embed` makes them."""
    memory_probabilities: Float16s
    """Probabilities of the labels of each remembered photo (n, K + 1), float16."""
    prior_weight: Float32s = field(default_factory=lambda: np.ones(1, np.float32))
    """Factor (1,) of the logarithms of the translated probabilities of labels in the head; stored where it is not 1."""

    def __post_init__(self) -> None:
        """Refuse tensors that do not fit each other, as a damaged file may hold."""
        d, ends = self.weight.shape
        shapes = {"centre": (d,), "spread": (d,), "bias": (ends,), "prior_weight": (1,)}
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"the adapter's {name} has the shape {tuple(getattr(self, name).shape)}, not {shape}")
        if (
            self.translation.shape[1] != ends
            or self.memory.shape != (len(self.memory_probabilities), d)
            or self.memory_probabilities.shape[1] != ends
        ):
            raise ValueError("the shapes of the adapter's translation, memory and labels do not fit each other")

    @classmethod
    def of_tensors(cls, tensors: Mapping[str, NDArray[Any]]) -> "ShopAdapter | None":
        """Return the adapter among a file's tensors, or None if they hold none; raises `ValueError` if it is incomplete."""
        own = {name.removeprefix(PREFIX): tensor for name, tensor in tensors.items() if name.startswith(PREFIX)}
        if not own:
            return None
        names = {STORED_NAMES.get(one.name, one.name): one.name for one in fields(cls)}
        wrong = (names.keys() ^ own.keys()) - ({"prior_weight"} - own.keys())
        if wrong:
            raise ValueError(f"tensors of the adapter are missing or unknown: {', '.join(sorted(wrong))}")
        return cls(**{names[stored]: tensor for stored, tensor in own.items()})

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Return the tensors by their names in a bundle's file, as `of_tensors` reads them."""
        return {
            PREFIX + STORED_NAMES.get(one.name, one.name): np.ascontiguousarray(getattr(self, one.name))
            for one in fields(self)
            if one.name != "prior_weight" or self.prior_weight[0] != 1
        }

    def embed(self, maps: Float32s, photos: Classes | None = None) -> Float32s:
        """Return embeddings of length 1, float32 (n, d), of feature maps (n, d) standardized by the catalog's.

        With `photos`, indices (m,), the embeddings of these photos alone (m, d), without a copy of their maps.
        """
        return _embed(maps, self.centre, self.spread, photos)

    def scores(self, probabilities: Float32s, embeddings: Float32s) -> Float32s:
        """Return the head's logits (n, K + 1), for the network's probabilities (n, S + 1) and embeddings (n, d).

        The last column is the logit of none of the labels against all of them.
        """
        translated = (probabilities[:, :, None] * self.translation).sum(1).clip(MIN_PROBABILITY, 1)
        prior = np.concatenate([self.prior_weight * np.log(translated[:, :-1]), logit(translated[:, -1:])], 1)
        scores: Float32s = prior + (self._weight.product(embeddings) + self.bias)
        return scores

    def head_probabilities(self, probabilities: Float32s, embeddings: Float32s) -> Float32s:
        """Return probabilities (n, K + 1) without the memory, for the network's (n, S + 1) and embeddings (n, d)."""
        scores = self.scores(probabilities, embeddings)
        none = logistic(scores[:, -1:])
        return np.concatenate([(1 - none) * softmax(scores[:, :-1]), none], 1)

    def predict(self, probabilities: Float32s, maps: Float32s, temperature: float = 1.0) -> Float32s:
        """Return probabilities float32 (n, K + 1), for the network's probabilities (n, S + 1) and maps (n, d).

        Rows sum to 1; `temperature` divides the logarithms. A photo gets the same probabilities, to the bit, whatever the
        number of photos and its place among them.
        """
        predicted = np.empty((len(maps), self.translation.shape[1]), np.float32)
        for start in range(0, len(maps), PREDICTED):
            block = slice(start, start + PREDICTED)
            predicted[block] = self._predict_block(probabilities[block], maps[block], temperature)
        return predicted

    def _predict_block(self, probabilities: Float32s, maps: Float32s, temperature: float) -> Float32s:
        embeddings = self.embed(maps)
        own = self.head_probabilities(probabilities, embeddings)
        cosines, nearest = largest(self._memory.product(embeddings), NEIGHBOURS)
        weights = np.exp((cosines - 1) / WIDTH)
        remembered = (weights[:, :, None] * self.memory_probabilities[nearest]).sum(1)
        return apply_temperature((OWN * own + remembered) / (OWN + weights.sum(1, keepdims=True)), temperature)

    @cached_property
    def _weight(self) -> ExactMatrix:
        return ExactMatrix(self.weight)

    @cached_property
    def _memory(self) -> ExactMatrix:
        return ExactMatrix(self.memory.T)


def centre_and_spread(maps: Float32s) -> tuple[Float32s, Float32s]:
    """Return the mean and the standard deviation, positive, of each column of a catalog's feature maps (n, d)."""
    centre, squares = maps.mean(0, dtype=np.float64), np.zeros(maps.shape[1])
    for start in range(0, len(maps), BLOCK):
        squares += np.square(maps[start : start + BLOCK] - centre).sum(0)
    return centre.astype(np.float32), (np.sqrt(squares / len(maps)) + 1e-6).astype(np.float32)


def embed_maps(maps: Float32s) -> Float32s:
    """Return the embeddings of a catalog's own feature maps (n, d), as an adapter fitted to that catalog makes them."""
    return _embed(maps, *centre_and_spread(maps))


def _embed(maps: Float32s, centre: Float32s, spread: Float32s, photos: Classes | None = None) -> Float32s:
    embeddings = np.empty((len(maps) if photos is None else len(photos), maps.shape[1]), np.float32)
    for start in range(0, len(embeddings), BLOCK):
        block = slice(start, start + BLOCK)
        standardized = ((maps[block] if photos is None else maps[photos[block]]) - centre) / spread
        lengths = np.sqrt(np.square(standardized).sum(1, keepdims=True))
        embeddings[block] = standardized / np.maximum(lengths, 1e-12)
    return embeddings


def logistic(logits: Float32s) -> Float32s:
    """Return 1 / (1 + exp(-x)), without overflow."""
    probabilities: Float32s = np.exp(-np.logaddexp(0, -logits))
    return probabilities


def logit(probabilities: Float32s) -> Float32s:
    """Return log(p / (1 - p)) of probabilities that are kept `MIN_PROBABILITY` away from 0 and 1."""
    inner = probabilities.clip(MIN_PROBABILITY, 1 - MIN_PROBABILITY)
    logits: Float32s = np.log(inner / (1 - inner))
    return logits


def apply_temperature(probabilities: Float32s, temperature: float) -> Float32s:
    """Return probabilities (n, classes) whose logarithms are divided by a positive temperature, normalized again."""
    return softmax(np.log(np.maximum(probabilities, 1e-9)) / temperature)
