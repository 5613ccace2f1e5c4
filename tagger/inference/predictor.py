"""One batch of pictures to calibrated probabilities. The only room that knows device and dtype."""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from tagger.inference.device import resolve_device
from tagger.models.adapter import NEIGHBOURS, embed_maps
from tagger.models.bundle import Bundle
from tagger.models.neighbours import Neighbours, nearest
from tagger.models.network import Network, logits_in_batches
from tagger.records import ProductImage
from tagger.settings import Device

BATCH_SIZE = 64
"""Pictures in every forward pass, filled up with black: another batch shape may add in another order (pytorch#58128)."""

NEVER_WORN = ("footwear", "accessory")
"""Groups whose labels nothing has that somebody wears above the hips."""


POOLED_SIDES = (3, 2)
"""Sides of the maps, before and after the last stage, by which a shop knows how its photos look: what is where, and no more."""


class Predictor:
    """A bundle's network, ready on a device."""

    def __init__(self, bundle: Bundle, device: Device = "auto") -> None:
        self._device = resolve_device(device)
        self._card = bundle.card
        self._shop = bundle.shop
        network = bundle.network().eval()
        fold_norms(network)
        self._network = network.to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def __call__(self, pictures: Sequence[ProductImage]) -> NDArray[np.float32]:
        """Return calibrated probabilities of the labels, float32 (n, labels), for n pictures.

        What a row lacks to 1 is the probability that the picture shows none of them, which only a bundle with a head for
        photos, or one that a shop has taught, tells. What is cut out of a figure above the hips is nothing of the groups
        `NEVER_WORN`, unless a shop has taught otherwise.
        """
        probabilities = np.empty((len(pictures), len(self._card.labels)), np.float32)
        for chosen, looked in self._looked(pictures):
            if self._shop is None:
                probabilities[chosen] = looked.probabilities[: len(chosen), :-1].numpy()
            else:
                answered = self._shop.predict(looked.probabilities, looked.maps, self._card.shop_temperature)
                probabilities[chosen] = answered[: len(chosen), :-1].numpy()
        return probabilities

    def extract(self, pictures: Sequence[ProductImage]) -> "Features":
        """Return what the network alone says of n pictures and how it sees them, whatever a shop has taught."""
        probabilities = torch.zeros(len(pictures), len(self._card.network_groups) + 1)
        maps = torch.zeros(len(pictures), pooled_size(self._network))
        for chosen, looked in self._looked(pictures):
            probabilities[chosen], maps[chosen] = looked.probabilities[: len(chosen)], looked.maps[: len(chosen)]
        return Features(probabilities, maps)

    @torch.inference_mode()
    def pictures_a_second(self, batches: Sequence[int], seconds: float = 0.5) -> dict[int, float]:
        """Return, for each size of batches, how many pictures the network scores a second: median over passes.

        Each size is measured for about that many `seconds`, and at least five times.
        """
        speeds = {}
        for size in batches:
            pixels = torch.zeros(size, 1, 28, 28, dtype=torch.uint8, device=self._device)
            passes: list[float] = []
            while len(passes) < 6 or sum(passes) < seconds:
                begun = time.perf_counter()
                self._network(pixels).cpu()
                passes.append(time.perf_counter() - begun)
            speeds[size] = size / statistics.median(passes[1:])  # the first one is slower
        return speeds

    def _looked(self, pictures: Sequence[ProductImage]) -> Iterator[tuple[list[int], "Features"]]:
        """Yield looks at `BATCH_SIZE` pictures of one kind, filled up with black, and the numbers of those that they begin with."""
        for native in (True, False):
            alike = [number for number, picture in enumerate(pictures) if picture.native == native]
            for start in range(0, len(alike), BATCH_SIZE):
                chosen = alike[start : start + BATCH_SIZE]
                pixels = np.zeros((BATCH_SIZE, 1, 28, 28), np.uint8)
                pixels[: len(chosen), 0] = [pictures[number].pixels for number in chosen]
                worn = torch.zeros(BATCH_SIZE, dtype=torch.bool)
                worn[: len(chosen)] = torch.tensor([pictures[number].worn for number in chosen])
                yield chosen, self._look(torch.from_numpy(pixels).to(self._device), native, worn)

    @torch.inference_mode()
    def _look(self, pixels: Tensor, native: bool, worn: Tensor) -> "Features":
        """Return the look at pictures of one kind, those `worn` (n,) being no labels of the groups that nobody wears."""
        if native or self._network.photo_head is None:
            seen = native_features(self._network, pixels, self._card.temperature)
        else:
            seen = photo_features(self._network, pixels, self._card.photo_temperature)
        never_worn = torch.tensor([group in NEVER_WORN for group in self._card.network_groups.values()])
        labels = seen.probabilities.cpu()[:, : len(never_worn)].clone()
        labels[worn[:, None] & never_worn] = 0
        return Features(torch.cat([labels, (1 - labels.sum(1, keepdim=True)).clamp_min(0)], 1), seen.maps.cpu())


