"""Compute calibrated probabilities of product images on a device.

A product image is either the cut of a photo or `native`: an image in Fashion-MNIST's own format, 28x28, grey, on 0, which is
not extracted from a photo. A network with a second head for photos scores the two kinds by different heads.
"""

import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Union, cast

import numpy as np
from numpy.typing import NDArray

from tagger.arrays import Classes, Float32s, Pixels
from tagger.errors import BundleError
from tagger.inference.device import ComputeDevice, inference_device
from tagger.inference.fused import choice_probabilities, fused_probabilities, kinds_of
from tagger.inference.onnx_backbone import OnnxBackbone
from tagger.inference.onnx_network import OnnxNetwork
from tagger.inference.regions import choose_region, impossible_labels
from tagger.inference.settings import BATCH_SIZE
from tagger.inference.threads import in_threads, one_blas_thread
from tagger.models.adapter import NEIGHBOURS, PREDICTED, embed_maps
from tagger.models.bundle import Bundle
from tagger.models.fusion import Embeddings
from tagger.models.imagenet import IMAGENET_CLASSES
from tagger.models.neighbours import Neighbours, nearest
from tagger.models.network_graph import GRAPH_FAMILIES
from tagger.photos.loader import available_processors
from tagger.records import ProductImage
from tagger.settings import Device

if TYPE_CHECKING:
    from tagger.inference.torch_network import TorchNetwork


class Predictor:
    """A bundle's networks, ready on a device: by ONNX Runtime on the CPU, the small one by torch on a GPU."""

    def __init__(self, bundle: Bundle, device: Device = "auto") -> None:
        self._card = bundle.card
        self._adapter = bundle.adapter
        self._network = _ready_network(bundle, inference_device(device))
        self._fusion = bundle.fusion
        self._backbone = _ready_backbone(bundle)

    def __call__(self, images: Sequence[ProductImage]) -> NDArray[np.float32]:
        """Return calibrated probabilities of the labels, float32 (n, labels), for n product images, as `score` does."""
        return self.score(images)[0]

    def score(self, images: Sequence[ProductImage]) -> tuple[NDArray[np.float32], Embeddings | None]:
        """Return calibrated probabilities of the labels, float32 (n, labels), and embeddings, for n product images.

        One minus the sum of a row is the probability of none of the labels; it is 0 unless the bundle has a head for photos or
        an adapter. A part of a person gets 0 for labels that it cannot show, unless an adapter predicts otherwise. The
        embeddings are None for a bundle without a backbone.
        """
        features = self.extract(images)
        return self._adapted(features.probabilities, features.maps), features.embeddings

    def probabilities_of(self, embeddings: Embeddings) -> NDArray[np.float32]:
        """Return the probabilities that `score` returned with embeddings, uint8 (n, size)."""
        if self._fusion is None:
            raise BundleError(f"The bundle {self._card.name} has no backbone, and so no embeddings.")
        probabilities = fused_probabilities(self._fusion, embeddings, self._card.network_groups)
        return self._adapted(probabilities, self._fusion.features(embeddings))

    @property
    def embedding_size(self) -> int:
        """Length of an embedding in bytes; 0 for a bundle without a backbone."""
        return self._fusion.size if self._fusion else 0

    def extract(self, images: Sequence[ProductImage]) -> "Features":
        """Return the features of n product images by the networks alone, without an adapter.

        Of a photo with several parts that may be the product they are those of the most probable one.
        """
        candidates = [candidate for image in images for candidate in _candidates(image)]
        features = self._features_of(candidates)
        if len(candidates) == len(images):
            return features
        if self._fusion is None or features.embeddings is None:
            return features.take(self._chosen(images, features.probabilities))
        return features.take(self._chosen(images, choice_probabilities(self._fusion, features.embeddings)))

    def images_per_second(self, batches: Sequence[int], seconds: float = 0.5) -> dict[int, float]:
        """Return the small network's throughput in images per second for each batch size, the median over forward passes.

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

    def _adapted(self, probabilities: Float32s, maps: Float32s) -> NDArray[np.float32]:
        """Return the probabilities of the labels, float32 (n, labels), by the adapter where there is one."""
        adapter, temperature = self._adapter, self._card.adapter_temperature
        if adapter is None:
            return np.ascontiguousarray(probabilities[:, :-1])

        def predict(block: slice) -> Float32s:
            return adapter.predict(probabilities[block], maps[block], temperature)[:, :-1]

        blocks = [slice(start, start + PREDICTED) for start in range(0, len(probabilities), PREDICTED)]
        with one_blas_thread():
            parts = in_threads(predict, blocks, available_processors())
        return np.concatenate([np.zeros((0, len(self._card.labels)), np.float32), *parts])

    def _features_of(self, images: Sequence[ProductImage]) -> "Features":
        """Return the features of n images, each a single part of a photo."""
        small = np.zeros((len(images), len(self._card.network_groups) + 1), np.float32)
        maps = np.zeros((len(images), self._network.maps_size), np.float32)
        for indices in self._batches(images):
            batch = [images[index] for index in indices]
            small[indices], maps[indices] = self._small_features(batch)
        if self._fusion is None or self._backbone is None:
            return Features(small, maps)
        features = np.zeros((len(images), self._backbone.size), np.float32)
        logits = np.zeros((len(images), IMAGENET_CLASSES), np.float32)
        coloured = [index for index, image in enumerate(images) if image.colour is not None]
        features[coloured], logits[coloured] = self._backbone([cast(Pixels, images[index].colour) for index in coloured])
        embeddings = self._fusion.embed(small, features, logits, kinds_of(images))
        probabilities = fused_probabilities(self._fusion, embeddings, self._card.network_groups)
        return Features(probabilities, self._fusion.features(embeddings), embeddings)

    def _batches(self, images: Sequence[ProductImage]) -> Iterator[list[int]]:
        """Yield the indices of at most `BATCH_SIZE` images of one kind."""
        for native in (True, False):
            same_kind = [index for index, image in enumerate(images) if image.native == native]
            for start in range(0, len(same_kind), BATCH_SIZE):
                yield same_kind[start : start + BATCH_SIZE]

    def _small_features(self, images: Sequence[ProductImage]) -> tuple[Float32s, Float32s]:
        """Return the small network's probabilities and maps of images of one kind, 0 for labels that a part cannot show."""
        probabilities, maps = self._network.features(images, images[0].native)
        labels = probabilities[:, : len(self._card.network_groups)].copy()
        groups = list(self._card.network_groups.values())
        for row, image in zip(labels, images, strict=True):
            if image.region is not None:
                row[impossible_labels(image.region, groups)] = 0
        none = np.maximum(1 - labels.sum(1, keepdims=True), 0)
        return np.concatenate([labels, none], 1), maps

    def _chosen(self, images: Sequence[ProductImage], probabilities: Float32s) -> Classes:
        """Return the row of each image's most probable part, (n,), among the rows of all parts of all images."""
        chosen, first = [], 0
        for image in images:
            parts, place = max(1, len(image.regions)), 0
            if image.regions:
                names, priors = [one.name for one in image.regions], [one.prior for one in image.regions]
                rows = probabilities[first : first + parts]
                place = choose_region(names, priors, rows, self._card.network_groups)
            chosen.append(first + place)
            first += parts
        return np.array(chosen, np.int64)


