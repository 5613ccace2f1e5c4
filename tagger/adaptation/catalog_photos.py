"""The photos of a catalog as features, and whether the catalog suits adaptation."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, islice

import numpy as np
from numpy.typing import NDArray

from tagger.adaptation.settings import AdaptSettings
from tagger.catalog import source
from tagger.catalog.items import with_image
from tagger.catalog.label_table import LabelTable, count_and_examples, photo_key
from tagger.errors import DatasetError
from tagger.inference.predictor import Features, Predictor, concatenate
from tagger.photos.loader import load_photos
from tagger.records import Failed, Item, ProductImage

LEAST_PHOTOS = 50
"""Minimum size of a catalog without labels."""

MOST_PHOTOS = 4_000
"""Maximum number of photos without a label that are read; of a larger catalog these are evenly spaced. Labelled ones are all
read."""

PHOTOS_AT_ONCE = 256
"""Photos whose product images are in memory at a time."""

FOREIGN, MOSTLY_FOREIGN = 0.25, 0.75
"""Fractions of photos that show none of the bundle's labels: above the first neighbours get less weight, above the second a
catalog without labels is refused."""

FEW_LABELS = 4.0
"""Effective number of labels (exponential of the entropy of their mean probabilities) below which a catalog is one-sided."""


@dataclass(frozen=True)
class CatalogPhotos:
    """The n photos of a catalog in which a product was found, and their features."""

    items: Sequence[Item]
    features: Features
    products: Sequence[ProductImage] = ()
    """Product images, kept only for fine-tuning the backbone."""

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """The product images, uint8 (n, 1, 28, 28)."""
        return np.stack([product.pixels for product in self.products])[:, None]


def read_catalog(
    settings: AdaptSettings, table: LabelTable | None, predictor: Predictor, progress: Callable[[int, int], None]
) -> tuple[CatalogPhotos, list[tuple[Item, Failed]]]:
    """Return the photos of a catalog, labelled ones first, and those that cannot be read.

    Raises `DatasetError` where no photo shows a product.
    """
    labelled = [row.item for row in table.photos.values()] if table else []
    known = set(table.photos) if table else set()
    total = source.count_items(settings.catalog, settings.reading)
    step = max(1.0, total / MOST_PHOTOS)
    sampled = {int(number * step) for number in range(min(total, MOST_PHOTOS))}
    opened = source.open_source(settings.catalog, settings.reading)
    others = (
        item
        for number, item in enumerate(with_image(opened.items))
        if number in sampled and not (item.place is not None and photo_key(item) in known)
    )
    expected = len(labelled) + max(0, len(sampled) - len(labelled))
    items: list[Item] = []
    kept: list[ProductImage] = []
    unreadable: list[tuple[Item, Failed]] = []
    features: list[Features] = []
    loaded = enumerate(load_photos(chain(labelled, others), settings.workers, settings.decoding), 1)
    while batch := list(islice(loaded, PHOTOS_AT_ONCE)):
        products: list[ProductImage] = []
        for number, prepared in batch:
            item, outcome = prepared.item, prepared.outcome
            if isinstance(outcome, Failed):
                unreadable.append((item, outcome))
            elif outcome is not None and outcome.found:
                items.append(item)
                products.append(outcome)
            progress(number, max(expected, number))
        features.append(predictor.extract(products))
        kept += products if settings.deep else []
    if not items:
        raise DatasetError(f"{settings.catalog} holds no readable photo that shows a product; give the shop's product photos.")
    return CatalogPhotos(items, concatenate(features), kept), unreadable


def unreadable_notes(unreadable: Sequence[tuple[Item, Failed]], table: LabelTable | None) -> list[str]:
    """Return sentences on the photos that cannot be read, and on the labelled ones among them."""
    labelled = [item.path for item, _ in unreadable if table and item.place is not None and photo_key(item) in table.photos]
    notes = [f"Photos that cannot be read, left out: {len(unreadable)}."] if unreadable else []
    return [*notes, count_and_examples("Labelled ones among them", labelled)] if labelled else notes


def check_catalog(catalog: CatalogPhotos, settings: AdaptSettings, labelled: bool) -> list[str]:
    """Return the reasons for which neighbours are to have less weight, as sentences.

    Raises `DatasetError` for a catalog without labels that is too small, or mostly shows none of the bundle's labels, unless
    the settings force it.
    """
    probabilities = catalog.features.probabilities
    foreign = float(probabilities[:, -1].mean())
    mean = probabilities[:, :-1].mean(0)
    shares = mean[mean > 0] / max(float(mean.sum()), 1e-9)
    effective = float(np.exp(-(shares * np.log(shares)).sum()))
    if not labelled and not settings.force:
        _refuse_unsuitable(settings.catalog, len(catalog.items), foreign)
    reasons = []
    if foreign > FOREIGN:
        reasons.append(f"{foreign:.0%} of the catalog is likely none of the bundle's labels, so neighbours count less.")
    if effective < FEW_LABELS:
        reasons.append("The catalog is one-sided, nearly all of a few labels, so neighbours count less.")
    return reasons


def _refuse_unsuitable(name: str, count: int, foreign: float) -> None:
    if count < LEAST_PHOTOS:
        raise DatasetError(
            f"{name} holds too few photos with a product, {count}: an adaptation without labels needs {LEAST_PHOTOS}. "
            "Give more of them, or label some (--labels)."
        )
    if foreign > MOSTLY_FOREIGN:
        raise DatasetError(
            f"{foreign:.0%} of {name} is likely none of the bundle's labels; label some photos (--labels), with labels of your "
            "own or - for none."
        )
