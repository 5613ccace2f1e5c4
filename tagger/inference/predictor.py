"""Compute calibrated probabilities of product images on a device.

A product image is either the cut of a photo or `native`: an image in Fashion-MNIST's own format, 28x28, grey, on 0, which is
not extracted from a photo. A network with a second head for photos scores the two kinds by different heads.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from tagger.arrays import Classes, Float32s
from tagger.errors import BundleError
from tagger.inference.device import inference_device
from tagger.inference.fused import choice_probabilities, fused_probabilities, kinds_of
from tagger.inference.network_runner import NetworkRunner, joined_outputs
from tagger.inference.regions import choose_region
from tagger.inference.threads import in_threads, one_blas_thread
from tagger.models.adapter import NEIGHBOURS, PREDICTED, embed_maps
from tagger.models.bundle import Bundle
from tagger.models.fusion import Embeddings
from tagger.models.neighbours import Neighbours, nearest
from tagger.processors import available_processors
from tagger.records import NetworkOutputs, ProductImage
from tagger.settings import Device


class Predictor:
    """A bundle that turns product images into probabilities on a device.

    Its networks are opened by `open`, or at the first image: probabilities from embeddings, or from what the networks returned
    elsewhere, need none.
    """

    def __init__(self, bundle: Bundle, device: Device = "auto") -> None:
        self._card = bundle.card
        self._adapter = bundle.adapter
        self._fusion = bundle.fusion
        self._bundle = bundle
        self._device = inference_device(device)
        self._opened: NetworkRunner | None = None
        self._opening = Lock()

    def open(self) -> NetworkRunner:
        """Open the networks, once, and return what runs them; may be called from any thread. Raises `BundleError`."""
        with self._opening:
            if self._opened is None:
                self._opened = NetworkRunner(self._bundle, self._device)
            return self._opened

    def __call__(self, images: Sequence[ProductImage]) -> NDArray[np.float32]:
        """Return calibrated probabilities of the labels, float32 (n, labels), for n product images, as `score` does."""
        return self.score(images)[0]

    def compute(self, image: ProductImage) -> NetworkOutputs | None:
        """Run the networks on the parts of one product image, in the calling thread; may be called in several at once.

        None where a network is run in batches, as in torch.
        """
        runner = self.open()
        return runner.run(list(_candidates(image)), threads=1) if runner.alone else None

    def score(
        self, images: Sequence[ProductImage], outputs: Sequence[NetworkOutputs | None] = ()
    ) -> tuple[NDArray[np.float32], Embeddings | None]:
        """Return calibrated probabilities of the labels, float32 (n, labels), and embeddings, for n product images.

        Args:
            images: n product images.
            outputs: what `compute` returned for each of them; computed here where it is missing.

        Returns:
            One minus the sum of a row is the probability of none of the labels; it is 0 unless the bundle has a head for photos
            or an adapter. A part of a person gets 0 for labels that it cannot show, unless an adapter predicts otherwise. The
            embeddings are None for a bundle without a backbone.
        """
        features = self.extract(images, outputs)
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

    def extract(self, images: Sequence[ProductImage], outputs: Sequence[NetworkOutputs | None] = ()) -> "Features":
        """Return the features of n product images by the networks alone, without an adapter; arguments as those of `score`.

        Of a photo with several parts that may be the product they are those of the most probable one.
        """
        candidates = [candidate for image in images for candidate in _candidates(image)]
        features = self._features_of(candidates, self._joined(images, outputs))
        if len(candidates) == len(images):
            return features
        if self._fusion is None or features.embeddings is None:
            return features.take(self._chosen(images, features.probabilities))
        return features.take(self._chosen(images, choice_probabilities(self._fusion, features.embeddings)))

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

    def _joined(self, images: Sequence[ProductImage], outputs: Sequence[NetworkOutputs | None]) -> NetworkOutputs:
        """Return the networks' outputs for all parts of images, in their order; those that are given are not computed again."""
        if not any(outputs):
            return self.open().run([candidate for image in images for candidate in _candidates(image)])
        given = zip(images, outputs, strict=True)
        return joined_outputs([one or self.open().run(list(_candidates(image))) for image, one in given])

    def _features_of(self, images: Sequence[ProductImage], outputs: NetworkOutputs) -> "Features":
        """Return the features of n images, each a single part of a photo, from the networks' outputs."""
        if self._fusion is None or outputs.features is None or outputs.logits is None:
            return Features(outputs.small, outputs.maps)
        embeddings = self._fusion.embed(outputs.small, outputs.features, outputs.logits, kinds_of(images))
        probabilities = fused_probabilities(self._fusion, embeddings, self._card.network_groups)
        return Features(probabilities, self._fusion.features(embeddings), embeddings)

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