def _candidates(image: ProductImage) -> Iterator[ProductImage]:
    """Yield the image of each part of a photo that may be the product; the image itself where there is no choice."""
    if not image.regions:
        yield image
    for one in image.regions:
        yield replace(image, pixels=one.pixels, colour=one.colour, region=one.name, regions=())


def _ready_backbone(bundle: Bundle) -> OnnxBackbone | None:
    """Return the backbone on the CPU; None for a bundle without one."""
    if bundle.backbone is None or bundle.fusion is None:
        return None
    try:
        backbone = OnnxBackbone(bundle.backbone)
        if len(bundle.fusion.centre) != backbone.size:
            raise ValueError(f"it returns {backbone.size} features, and the fusion takes {len(bundle.fusion.centre)}")
        return backbone
    except ValueError as error:
        raise BundleError(f"The backbone of {bundle.model} cannot be run: {error}.") from error


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
    """The output of a bundle's networks for n images: probabilities and features."""

    probabilities: Float32s
    """Calibrated probabilities, float32 (n, labels + 1); the last column is none of the labels."""
    maps: Float32s
    """Features, float32 (n, d): the backbone's, or else the network's maps, pooled as `models.network_graph` pools them."""
    embeddings: NDArray[np.uint8] | None = None
    """The packed evidence of a bundle with a backbone, uint8 (n, size)."""

    def take(self, rows: Classes) -> "Features":
        """Return the features of the images with these indices (m,)."""
        embeddings = None if self.embeddings is None else self.embeddings[rows]
        return Features(self.probabilities[rows], self.maps[rows], embeddings)

    @cached_property
    def neighbours(self) -> Neighbours:
        """The `NEIGHBOURS` nearest neighbours of each image; computed once."""
        return nearest(embed_maps(self.maps), NEIGHBOURS)


def concatenate(parts: Sequence[Features]) -> Features:
    """Return the features of the images of all parts, in their order."""
    embeddings = [part.embeddings for part in parts if part.embeddings is not None]
    return Features(
        np.concatenate([part.probabilities for part in parts]),
        np.concatenate([part.maps for part in parts]),
        np.concatenate(embeddings) if embeddings else None,
    )
