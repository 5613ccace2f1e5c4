"""A shop adapter: what a bundle has learned from the catalog of one shop, applied to the output of its network.

The adapter leaves the network unchanged. It maps the network's probabilities to the shop's labels, corrects them by a linear
head on coarse feature maps, and mixes in the labels of the remembered photos that look most alike, each weighted by its
distance (Nadaraya-Watson, as Tip-Adapter does, arXiv 2111.03930). A photo that resembles none of them keeps the head's
probabilities. The module knows no files and no devices.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional

NEIGHBOURS = 10
"""Greatest number of remembered photos that a prediction takes in."""

WIDTH, OWN = 0.05, 0.1
"""Kernel width: a neighbour weighs exp((cosine - 1) / WIDTH); and the weight of the photo's own probabilities beside them.

The kernel is so narrow that only photos of nearly the same thing count: what helps within a catalog misleads on other
photos."""

MIN_PROBABILITY = 1e-4
"""Lower bound of probabilities whose logarithm becomes a feature."""

BLOCK = 1_024
"""Photos computed at once, so that memory grows with the photos alone and not with photos times remembered ones."""

PREFIX = "shop."
"""Prefix of the adapter's tensors in a bundle's file, which holds the network's too."""

STORED_NAMES = {"memory_probabilities": "said"}
"""Names of tensors in a bundle's file that differ from the fields' names; they cannot change without a new format."""


@dataclass(frozen=True)
class ShopAdapter:
    """The adapter's parameters, float32 unless stated, for S labels of the network, K labels of the shop and d features.

    Of K + 1 or S + 1 columns the last one is "none of the labels".
    """

    centre: Tensor
    """Mean of the catalog's feature maps (d,)."""
    spread: Tensor
    """Their standard deviations (d,), positive."""
    translation: Tensor
    """Probability of each label of the shop given a label of the network, (S + 1, K + 1); each row sums to 1."""
    weight: Tensor
    """Weights of the linear head (d, K + 1): logits of the labels, and of none against all labels."""
    bias: Tensor
    """Biases of the head (K + 1,)."""
    memory: Tensor
    """Embeddings of the remembered photos (n, d), float16, as `embed` makes them."""
    memory_probabilities: Tensor
    """Probabilities of the labels of each remembered photo (n, K + 1), float16."""

    def __post_init__(self) -> None:
        """Refuse tensors that do not fit each other, as a damaged file may hold."""
        d, ends = self.weight.shape
        shapes = {"centre": (d,), "spread": (d,), "bias": (ends,)}
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
    def of_tensors(cls, tensors: Mapping[str, Tensor]) -> "ShopAdapter | None":
        """Return the adapter among a file's tensors, or None if they hold none; raises `ValueError` if it is incomplete."""
        own = {name.removeprefix(PREFIX): tensor for name, tensor in tensors.items() if name.startswith(PREFIX)}
        if not own:
            return None
        names = {STORED_NAMES.get(field.name, field.name): field.name for field in fields(cls)}
        wrong = names.keys() ^ own.keys()
        if wrong:
            raise ValueError(f"tensors of the adapter are missing or unknown: {', '.join(sorted(wrong))}")
        return cls(**{names[stored]: tensor for stored, tensor in own.items()})

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors by their names in a bundle's file, as `of_tensors` reads them."""
        return {
            PREFIX + STORED_NAMES.get(field.name, field.name): getattr(self, field.name).contiguous() for field in fields(self)
        }

    def embed(self, maps: Tensor, photos: Tensor | None = None) -> Tensor:
        """Return embeddings of length 1, float32 (n, d), of feature maps (n, d) standardized by the catalog's.

        With `photos`, indices int64 (m,), the embeddings of these photos alone (m, d), without a copy of their maps.
        """
        return _embed(maps, self.centre, self.spread, photos)

    def scores(self, probabilities: Tensor, embeddings: Tensor) -> Tensor:
        """Return the head's logits (n, K + 1), for the network's probabilities (n, S + 1) and embeddings (n, d).

        The last column is the logit of none of the labels against all of them.
        """
        translated = (probabilities @ self.translation).clamp(MIN_PROBABILITY, 1)
        prior = torch.cat([translated[:, :-1].log(), torch.logit(translated[:, -1:], MIN_PROBABILITY)], 1)
        return prior + (embeddings @ self.weight + self.bias)

    def head_probabilities(self, probabilities: Tensor, embeddings: Tensor) -> Tensor:
        """Return probabilities (n, K + 1) without the memory, for the network's (n, S + 1) and embeddings (n, d)."""
        scores = self.scores(probabilities, embeddings)
        none = scores[:, -1:].sigmoid()
        return torch.cat([(1 - none) * scores[:, :-1].softmax(1), none], 1)

    def predict(self, probabilities: Tensor, maps: Tensor, temperature: float = 1.0) -> Tensor:
        """Return probabilities float32 (n, K + 1), for the network's probabilities (n, S + 1) and maps (n, d).

        Rows sum to 1; `temperature` divides the logarithms.
        """
        blocks = zip(torch.split(probabilities, BLOCK), torch.split(maps, BLOCK), strict=True)
        return torch.cat([self._predict_block(*block, temperature) for block in blocks])

    def _predict_block(self, probabilities: Tensor, maps: Tensor, temperature: float) -> Tensor:
        embeddings = self.embed(maps)
        own = self.head_probabilities(probabilities, embeddings)
        cosines, nearest = (embeddings @ self._memory.T).topk(min(NEIGHBOURS, len(self.memory)), 1)
        weights = ((cosines - 1) / WIDTH).exp()
        remembered = (weights[:, :, None] * self.memory_probabilities[nearest].float()).sum(1)
        return apply_temperature((OWN * own + remembered) / (OWN + weights.sum(1, keepdim=True)), temperature)

    @cached_property
    def _memory(self) -> Tensor:
        """The memory as float32, converted once and not with every batch."""
        return self.memory.float()


def centre_and_spread(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean and the standard deviation, positive, of each column of a catalog's feature maps (n, d)."""
    return maps.mean(0), maps.std(0, correction=0) + 1e-6


def embed_maps(maps: Tensor) -> Tensor:
    """Return the embeddings of a catalog's own feature maps (n, d), as an adapter fitted to that catalog makes them."""
    return _embed(maps, *centre_and_spread(maps))


def _embed(maps: Tensor, centre: Tensor, spread: Tensor, photos: Tensor | None = None) -> Tensor:
    embeddings = torch.empty(len(maps) if photos is None else len(photos), maps.shape[1])
    for start in range(0, len(embeddings), BLOCK):
        block = slice(start, start + BLOCK)
        rows = maps[block] if photos is None else maps[photos[block]]
        embeddings[block] = functional.normalize((rows.float() - centre) / spread, dim=1)
    return embeddings


def apply_temperature(probabilities: Tensor, temperature: float) -> Tensor:
    """Return probabilities (n, classes) whose logarithms are divided by a positive temperature, normalized again."""
    return (probabilities.clamp_min(1e-9).log() / temperature).softmax(1)
