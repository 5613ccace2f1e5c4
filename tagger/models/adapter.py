"""What a bundle has learnt of one shop: what things are called there, how they look, and photos that it remembers.

It answers beside the network and leaves it as it is. What the network says is first translated into the shop's labels;
a head of its own, on coarse maps of the network's features, corrects that; then the photos remembered that look most
alike are asked, each by how near it is (Nadaraya-Watson, as Tip-Adapter does, arXiv 2111.03930), and a photo that is like
none of them keeps the head's answer. Knows no files and no devices.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional

NEIGHBOURS = 10
"""Remembered photos that are asked at most."""

WIDTH, OWN = 0.05, 0.1
"""How fast a neighbour's weight exp((cosine - 1) / WIDTH) falls, and the weight of the photo's own answer beside them.

So narrow that only photos of nearly the same thing count: what helps within a catalog misleads on photos of another kind."""

MIN_PROBABILITY = 1e-4
"""No probability is taken to be less, as its logarithm is a feature."""

BLOCK = 1_024
"""Photos computed at once, so that memory grows with the photos alone and not with photos times remembered ones."""

PREFIX = "shop."
"""Marks the tensors of a shop in a file that holds a network's too."""

STORED_NAMES = {"memory_probabilities": "said"}
"""Names of tensors in a bundle\'s file that differ from the fields\' names; they cannot change without a new format."""


@dataclass(frozen=True)
class ShopAdapter:
    """What was learnt, as float32 tensors, for S labels of the network, K labels here and maps of d numbers.

    Wherever there are K + 1 columns, the last one is "none of these".
    """

    centre: Tensor
    """Mean of the catalog's maps (d,)."""
    spread: Tensor
    """Their standard deviations (d,), positive."""
    translation: Tensor
    """Rows (S + 1, K + 1): how what the network calls so is called here; each sums to 1."""
    weight: Tensor
    """The head's weights (d, K + 1): scores of the labels, and of none against all labels."""
    bias: Tensor
    """Their biases (K + 1,)."""
    memory: Tensor
    """Directions, `direct`ed, of the photos remembered (n, d), float16."""
    memory_probabilities: Tensor
    """What is said of each of them (n, K + 1), float16."""

    def __post_init__(self) -> None:
        """Refuse tensors that do not belong together, as a damaged file may hold."""
        d, ends = self.weight.shape
        shapes = {"centre": (d,), "spread": (d,), "bias": (ends,)}
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"the shop's {name} has the shape {tuple(getattr(self, name).shape)}, not {shape}")
        if (
            self.translation.shape[1] != ends
            or self.memory.shape != (len(self.memory_probabilities), d)
            or self.memory_probabilities.shape[1] != ends
        ):
            raise ValueError("the shop's translation, memory and labels do not fit each other")

    @classmethod
    def of_tensors(cls, tensors: Mapping[str, Tensor]) -> "ShopAdapter | None":
        """Return the shop among a file's tensors, or None where there is none."""
        own = {name.removeprefix(PREFIX): tensor for name, tensor in tensors.items() if name.startswith(PREFIX)}
        if not own:
            return None
        names = {STORED_NAMES.get(field.name, field.name): field.name for field in fields(cls)}
        missing = names.keys() ^ own.keys()
        if missing:
            raise ValueError(f"the shop's tensors are not those that they should be: {', '.join(sorted(missing))}")
        return cls(**{names[stored]: tensor for stored, tensor in own.items()})

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors by the names that `of_tensors` knows."""
        return {
            PREFIX + STORED_NAMES.get(field.name, field.name): getattr(self, field.name).contiguous() for field in fields(self)
        }

    def embed(self, maps: Tensor, photos: Tensor | None = None) -> Tensor:
        """Return directions of length 1, float32 (n, d), in which the catalog's own maps (n, d) point all ways.

        With `photos`, numbers int64 (m,), those of these alone (m, d), without a copy of their maps.
        """
        return _embedded(maps, self.centre, self.spread, photos)

    def scores(self, probabilities: Tensor, directions: Tensor) -> Tensor:
        """Return the head's scores (n, K + 1), for the network's probabilities (n, S + 1) and directions (n, d).

        They are of the labels, and in the last column of none of them against all.
        """
        translated = (probabilities @ self.translation).clamp(MIN_PROBABILITY, 1)
        prior = torch.cat([translated[:, :-1].log(), torch.logit(translated[:, -1:], MIN_PROBABILITY)], 1)
        return prior + (directions @ self.weight + self.bias)

    def head_probabilities(self, probabilities: Tensor, directions: Tensor) -> Tensor:
        """Return probabilities (n, K + 1) without any memory, for the network's (n, S + 1) and directions (n, d)."""
        scores = self.scores(probabilities, directions)
        none = scores[:, -1:].sigmoid()
        return torch.cat([(1 - none) * scores[:, :-1].softmax(1), none], 1)

    def predict(self, probabilities: Tensor, maps: Tensor, temperature: float = 1.0) -> Tensor:
        """Return probabilities float32 (n, K + 1) for the network's (n, S + 1) and maps (n, d); rows sum to 1."""
        blocks = zip(torch.split(probabilities, BLOCK), torch.split(maps, BLOCK), strict=True)
        return torch.cat([self._answer(*block, temperature) for block in blocks])

    def _answer(self, probabilities: Tensor, maps: Tensor, temperature: float) -> Tensor:
        directions = self.embed(maps)
        own = self.head_probabilities(probabilities, directions)
        near, which = (directions @ self._memory.T).topk(min(NEIGHBOURS, len(self.memory)), 1)
        weights = ((near - 1) / WIDTH).exp()
        told = (weights[:, :, None] * self.memory_probabilities[which].float()).sum(1)
        return apply_temperature((OWN * own + told) / (OWN + weights.sum(1, keepdim=True)), temperature)

    @cached_property
    def _memory(self) -> Tensor:
        """The memory as float32, converted once and not with every batch."""
        return self.memory.float()


def centre_and_spread(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation, positive, of each column of a catalog's maps (n, d)."""
    return maps.mean(0), maps.std(0, correction=0) + 1e-6


def embed_maps(maps: Tensor) -> Tensor:
    """Return the directions of a catalog's own maps (n, d), as a shop that has learnt from it `direct`s them."""
    return _embedded(maps, *centre_and_spread(maps))


def _embedded(maps: Tensor, centre: Tensor, spread: Tensor, photos: Tensor | None = None) -> Tensor:
    directions = torch.empty(len(maps) if photos is None else len(photos), maps.shape[1])
    for start in range(0, len(directions), BLOCK):
        chosen = slice(start, start + BLOCK)
        some = maps[chosen] if photos is None else maps[photos[chosen]]
        directions[chosen] = functional.normalize((some.float() - centre) / spread, dim=1)
    return directions


def apply_temperature(probabilities: Tensor, temperature: float) -> Tensor:
    """Return probabilities (n, classes) whose logarithms were divided by a positive temperature."""
    return (probabilities.clamp_min(1e-9).log() / temperature).softmax(1)
