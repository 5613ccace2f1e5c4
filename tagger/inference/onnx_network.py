"""Run a bundle's network on the CPU by ONNX Runtime: one image at a time, in as many threads as there are processors."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagger.arrays import Float32s, Pixels, softmax
from tagger.inference.threads import in_threads
from tagger.inference.views import CLEAR, FIRST_VIEWS, SIDE, both_sides, network_input, photo_views
from tagger.models.card import Card
from tagger.models.network_graph import network_graph, pooled_size
from tagger.onnx_session import open_session
from tagger.processors import available_processors
from tagger.records import ProductImage


class OnnxNetwork:
    """A network of our own families, ready on the CPU.

    Each image is computed alone with its views, in a single thread: another batch shape or another division among threads may
    sum in another order, and change the last bit of a probability.

    Args:
        card: the bundle's card.
        weights: its network's weights by their names.
        threads: images computed at once; None for one per processor that this process may use.
        all_views: whether a photo's cut is seen in all views, also where the first ones make a label clear.
    """

    def __init__(
        self, card: Card, weights: Mapping[str, NDArray[Any]], threads: int | None = None, all_views: bool = False
    ) -> None:
        self._session = open_session(network_graph(card.network, weights))
        self._card = card
        self._all_views = all_views
        self._threads = threads or available_processors()
        self.maps_size = pooled_size(card.network)
        """d, the number of columns of the pooled feature maps."""

    def features(self, images: Sequence[ProductImage], native: bool) -> tuple[Float32s, Float32s]:
        """Return calibrated probabilities, float32 (n, classes), and pooled feature maps (n, d), means over the views.

        Args:
            images: n images of one kind, at least one.
            native: whether they are in Fashion-MNIST's own format, and so for the first head; others are for the photos'.
        """
        one = self._native if native or not self._card.network.photo_classes else self._photo
        probabilities, maps = zip(*in_threads(one, [image.pixels for image in images], self._threads), strict=True)
        return np.stack(probabilities), np.stack(maps)

    def forward(self, count: int) -> None:
        """Compute the first head's logits of `count` black images, divided among the threads, to measure the speed."""
        parts = np.array_split(np.zeros((count, 1, SIDE, SIDE), np.float32), min(count, self._threads))
        in_threads(lambda part: self._session.run(["logits"], {"pixels": part}), parts, self._threads)

    def _native(self, pixels: Pixels) -> tuple[Float32s, Float32s]:
        views = both_sides(pixels) if self._card.network.photo_classes else pixels[None]
        return _means(*self._run("logits", network_input(views), self._card.temperature))

    def _photo(self, pixels: Pixels) -> tuple[Float32s, Float32s]:
        """Return the means over the first views, or over all where these do not make a label clear."""
        views, temperature = network_input(photo_views(pixels)), self._card.photo_temperature
        if self._all_views:
            return _means(*self._run("photo_logits", views, temperature))
        first = self._run("photo_logits", views[:FIRST_VIEWS], temperature)
        means = _means(*first)
        if means[0][: self._card.network.classes].max() >= CLEAR:
            return means
        further = self._run("photo_logits", views[FIRST_VIEWS:], temperature)
        return _means(*(np.concatenate(outputs) for outputs in zip(first, further, strict=True)))

    def _run(self, head: str, views: Float32s, temperature: float) -> tuple[Float32s, Float32s]:
        """Return the head's probabilities and the maps of each view, float32 (v, 1, 28, 28)."""
        logits, maps = self._session.run([head, "maps"], {"pixels": views})
        return softmax(logits / np.float32(temperature)), maps


def _means(probabilities: Float32s, maps: Float32s) -> tuple[Float32s, Float32s]:
    return probabilities.mean(0), maps.mean(0)
