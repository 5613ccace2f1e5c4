"""Run a bundle's networks on product images: by ONNX Runtime on the CPU, by torch on a GPU."""

import statistics
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Union, cast

import numpy as np

from tagger.arrays import Float32s, Pixels
from tagger.errors import BundleError
from tagger.inference.device import ComputeDevice
from tagger.inference.onnx_backbone import OnnxBackbone
from tagger.inference.onnx_network import OnnxNetwork
from tagger.inference.regions import impossible_labels
from tagger.inference.settings import BATCH_SIZE
from tagger.inference.threads import in_threads
from tagger.inference.views import SIDE, needs_all_views
from tagger.models.backbone import Backbone
from tagger.models.bundle import Bundle
from tagger.models.imagenet import IMAGENET_CLASSES
from tagger.models.network_graph import GRAPH_FAMILIES
from tagger.photos.colour import COLOUR_SIDE
from tagger.processors import available_processors
from tagger.records import NetworkOutputs, ProductImage

if TYPE_CHECKING:
    from tagger.inference.torch_backbone import TorchBackbone
    from tagger.inference.torch_network import TorchNetwork


class NetworkRunner:
    """A bundle's networks, ready on a device.

    Raises:
        BundleError: a network cannot be run.
    """

    def __init__(self, bundle: Bundle, device: ComputeDevice) -> None:
        self._card = bundle.card
        self._network = _ready_network(bundle, device)
        self._backbone = _ready_backbone(bundle, device)
        self._threads = available_processors()
        self.alone = isinstance(self._network, OnnxNetwork)
        """Whether each image is computed alone, by ONNX Runtime."""
        if device != "cpu":
            self.warm_up()  # here, as the networks are made ready in a thread while the first photos are read

    def warm_up(self) -> None:
        """Run the networks on a black photo: a GPU loads its kernels then, which takes a moment."""
        black = np.zeros((COLOUR_SIDE, COLOUR_SIDE, 3), np.uint8)
        self._run([ProductImage(np.zeros((SIDE, SIDE), np.uint8), found=True, colour=black)])

    def run(self, images: Sequence[ProductImage], threads: int | None = None) -> NetworkOutputs:
        """Return the networks' outputs for n images, each a single part of a photo.

        Images that are computed alone are divided among threads: by default one per processor, with 1 the calling one.
        """
        if self.alone and len(images) > 1:
            return joined_outputs(in_threads(lambda image: self._run([image]), images, threads or self._threads))
        return self._run(images)

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

    def _run(self, images: Sequence[ProductImage]) -> NetworkOutputs:
        """Run the networks on n images, each a single part of a photo."""
        coloured = [index for index, image in enumerate(images) if image.colour is not None]
        # On a GPU the backbone computes while the processor goes on to the small network.
        finish = self._backbone.begin([cast(Pixels, images[index].colour) for index in coloured]) if self._backbone else None
        small = np.zeros((len(images), len(self._card.network_groups) + 1), np.float32)
        maps = np.zeros((len(images), self._network.maps_size), np.float32)
        for indices in self._batches(images):
            batch = [images[index] for index in indices]
            small[indices], maps[indices] = self._small_features(batch)
        if self._backbone is None or finish is None:
            return NetworkOutputs(small, maps)
        features = np.zeros((len(images), self._backbone.size), np.float32)
        logits = np.zeros((len(images), IMAGENET_CLASSES), np.float32)
        features[coloured], logits[coloured] = finish()
        return NetworkOutputs(small, maps, features, logits)

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


def joined_outputs(outputs: Sequence[NetworkOutputs]) -> NetworkOutputs:
    """Return the rows of all outputs, at least one, in their order."""
    features = [one.features for one in outputs if one.features is not None]
    logits = [one.logits for one in outputs if one.logits is not None]
    return NetworkOutputs(
        np.concatenate([one.small for one in outputs]),
        np.concatenate([one.maps for one in outputs]),
        np.concatenate(features) if features else None,
        np.concatenate(logits) if logits else None,
    )


def _ready_backbone(bundle: Bundle, device: ComputeDevice) -> Union[OnnxBackbone, "TorchBackbone", None]:
    """Return the backbone on the device, or on the CPU where it is an ONNX file; None for a bundle without one."""
    if bundle.backbone is None or bundle.fusion is None:
        return None
    try:
        backbone = _open_backbone(bundle.backbone, device)
        if len(bundle.fusion.centre) != backbone.size:
            raise ValueError(f"it returns {backbone.size} features, and the fusion takes {len(bundle.fusion.centre)}")
        return backbone
    except ValueError as error:
        raise BundleError(f"The backbone of {bundle.model} cannot be run: {error}.") from error


def _open_backbone(backbone: Backbone, device: ComputeDevice) -> Union[OnnxBackbone, "TorchBackbone"]:
    if device == "cpu" or backbone.suffix == "onnx":
        return OnnxBackbone(backbone, on_gpu=device == "cuda")
    from tagger.inference.torch_backbone import TorchBackbone

    return TorchBackbone(backbone, device)


def _ready_network(bundle: Bundle, device: ComputeDevice) -> Union[OnnxNetwork, "TorchNetwork"]:
    """Return the network on the device; torch is imported only where ONNX Runtime does not run it."""
    if device == "cpu" and bundle.card.network.family in GRAPH_FAMILIES:
        try:
            return OnnxNetwork(bundle.card, bundle.weights, all_views=needs_all_views(bundle))
        except ValueError as error:
            raise BundleError(f"The network of {bundle.model} cannot be run: {error}.") from error
    from tagger.inference.torch_network import TorchNetwork

    return TorchNetwork(bundle, device)
