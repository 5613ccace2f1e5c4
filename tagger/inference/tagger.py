"""Photos to tags, in batches, for every command that tags photos. `Tagger` is also the library."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import count, groupby, islice
from pathlib import Path
from typing import TypeAlias, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tagger.inference import decision
from tagger.inference.predictor import Predictor
from tagger.models import bundle
from tagger.photos.in_memory import ACCEPTED_ARRAYS, array_to_image, load_image
from tagger.photos.loader import LoadedPhoto, ScoredPhoto, attach_results, load_photos, product_images, with_product
from tagger.photos.settings import DecodeSettings
from tagger.records import Item, NetworkOutputs, ProductImage, Tag
from tagger.settings import DEFAULT_MODEL, Device

PhotoInput: TypeAlias = str | os.PathLike[str] | Image.Image | NDArray[np.uint8]
"""What `Tagger.tag` takes as a photo; arrays are uint8 (height, width, 3) RGB or (height, width) grey."""


class Tagger:
    """A bundle ready to tag photos: `Tagger().tag(["a.jpg", "b.png"])`.

    Args:
        model: a bundle's name, or its folder: a `Path`, or a string with a separator, such as `./mine`.
        device: "auto", "cpu", "cuda" or "mps".
        min_confidence: tags below this probability, 0..1, are flagged; None takes the bundle's own threshold.
        precision: takes the threshold for this share of correct unflagged tags from the bundle's card; used where there is
            no `min_confidence`.
        batch_size: number of photos per batch; changes speed and memory, never a tag.
        workers: photos that are processed at once; None takes one per processor that this process may use.
        allow_truncated: tag truncated and damaged files, always flagged, instead of failing them.
        max_pixels: fail photos with more pixels; None allows as many as 1.25 GB of memory hold.
        lazy: open the networks at the first photo that needs them in place of now.

    Raises:
        BundleError: the bundle is missing, damaged or from a newer fmtag, or its card has no such precision.
        DeviceError: the device is not available.
    """

    def __init__(
        self,
        model: str | Path = DEFAULT_MODEL,
        *,
        device: Device = "auto",
        min_confidence: float | None = None,
        precision: float | None = None,
        batch_size: int = 256,
        workers: int | None = None,
        allow_truncated: bool = False,
        max_pixels: int | None = None,
        lazy: bool = False,
    ) -> None:
        self.bundle = bundle.load(model)
        self.min_confidence = self.bundle.card.threshold(precision) if min_confidence is None else min_confidence
        self._predict = Predictor(self.bundle, device)
        self._batch_size = batch_size
        self._workers = workers
        self._decoding = DecodeSettings(allow_truncated, max_pixels)
        if not lazy:
            self.open()

    def open(self) -> None:
        """Open the networks, unless they are open. Raises `BundleError` where one of them cannot be run."""
        self._predict.open()

    def tag(self, photos: Iterable[PhotoInput]) -> Iterator[Tag]:
        """Yield one tag per photo, in their order.

        Args:
            photos: paths, PIL images and arrays, in any mixture. Arrays are uint8 of shape (height, width, 3), RGB, or
                (height, width), grey. Files are read ahead in threads. A PIL image gets the tag of its file.

        Yields:
            Tags; one with an empty label and a reason for a photo that cannot be read.

        Raises:
            TypeError, ValueError: something else is among the photos, or a single photo was given in place of several.
        """
        if isinstance(photos, str | os.PathLike | Image.Image) or (isinstance(photos, np.ndarray) and photos.ndim < 4):
            raise TypeError("Tagger.tag takes several photos; put a single one into a list: tag([photo])")
        return (replace(self.decide(scored), path=scored.item.path) for scored in self.score_prepared(self._load(photos)))

    def score(self, items: Iterable[Item]) -> Iterator[ScoredPhoto]:
        """Yield each item with its probabilities or the reason why it has none, in their order."""
        return self.score_prepared(self._load_items(items))

    def score_prepared(self, prepared: Iterable[LoadedPhoto]) -> Iterator[ScoredPhoto]:
        """Yield each photo, already loaded, with its probabilities or the reason why it has none, in their order."""
        waiting = iter(prepared)
        while batch := list(islice(waiting, self._batch_size)):
            yield from self.score_batch(batch)

    def score_batch(self, batch: Sequence[LoadedPhoto]) -> Iterator[ScoredPhoto]:
        """Yield each photo of one batch with its probabilities or the reason why it has none."""
        outputs = [photo.outputs for photo in with_product(batch)]
        probabilities, embeddings = self._predict.score(product_images(batch), outputs)
        return attach_results(batch, probabilities, embeddings)

    def compute(self, image: ProductImage) -> NetworkOutputs | None:
        """Run the networks on one product image in the calling thread, for `load_photos`; None where they run in batches."""
        return self._predict.compute(image)

    @property
    def embedding_size(self) -> int:
        """Length of an embedding in bytes; 0 for a bundle without a backbone."""
        return self._predict.embedding_size

    def probabilities_of(self, embeddings: Sequence[bytes]) -> NDArray[np.float32]:
        """Return calibrated probabilities of the labels, float32 (n, labels), for n embeddings of `embedding_size` bytes each.

        A row is the same to the bit as the one that `score_batch` gave with the embedding, whatever the other rows are. Raises
        `BundleError` for a bundle without a backbone.
        """
        packed = np.frombuffer(b"".join(embeddings), np.uint8).reshape(
            len(embeddings), -1 if embeddings else self.embedding_size
        )
        return self._predict.probabilities_of(packed)

    def decide(self, scored: ScoredPhoto) -> Tag:
        """Return the tag of a scored photo."""
        if scored.result is None:
            raise ValueError(f"{scored.item.path} was not scored, because its bytes were already known")
        card = self.bundle.card
        return decision.decide_tag(scored.result, card.labels, card.groups, self.min_confidence)

    def _load(self, photos: Iterable[PhotoInput]) -> Iterator[LoadedPhoto]:
        """Yield each photo with its product image or the reason why it has none; runs of paths are read in threads."""
        for in_memory, some in groupby(map(_checked, count(1), photos), lambda photo: isinstance(photo, Image.Image)):
            if in_memory:
                for image in cast(Iterator[Image.Image], some):
                    yield LoadedPhoto(Item("", None), load_image(image, self._decoding))
            else:
                items = (Item(path, Path(path)) for path in cast(Iterator[str], some))
                yield from self._load_items(items)

    def _load_items(self, items: Iterable[Item]) -> Iterator[LoadedPhoto]:
        colour = self.bundle.backbone is not None
        return load_photos(items, self._workers, self._decoding, compute=self.compute, colour=colour)


def _checked(number: int, photo: PhotoInput) -> str | Image.Image:
    """Return a photo as a path or a PIL image; raises a `TypeError` or `ValueError` that names it by its number."""
    if isinstance(photo, Image.Image):
        return photo
    if isinstance(photo, np.ndarray):
        try:
            return array_to_image(photo)
        except ValueError as error:
            raise ValueError(f"Photo {number} cannot be tagged: {error}.") from None
    path = os.fspath(photo) if isinstance(photo, str | os.PathLike) else None
    if isinstance(path, str):
        return path
    raise TypeError(f"Photo {number} is a {type(photo).__name__}; Tagger.tag takes paths, PIL images and {ACCEPTED_ARRAYS}.")
