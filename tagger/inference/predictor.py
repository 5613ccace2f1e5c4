"""Compute calibrated probabilities of product images on a device.

A product image is either the cut of a photo or `native`: an image in Fashion-MNIST's own format, 28x28, grey, on 0, which is
not extracted from a photo. A network with a second head for photos scores the two kinds by different heads.
"""

import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Union

import numpy as np
from numpy.typing import NDArray

from tagger.arrays import Float32s
from tagger.errors import BundleError
from tagger.inference.device import ComputeDevice, inference_device
from tagger.inference.onnx_network import OnnxNetwork
from tagger.inference.settings import BATCH_SIZE
from tagger.models.adapter import NEIGHBOURS, embed_maps
from tagger.models.bundle import Bundle
from tagger.models.neighbours import Neighbours, nearest
from tagger.models.network_graph import GRAPH_FAMILIES
from tagger.records import ProductImage
from tagger.settings import Device

if TYPE_CHECKING:
    from tagger.inference.torch_network import TorchNetwork

NEVER_WORN = ("footwear", "accessory")
"""Groups of labels that what a person wears above the hips cannot have."""


class Predictor:
    """A bundle's network, ready on a device: by ONNX Runtime on the CPU, by torch on a GPU and for torchvision's families."""

    def __init__(self, bundle: Bundle, device: Device = "auto") -> None:
        self._card = bundle.card
        self._adapter = bundle.adapter
        self._network = _ready_network(bundle, inference_device(device))
        self._never_worn = np.array([group in NEVER_WORN for group in self._card.network_groups.values()])

    def __call__(self, images: Sequence[ProductImage]) -> NDArray[np.float32]:
        """Return calibrated probabilities of the labels, float32 (n, labels), for n product images.

        One minus the sum of a row is the probability of none of the labels; it is 0 unless the bundle has a head for photos or
        an adapter. A product that a person wears above the hips gets 0 for labels of `NEVER_WORN`, unless an adapter predicts
        otherwise.
        """
        probabilities = np.empty((len(images), len(self._card.labels)), np.float32)
        for indices, features in self._batches(images):
            predicted = features.probabilities
            if self._adapter is not None:
                predicted = self._adapter.predict(predicted, features.maps, self._card.adapter_temperature)
            probabilities[indices] = predicted[:, :-1]
        return probabilities

    def extract(self, images: Sequence[ProductImage]) -> "Features":
        """Return the features of n product images by the network alone, without an adapter."""
        probabilities = np.zeros((len(images), len(self._card.network_groups) + 1), np.float32)
        maps = np.zeros((len(images), self._network.maps_size), np.float32)
        for indices, features in self._batches(images):
            probabilities[indices], maps[indices] = features.probabilities, features.maps
        return Features(probabilities, maps)

    def images_per_second(self, batches: Sequence[int], seconds: float = 0.5) -> dict[int, float]:
        """Return the network's throughput in images per second for each batch size, the median over forward passes.

        Each batch size is measured for about `seconds`, and at least five times.
        """
        speeds = {}
        for size in batches:
            passes: list[float] = []
            while len(passes) < 6 or sum(passes) < seconds:
                begun = time.perf_counter()
                self._network.forward(size)
                passes.append(time.perf_counter() - begun)
            speeds[size] = size / statistics.median(passes[1:])  # the first one is slower
        return speeds

    def _batches(self, images: Sequence[ProductImage]) -> Iterator[tuple[list[int], "Features"]]:
        """Yield indices of at most `BATCH_SIZE` images of one kind, with their features."""
        for native in (True, False):
            same_kind = [index for index, image in enumerate(images) if image.native == native]
            for start in range(0, len(same_kind), BATCH_SIZE):
                indices = same_kind[start : start + BATCH_SIZE]
                yield indices, self._features([images[index] for index in indices], native)

    def _features(self, images: Sequence[ProductImage], native: bool) -> "Features":
        """Return the features of images of one kind; those that are worn get 0 for labels in `NEVER_WORN`."""
        probabilities, maps = self._network.features(images, native)
        labels = probabilities[:, : len(self._never_worn)].copy()
        labels[np.array([image.worn for image in images])[:, None] & self._never_worn] = 0
        none = np.maximum(1 - labels.sum(1, keepdims=True), 0)
        return Features(np.concatenate([labels, none], 1), maps)


def _ready_network(bundle: Bundle, device: ComputeDevice) -> Union[OnnxNetwork, "TorchNetwork"]:
    """Return the network on the device; torch is imported only where ONNX Runtime does not run it."""
    if device == "cpu" and bundle.card.network.family in GRAPH_FAMILIES:
        try:
            return OnnxNetwork(bundle.card, bundle.weights)
        except ValueError as error:
            raise BundleError(f"The network of {bundle.model} cannot be run: {error}.") from error
    from tagger.inference.torch_network import TorchNetwork

    return TorchNetwork(bundle, device)


@dataclass(frozen=True)
class Features:
    """The output of a network for n images: probabilities and pooled feature maps."""

    probabilities: Float32s
    """Calibrated probabilities, float32 (n, labels + 1); the last column is none of the labels."""
    maps: Float32s
    """Feature maps, float32 (n, d), pooled as `models.network_graph` pools them and averaged over the views."""
    embeddings: NDArray[np.uint8] | None = None
    """The packed evidence of a bundle with a backbone, uint8 (n, E)."""

    @cached_property
    def neighbours(self) -> Neighbours:
        """The `NEIGHBOURS` nearest neighbours of each image; computed once."""
        return nearest(embed_maps(self.maps), NEIGHBOURS)
