"""Compute calibrated probabilities of product images. The only module that knows device and dtype.

A product image is either the cut of a photo or `native`: an image in Fashion-MNIST's own format, 28x28, grey, on 0, which is
not extracted from a photo. A network with a second head for photos scores the two kinds by different heads.
"""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from tagger.arrays import Float32s
from tagger.inference.device import resolve_device
from tagger.models.adapter import NEIGHBOURS, embed_maps
from tagger.models.bundle import Bundle
from tagger.models.neighbours import Neighbours, nearest
from tagger.models.network import Network, logits_in_batches
from tagger.records import ProductImage
from tagger.settings import Device

BATCH_SIZE = 64
"""Images in every forward pass, padded with black ones to exactly as many.

Kernels may sum in another order for another batch shape (pytorch#58128); with one shape, the probabilities of an image do not
depend on how many others are scored with it, bit for bit."""

NEVER_WORN = ("footwear", "accessory")
"""Groups of labels that what a person wears above the hips cannot have."""

POOLED_SIDES = (3, 2)
"""Height and width of the pooled feature maps before and after the last stage: coarse, so that an adapter does not overfit."""


class Predictor:
    """A bundle's network, ready on a device."""

    def __init__(self, bundle: Bundle, device: Device = "auto") -> None:
        self._device = resolve_device(device)
        self._card = bundle.card
        self._adapter = bundle.adapter
        network = bundle.network().eval()
        fold_norms(network)
        self._network = network.to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def __call__(self, images: Sequence[ProductImage]) -> NDArray[np.float32]:
        """Return calibrated probabilities of the labels, float32 (n, labels), for n product images.

        One minus the sum of a row is the probability of none of the labels; it is 0 unless the bundle has a head for photos or
        an adapter. A product that a person wears above the hips gets 0 for labels of `NEVER_WORN`, unless an adapter predicts
        otherwise.
        """
        probabilities = np.empty((len(images), len(self._card.labels)), np.float32)
        for indices, features in self._batches(images):
            if self._adapter is None:
                probabilities[indices] = features.probabilities[: len(indices), :-1]
            else:
                adapted = self._adapter.predict(features.probabilities, features.maps, self._card.adapter_temperature)
                probabilities[indices] = adapted[: len(indices), :-1]
        return probabilities

    def extract(self, images: Sequence[ProductImage]) -> "Features":
        """Return the features of n product images by the network alone, without an adapter."""
        probabilities = np.zeros((len(images), len(self._card.network_groups) + 1), np.float32)
        maps = np.zeros((len(images), pooled_size(self._network)), np.float32)
        for indices, features in self._batches(images):
            probabilities[indices], maps[indices] = features.probabilities[: len(indices)], features.maps[: len(indices)]
        return Features(probabilities, maps)

    @torch.inference_mode()
    def images_per_second(self, batches: Sequence[int], seconds: float = 0.5) -> dict[int, float]:
        """Return the network's throughput in images per second for each batch size, the median over forward passes.

        Each batch size is measured for about `seconds`, and at least five times.
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

    def _batches(self, images: Sequence[ProductImage]) -> Iterator[tuple[list[int], "Features"]]:
        """Yield indices of at most `BATCH_SIZE` images of one kind, with the features of the padded batch they begin."""
        for native in (True, False):
            same_kind = [index for index, image in enumerate(images) if image.native == native]
            for start in range(0, len(same_kind), BATCH_SIZE):
                indices = same_kind[start : start + BATCH_SIZE]
                pixels = np.zeros((BATCH_SIZE, 1, 28, 28), np.uint8)
                pixels[: len(indices), 0] = [images[index].pixels for index in indices]
                worn = torch.zeros(BATCH_SIZE, dtype=torch.bool)
                worn[: len(indices)] = torch.tensor([images[index].worn for index in indices])
                yield indices, self._extract(torch.from_numpy(pixels).to(self._device), native, worn)

    @torch.inference_mode()
    def _extract(self, pixels: Tensor, native: bool, worn: Tensor) -> "Features":
        """Return the features of images of one kind; those `worn`, bool (n,), get 0 for labels in `NEVER_WORN`."""
        if native or self._network.photo_head is None:
            features = native_features(self._network, pixels, self._card.temperature)
        else:
            features = photo_features(self._network, pixels, self._card.photo_temperature)
        never_worn = torch.tensor([group in NEVER_WORN for group in self._card.network_groups.values()])
        labels = features.probabilities.cpu()[:, : len(never_worn)].clone()
        labels[worn[:, None] & never_worn] = 0
        whole = torch.cat([labels, (1 - labels.sum(1, keepdim=True)).clamp_min(0)], 1)
        return Features(whole.numpy(), features.maps.cpu().numpy())


@dataclass(frozen=True)
class Features:
    """The output of a network for n images: probabilities and pooled feature maps."""

    probabilities: Float32s
    """Calibrated probabilities, float32 (n, labels + 1); the last column is none of the labels."""
    maps: Float32s
    """Pooled feature maps as `pool_maps` returns them, float32 (n, d), averaged over the views."""
    embeddings: NDArray[np.uint8] | None = None
    """The packed evidence of a bundle with a backbone, uint8 (n, E)."""

    @cached_property
    def neighbours(self) -> Neighbours:
        """The `NEIGHBOURS` nearest neighbours of each image; computed once."""
        return nearest(embed_maps(self.maps), NEIGHBOURS)


class NetworkOutput(NamedTuple):
    """Probabilities (n, classes) and pooled feature maps (n, d) of n images, averaged over the views, on the device."""

    probabilities: Tensor
    maps: Tensor


def pool_maps(maps: tuple[Tensor, Tensor]) -> Tensor:
    """Return feature maps average-pooled to `POOLED_SIDES` and flattened, float32 (n, d)."""
    cells = [functional.adaptive_avg_pool2d(stage, side).flatten(1) for stage, side in zip(maps, POOLED_SIDES, strict=True)]
    return torch.cat(cells, 1)


def pooled_size(network: Network) -> int:
    """Return d, the number of columns that `pool_maps` returns for a network."""
    before, last = network.channels
    return before * POOLED_SIDES[0] ** 2 + last * POOLED_SIDES[1] ** 2


def native_features(network: Network, pixels: Tensor, temperature: float) -> NetworkOutput:
    """Return the features of images in Fashion-MNIST's own format, uint8 (n, 1, 28, 28); every column is a class.

    They are averaged over each image and its horizontal flip for a network with a head for photos, which is trained on both; a
    network with a single head takes the image alone.
    """
    views = (pixels,) if network.photo_head is None else (pixels, pixels.flip(3))
    return _mean_features(network, network.logits_of_maps, views, temperature)


def photo_features(network: Network, pixels: Tensor, temperature: float) -> NetworkOutput:
    """Return the photo head's features of photos' cuts, uint8 (n, 1, 28, 28), averaged over the four `photo_views`."""
    return _mean_features(network, network.photo_logits_of_maps, photo_views(pixels), temperature)


def native_probabilities(network: Network, pixels: Tensor, temperature: float) -> Tensor:
    """Return the first head's probabilities, float32 (n, classes), of images in Fashion-MNIST's own format."""
    return native_features(network, pixels, temperature).probabilities


def native_predictions(network: Network, pixels: Tensor, temperature: float) -> Tensor:
    """Return `native_probabilities` of any number of images, batch by batch to bound the memory."""
    return logits_in_batches(lambda batch: native_probabilities(network, batch, temperature), pixels)


def photo_probabilities(network: Network, pixels: Tensor, temperature: float) -> Tensor:
    """Return the photo head's probabilities, float32 (n, photo_classes), of photos' cuts."""
    return photo_features(network, pixels, temperature).probabilities


def photo_views(pixels: Tensor) -> tuple[Tensor, ...]:
    """Return the views that are averaged, (n, 1, 28, 28) each: the images and their flips, at full size and smaller."""
    both = (pixels, pixels.flip(3))
    return (*both, *map(smaller, both))


def _mean_features(
    network: Network, logits: Callable[[Tensor], Tensor], views: Sequence[Tensor], temperature: float
) -> NetworkOutput:
    maps = [network.maps(view) for view in views]
    probabilities = [torch.softmax(logits(last).float() / temperature, dim=1) for _, last in maps]
    return NetworkOutput(torch.stack(probabilities).mean(0), torch.stack([pool_maps(view) for view in maps]).mean(0))


def smaller(pixels: Tensor) -> Tensor:
    """Return images, uint8 (n, 1, 28, 28), downscaled to 24x24 and padded with 0, float (n, 1, 28, 28)."""
    shrunk = functional.interpolate(pixels.float(), (24, 24), mode="bilinear", antialias=True)
    return functional.pad(shrunk, (2, 2, 2, 2))


def fold_norms(module: nn.Module) -> None:
    """Fold every batch normalization into the convolution before it, in place: the same function with fewer layers."""
    children = list(module.named_children())
    for (name, child), (next_name, following) in pairwise(children):
        if isinstance(child, nn.Conv2d) and isinstance(following, nn.BatchNorm2d):
            setattr(module, name, fuse_conv_bn_eval(child, following))
            setattr(module, next_name, nn.Identity())
    for _, child in module.named_children():
        fold_norms(child)
