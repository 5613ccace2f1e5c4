"""Garments to probabilities, in batches, for every command that tags photos. `Tagger` is the library."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from tagger.inference import decision
from tagger.inference.predictor import Predictor
from tagger.models import bundle
from tagger.photos.loader import LoadedPhoto, ScoredPhoto, attach_results, load_photos, product_images
from tagger.records import Item, Tag
from tagger.settings import DEFAULT_MODEL, Device


class Tagger:
    """A bundle ready to tag photos: `Tagger().tag(["a.jpg", "b.png"])`.

    Args:
        model: a bundle's name, or its folder: a `Path`, or a text with a separator, as `./mine`.
        device: "auto", "cpu", "cuda" or "mps".
        min_confidence: tags below this probability are flagged; None takes the bundle's own threshold.
        precision: share of the unflagged tags that should be right, one of the card's table; it picks the threshold where
            there is no `min_confidence`.
        batch_size: photos a step; changes speed and memory, never a tag.
        workers: threads that read photos; None takes one a processor.
        allow_truncated: tag files that end early, always flagged, instead of failing them.
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
    ) -> None:
        self.bundle = bundle.load(model)
        self.min_confidence = self.bundle.card.threshold(precision) if min_confidence is None else min_confidence
        self._predict = Predictor(self.bundle, device)
        self._batch_size = batch_size
        self._workers = workers
        self._allow_truncated = allow_truncated

    def tag(self, paths: Iterable[str | Path]) -> Iterator[Tag]:
        """Yield one tag a path, in their order; a photo that cannot be read gives a tag that says why."""
        items = (Item(str(path), Path(path)) for path in paths)
        return (self.decide(scored) for scored in self.score(items))

    def score(self, items: Iterable[Item]) -> Iterator[ScoredPhoto]:
        """Yield what became of each item, in their order."""
        return self.score_prepared(load_photos(items, self._workers, self._allow_truncated))

    def score_prepared(self, prepared: Iterable[LoadedPhoto]) -> Iterator[ScoredPhoto]:
        """Yield what became of each photo whose garment, or failure, is at hand already, in their order."""
        waiting = iter(prepared)
        while batch := list(islice(waiting, self._batch_size)):
            yield from self.score_batch(batch)

    def score_batch(self, batch: Sequence[LoadedPhoto]) -> Iterator[ScoredPhoto]:
        """Yield what became of each photo of one batch."""
        return attach_results(batch, self._predict(product_images(batch)))

    def decide(self, scored: ScoredPhoto) -> Tag:
        """Return what is said of a scored photo."""
        if scored.result is None:
            raise ValueError(f"{scored.item.path} was not scored, as its bytes were said to be known")
        card = self.bundle.card
        return decision.decide_tag(scored.result, card.labels, card.groups, self.min_confidence)