@dataclass(frozen=True)
class Features:
    """What a network says of n pictures, and how it sees them."""

    probabilities: Tensor
    """Calibrated, float32 (n, labels + 1); the last one is that of none of the labels."""
    maps: Tensor
    """`pool_maps` maps, float32 (n, d), mean over the views."""

    @cached_property
    def neighbours(self) -> Neighbours:
        """The `NEIGHBOURS` pictures most like each of them; found once, however often something is learnt from them."""
        return nearest(embed_maps(self.maps), NEIGHBOURS)


def pool_maps(maps: tuple[Tensor, Tensor]) -> Tensor:
    """Return a network's maps in as many cells as `POOLED_SIDES` says, float32 (n, d)."""
    cells = [functional.adaptive_avg_pool2d(some, side).flatten(1) for some, side in zip(maps, POOLED_SIDES, strict=True)]
    return torch.cat(cells, 1)


def pooled_size(network: Network) -> int:
    """Return d, the number of columns that `pool_maps` returns for that network."""
    before, last = network.channels
    return before * POOLED_SIDES[0] ** 2 + last * POOLED_SIDES[1] ** 2


def native_features(network: Network, pixels: Tensor, temperature: float) -> Features:
    """Return the look at Fashion-MNIST's pictures or ones in their form, uint8 (n, 1, 28, 28); all columns are classes.

    A network with a head for photos averages the picture and its mirror image, one with a single head takes the picture alone.
    """
    views = (pixels,) if network.photo_head is None else (pixels, pixels.flip(3))
    return _mean_features(network, network.logits_of_maps, views, temperature)


def photo_features(network: Network, pixels: Tensor, temperature: float) -> Features:
    """Return the look at photos' cuts, uint8 (n, 1, 28, 28), of a network with a head for them: mean of four `photo_views`."""
    return _mean_features(network, network.photo_logits_of_maps, photo_views(pixels), temperature)


def native_probabilities(network: Network, pixels: Tensor, temperature: float) -> Tensor:
    """Return probabilities, float32 (n, classes), as `native_features` does."""
    return native_features(network, pixels, temperature).probabilities


def native_predictions(network: Network, pixels: Tensor, temperature: float) -> Tensor:
    """Return what `native_probabilities` does for any number of pictures, some at a time to bound the memory."""
    return logits_in_batches(lambda some: native_probabilities(network, some, temperature), pixels)


def photo_probabilities(network: Network, pixels: Tensor, temperature: float) -> Tensor:
    """Return the photo head's probabilities, float32 (n, photo_classes), as `photo_features` does."""
    return photo_features(network, pixels, temperature).probabilities


def photo_views(pixels: Tensor) -> tuple[Tensor, ...]:
    """Return the views that are averaged, (n, 1, 28, 28) each: pictures and mirror images, as they are and a little smaller."""
    both = (pixels, pixels.flip(3))
    return (*both, *map(smaller, both))


def _mean_features(
    network: Network, logits: Callable[[Tensor], Tensor], views: Sequence[Tensor], temperature: float
) -> Features:
    maps = [network.maps(view) for view in views]
    probabilities = [torch.softmax(logits(last).float() / temperature, dim=1) for _, last in maps]
    return Features(torch.stack(probabilities).mean(0), torch.stack([pool_maps(some) for some in maps]).mean(0))


def smaller(pixels: Tensor) -> Tensor:
    """Return pictures uint8 (n, 1, 28, 28) at nine tenths of their size, float, on 0."""
    shrunk = functional.interpolate(pixels.float(), (24, 24), mode="bilinear", antialias=True)
    return functional.pad(shrunk, (2, 2, 2, 2))


def fold_norms(module: nn.Module) -> None:
    """Fold every batch normalisation into the convolution before it, in place: the same function with half the passes."""
    children = list(module.named_children())
    for (name, child), (next_name, following) in pairwise(children):
        if isinstance(child, nn.Conv2d) and isinstance(following, nn.BatchNorm2d):
            setattr(module, name, fuse_conv_bn_eval(child, following))
            setattr(module, next_name, nn.Identity())
    for _, child in module.named_children():
        fold_norms(child)
