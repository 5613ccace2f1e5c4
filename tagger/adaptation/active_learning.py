"""Active learning: the photos of a catalog that are most worth labelling, by uncertainty and diversity."""

from collections.abc import Callable, Sequence

import numpy as np

from tagger.adaptation.catalog_photos import read_catalog
from tagger.adaptation.settings import AdaptSettings
from tagger.arrays import Float32s, largest
from tagger.catalog import output
from tagger.catalog.label_table import LabelTable, photo_key
from tagger.catalog.output_paths import Input, Output, check_output_paths
from tagger.inference.predictor import Features, Predictor
from tagger.models import bundle
from tagger.models.adapter import embed_maps
from tagger.models.card import files_of
from tagger.models.neighbours import SAME_PRODUCT

PICK_COLUMNS = ("path", "label", "tag", "confidence")

MIN_UNCERTAINTY = 0.05
"""Lower bound of a photo's uncertainty, so that confident photos come last instead of never."""

LABELLED_AT_ONCE = 512
"""Labelled photos whose distances to all others are in memory at once."""


def select_photos(features: Features, count: int, labelled: Sequence[int] = ()) -> list[int]:
    """Return the indices of at most `count` of n photos, those most worth labelling first; none of `labelled` or like them.

    Each next photo maximises the product of its uncertainty and of its cosine distance to the nearest photo that is selected
    already: the greedy k-centre choice (Sener and Savarese 2018, arXiv 1708.00489), weighted by margin sampling. Photos that
    look like a selected one are left out, so there may be fewer than `count`.
    """
    embeddings = embed_maps(features.maps)
    uncertainty = _uncertainty(features.probabilities)
    distance = np.ones(len(uncertainty), np.float32)
    for start in range(0, len(labelled), LABELLED_AT_ONCE):
        centres = embeddings[list(labelled[start : start + LABELLED_AT_ONCE])]
        distance = np.minimum(distance, 1 - (embeddings @ centres.T).max(1)).clip(0)
    distance[distance <= 1 - SAME_PRODUCT] = 0
    selected: list[int] = []
    while len(selected) < min(count, len(uncertainty)):
        best = int((uncertainty * distance).argmax())
        if distance[best] <= 1 - SAME_PRODUCT:
            break
        selected.append(best)
        distance = np.minimum(distance, 1 - embeddings @ embeddings[best]).clip(0)
        distance[distance <= 1 - SAME_PRODUCT] = 0
    return selected


def _uncertainty(probabilities: Float32s) -> Float32s:
    """Return 1 minus the margin between the two greatest probabilities (n,), at least `MIN_UNCERTAINTY`."""
    margin = np.abs(np.diff(largest(probabilities, 2)[0], axis=1))[:, 0]
    uncertainty: Float32s = np.maximum(1 - margin, MIN_UNCERTAINTY)
    return uncertainty


def write_picks(
    settings: AdaptSettings, count: int, progress: Callable[[int, int], None], decided: LabelTable | None = None
) -> tuple[int, int]:
    """Write a table of the photos that are most worth labelling; return how many these are, and of how many photos.

    Photos that people have decided about, and those that look like them, are left out.

    Its column `label` is empty; paths are absolute, so that the table may be moved.
    """
    bundle_files = (Input("a file of the bundle", file) for file in files_of(settings.start))
    check_output_paths([Output("--out", settings.out)], [Input("the source itself", settings.catalog), *bundle_files])
    form = output.format_of(settings.out)
    loaded = bundle.load(settings.start)
    catalog, _ = read_catalog(settings, decided, Predictor(loaded, settings.device), progress)
    probabilities = catalog.features.probabilities[:, :-1]
    confidences, tags = probabilities.max(1), probabilities.argmax(1)
    labels = list(loaded.card.network_groups)
    known = decided.photos if decided else {}
    labelled = [number for number, item in enumerate(catalog.items) if item.place is not None and photo_key(item) in known]
    with output.open_output(settings.out, form, dict.fromkeys(PICK_COLUMNS), loaded.model) as writer:
        selected = select_photos(catalog.features, count, labelled)
        for photo in selected:
            item = catalog.items[photo]
            path = item.path if item.file is None else str(item.file.absolute())
            writer.write({"path": path, "label": "", "tag": labels[int(tags[photo])], "confidence": float(confidences[photo])})
    return len(selected), len(catalog.items)
