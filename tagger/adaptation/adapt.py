"""From a catalog, and labels for some of its photos, to a bundle that knows the shop; measured before anything is replaced."""

import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tagger.adaptation.active_learning import select_photos
from tagger.adaptation.backbone import fine_tune_backbone
from tagger.adaptation.examples import ExamplesAndNotes, LabelledExamples, build_examples
from tagger.adaptation.fit import USUAL_STRENGTH, CrossValidation, confidence_keeping_temperature, cross_validate, fit_adapter
from tagger.adaptation.settings import AdaptSettings
from tagger.catalog import output, source
from tagger.catalog.label_table import LabelledPhoto, LabelTable, checksum, count_and_examples, first_few, read_label_table
from tagger.catalog.output_paths import Input, Output, check_output_paths
from tagger.errors import DatasetError, TrainingError
from tagger.inference.predictor import Features, Predictor
from tagger.metrics.calibration import MIN_CALIBRATION_PHOTOS, fit_temperature, threshold_at_precision
from tagger.metrics.rounding import rounded
from tagger.metrics.significance import Interval, bootstrap_interval
from tagger.models import bundle
from tagger.models.adapter import ShopAdapter, apply_temperature, embed_maps
from tagger.models.card import Card, files_of
from tagger.models.network import Network
from tagger.photos.loader import load_photos
from tagger.records import Failed, Item, ProductImage

LEAST_PHOTOS = 50
"""Photos below which a catalog says nothing of a shop."""

MOST_PHOTOS = 4_000
"""Photos looked at at most besides labelled ones, which all are; of a larger catalog, evenly spaced ones."""

FOREIGN, MOSTLY_FOREIGN = 0.25, 0.75
"""Shares of a catalog that is none of the labels from which on neighbours count less, and nothing is learnt without labels."""

FEW_LABELS = 4.0
"""Effective number of labels, the exponential of their entropy, below which a catalog is one-sided."""

WELL_TAUGHT = 20
"""Labelled photos that a class should have; with fewer than half of them it is said how many more to label."""

SUSPICIOUS = 0.8
"""Probability of another label, as cross-validation says, from which on a label is likely wrong."""


@dataclass(frozen=True)
class Gain:
    """How right tags of labelled photos are before and after, each tagged by a shop that its product taught nothing."""

    label: str
    """A label, or "all"."""
    n: int
    before: Interval
    after: Interval


@dataclass(frozen=True)
class Suspect:
    """A photo whose label is likely wrong."""

    path: str
    label: str
    predicted: str
    confidence: float


@dataclass
class Adapted:
    """What came of it; `said` are sentences on all that was odd, left out or softened."""

    photos: int
    written: bundle.Bundle | None = None
    labelled: int = 0
    gains: list[Gain] = field(default_factory=list)
    suspects: list[Suspect] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    changed: float = 0.0
    """Share of the catalog's photos whose tag is another one now."""


@dataclass(frozen=True)
class Catalog:
    """The photos of a catalog in which a product was found, and how the bundle sees them."""

    items: Sequence[Item]
    features: Features
    garments: Sequence[ProductImage] = ()
    """Kept only where the network itself learns from them."""

    @property
    def pixels(self) -> Tensor:
        """The cuts, uint8 (n, 1, 28, 28)."""
        return torch.from_numpy(np.stack([garment.pixels for garment in self.garments])[:, None])


def adapt(settings: AdaptSettings, progress: Callable[[int, int], None] = lambda done, total: None) -> Adapted:
    """Learn a shop from its catalog, and from the labels of some of its photos, and write a bundle.

    `progress` is told how many photos have been looked at, and of how many. Raises an `FmtagError`, and writes nothing, where
    there is too little to learn from, or tags would be less often right than before, unless the settings insist.
    """
    check_output_paths([Output("--out", settings.out, "folder")])
    parent = bundle.load(settings.start)
    if parent.adapter is not None:
        first = parent.card.parent.partition("@")[0]
        raise TrainingError(f"{parent.model} has been taught by a shop already; begin with the one before it (--from {first}).")
    table = (
        read_label_table(settings.labels, settings.catalog, settings.image_column, settings.label_column)
        if settings.labels
        else None
    )
    predictor = Predictor(parent, settings.device)
    catalog, unreadable = _read_catalog(settings, table, predictor, progress)
    adapted = Adapted(len(catalog.items), notes=list(table.notes) if table else [])
    adapted.notes += _unreadable(unreadable, table)
    cautious = _caution(catalog, table is not None, settings, adapted.notes)
    card = _card(settings, parent)
    if table is None:
        shop, network = fit_adapter(catalog.features, cautious=cautious), parent.network()
        card = replace(card, adapter_temperature=confidence_keeping_temperature(catalog.features, shop))
    else:
        taught = _fit(settings, parent, catalog, table)
        adapted.notes += taught.notes
        shop, network, card = _with_labels(settings, parent, card, catalog, taught.lesson, cautious, adapted)
    if len(shop.memory) < len(catalog.items):
        adapted.notes.append(
            f"Of the {len(catalog.items):,} photos the bundle remembers {len(shop.memory):,}, as evenly of all labels as there "
            "are photos; every label was learnt from."
        )
    adapted.changed = _changed(parent, catalog, shop, card)
    adapted.written = bundle.save(Path(settings.out), card, network, shop)
    return adapted


# Looking -----------------------------------------------------------------------------------------------------------


def _read_catalog(
    settings: AdaptSettings, table: LabelTable | None, predictor: Predictor, progress: Callable[[int, int], None]
) -> tuple[Catalog, list[tuple[Item, Failed]]]:
    """Return the catalog's photos, labelled ones first, and those that cannot be read."""
    labelled = [row.item for row in table.photos.values()] if table else []
    known = set(table.photos) if table else set()
    total = source.count_items(settings.catalog, settings.image_column)
    step = max(1.0, total / MOST_PHOTOS)
    spaced = {int(number * step) for number in range(min(total, MOST_PHOTOS))}
    opened = source.open_source(settings.catalog, settings.image_column)
    others = (
        item
        for number, item in enumerate(opened.items)
        if number in spaced and not (item.file is not None and Path(os.path.realpath(item.file)) in known)
    )
    expected = len(labelled) + max(0, len(spaced) - len(labelled))
    items: list[Item] = []
    garments: list[ProductImage] = []
    unreadable: list[tuple[Item, Failed]] = []
    for number, prepared in enumerate(load_photos(chain(labelled, others), settings.workers), 1):
        item, outcome = prepared.item, prepared.outcome
        if isinstance(outcome, Failed):
            unreadable.append((item, outcome))
        elif outcome is not None and outcome.found:
            items.append(item)
            garments.append(outcome)
        progress(number, max(expected, number))
    if not garments:
        raise DatasetError(f"{settings.catalog} holds no photo with a product in it that can be read; give the shop's photos.")
    return Catalog(items, predictor.extract(garments), garments if settings.deep else ()), unreadable


def _unreadable(unreadable: Sequence[tuple[Item, Failed]], table: LabelTable | None) -> list[str]:
    lost = [item.path for item, _ in unreadable if table and item.file is not None and Path(item.file) in table.photos]
    notes = [f"Photos that cannot be read, left out: {len(unreadable)}."] if unreadable else []
    return [*notes, count_and_examples("Labelled ones among them", lost)] if lost else notes


def _caution(catalog: Catalog, with_labels: bool, settings: AdaptSettings, notes: list[str]) -> bool:
    """Return whether neighbours are little to be trusted, having said why; refuse a catalog that says nothing of a shop."""
    probabilities = catalog.features.probabilities
    foreign = float(probabilities[:, -1].mean())
    mean = probabilities[:, :-1].mean(0)
    mean = mean / mean.sum().clamp_min(1e-9)
    effective = float(torch.special.entr(mean).sum().exp())
    count = len(catalog.items)
    if not with_labels and not settings.force:
        if count < LEAST_PHOTOS:
            raise DatasetError(
                f"{settings.catalog} holds too few photos with a product, {count}: fewer than {LEAST_PHOTOS} say nothing "
                "of a shop. Give more of them, or label some (--labels)."
            )
        if foreign > MOSTLY_FOREIGN:
            raise DatasetError(
                f"{foreign:.0%} of {settings.catalog} is likely none of the bundle's labels, so there is little to learn from; "
                "label some photos (--labels), with labels of your own or - for none."
            )
    if foreign > FOREIGN:
        notes.append(f"{foreign:.0%} of the catalog is likely none of the bundle's labels, so neighbours count less.")
    if effective < FEW_LABELS:
        notes.append("The catalog is one-sided, nearly all of a few labels, so neighbours count less.")
    return foreign > FOREIGN or effective < FEW_LABELS


# Without labels ----------------------------------------------------------------------------------------------------


def _changed(parent: bundle.Bundle, catalog: Catalog, shop: ShopAdapter, card: Card) -> float:
    before = _tags(catalog.features.probabilities, parent.card.labels)
    after = _tags(shop.predict(catalog.features.probabilities, catalog.features.maps), card.labels)
    return float(np.mean([old != new for old, new in zip(before, after, strict=True)]))


def _tags(probabilities: Tensor, labels: Sequence[str]) -> list[str]:
    """Return the likeliest label of each row of probabilities (n, labels + 1)."""
    return [labels[number] for number in probabilities[:, :-1].argmax(1).tolist()]


# With labels -------------------------------------------------------------------------------------------------------


def _fit(settings: AdaptSettings, parent: bundle.Bundle, catalog: Catalog, table: LabelTable) -> ExamplesAndNotes:
    labelled: list[tuple[int, LabelledPhoto]] = []
    for number, item in enumerate(catalog.items):
        row = table.photos.get(Path(item.file)) if item.file is not None else None
        if row is not None:
            labelled.append((number, row))
    if not labelled:
        raise DatasetError(f"No photo that {settings.labels} labels can be read; check its paths.")
    directions, tags = embed_maps(catalog.features.maps), _tags(catalog.features.probabilities, parent.card.labels)
    numbers, rows = zip(*labelled, strict=True)
    return build_examples(numbers, rows, parent.card.labels, directions, tags, settings.other_labels)


def _with_labels(
    settings: AdaptSettings,
    parent: bundle.Bundle,
    card: Card,
    catalog: Catalog,
    lesson: LabelledExamples,
    cautious: bool,
    adapted: Adapted,
) -> tuple[ShopAdapter, Network, Card]:
    """Return what the labels teach, the network, and the card with it; what was gained is put into `adapted` first."""
    adapted.labelled = len(lesson.photos)
    adapted.notes += _too_few(lesson)

    def look_without(left_out: NDArray[np.int64]) -> Features:
        if not settings.deep:
            return catalog.features
        rest = lesson.take(np.setdiff1d(np.arange(len(lesson.photos)), left_out))
        return _fine_tuned(parent, catalog, rest, settings)[1]

    trial = cross_validate(look_without, lesson, cautious)
    strength = trial.strength if trial else USUAL_STRENGTH
    network, features = (
        _fine_tuned(parent, catalog, lesson, settings) if settings.deep else (parent.network(), catalog.features)
    )
    shop = fit_adapter(features, lesson, strength, cautious)
    card = replace(card, labels=lesson.labels, groups=_groups(parent, catalog.features, lesson))
    if trial is None:
        adapted.notes.append("No label has photos of two products, so nothing could be measured.")
        return shop, network, card
    card = _calibrated(card, parent, trial, lesson)
    _measure(adapted, parent, catalog, lesson, trial, card)
    if adapted.gains and adapted.gains[0].after[0] < adapted.gains[0].before[0] and not settings.force:
        raise TrainingError(
            f"With these labels tags would be right less often ({adapted.gains[0].after[0]:.3f}) than as they are "
            f"({adapted.gains[0].before[0]:.3f}); nothing was written. Check the labels, or insist with --force."
        )
    return shop, network, replace(card, metrics={"cross_validated": _metrics_for_card(adapted), **card.metrics})


def _fine_tuned(
    parent: bundle.Bundle, catalog: Catalog, lesson: LabelledExamples, settings: AdaptSettings
) -> tuple[Network, Features]:
    card = parent.card
    temperature = card.photo_temperature if card.network.photo_classes else card.temperature
    network = fine_tune_backbone(parent.network(), catalog.pixels, catalog.features, lesson, USUAL_STRENGTH, temperature)
    return network, Predictor(replace(parent, weights=network.state_dict()), settings.device).extract(catalog.garments)


def _too_few(lesson: LabelledExamples) -> list[str]:
    counts = np.bincount(lesson.classes, minlength=len(lesson.labels) + 1)
    few = [
        f"{label} ({count}, {WELL_TAUGHT - count} more)"
        for label, count in zip(lesson.labels, counts, strict=False)
        if 0 < count < WELL_TAUGHT // 2
    ]
    return [f"Few labelled photos, so label more: {first_few(few, 20)}."] if few else []


def _groups(parent: bundle.Bundle, features: Features, lesson: LabelledExamples) -> dict[str, str]:
    """Return the group of every label: the bundle's own, or the one that its photos are mostly said to be of, else "other"."""
    known = [parent.card.groups[label] for label in parent.card.labels]
    groups = {}
    for number, label in enumerate(lesson.labels):
        if label in parent.card.groups:
            groups[label] = parent.card.groups[label]
            continue
        notes = features.probabilities[torch.from_numpy(lesson.photos[lesson.classes == number])].mean(0)
        sums = {group: float(notes[:-1][torch.tensor([one == group for one in known])].sum()) for group in known}
        best = max(sums, key=lambda group: sums[group])
        groups[label] = best if sums[best] > 0.5 else "other"
    return groups


def _calibrated(card: Card, parent: bundle.Bundle, trial: CrossValidation, lesson: LabelledExamples) -> Card:
    """Return the card with a temperature, and where there are labels enough thresholds, from cross-validation."""
    tried = torch.from_numpy(trial.tried)
    truth = torch.from_numpy(lesson.classes)[tried]
    temperature = fit_temperature(trial.probabilities[tried].clamp_min(1e-9).log(), truth)
    card = replace(card, adapter_temperature=temperature)
    if len(tried) < MIN_CALIBRATION_PHOTOS:
        return card
    notes = apply_temperature(trial.probabilities[tried], temperature)[:, :-1].numpy()
    thresholds = {share: threshold_at_precision(float(share), notes, truth.numpy()) for share in parent.card.precisions}
    default = str(parent.card.recipe.get("threshold_precision", 0.95))
    return replace(
        card, precisions=thresholds, min_confidence=thresholds.get(default, threshold_at_precision(0.95, notes, truth.numpy()))
    )


def _measure(
    adapted: Adapted, parent: bundle.Bundle, catalog: Catalog, lesson: LabelledExamples, trial: CrossValidation, card: Card
) -> None:
    """Put into `adapted` what was gained, over all and by class, and which labels are likely wrong."""
    names = np.array([*lesson.labels, "-"])
    tried = trial.tried[lesson.classes[trial.tried] < len(lesson.labels)]
    photos = lesson.photos[tried]
    truth = names[lesson.classes[tried]]
    old = np.array(_tags(catalog.features.probabilities[photos], parent.card.labels))
    notes = apply_temperature(trial.probabilities[tried], card.adapter_temperature)
    new = np.array(_tags(notes, lesson.labels))
    products = [str(number) for number in lesson.products[tried]]
    for label in ("all", *lesson.labels):
        chosen = np.flatnonzero((truth == label) | (label == "all"))
        if len(chosen):
            groups = [products[number] for number in chosen]
            before = bootstrap_interval((old == truth)[chosen].tolist(), groups)
            after = bootstrap_interval((new == truth)[chosen].tolist(), groups)
            adapted.gains.append(Gain(label, len(chosen), before, after))
    for number, photo in enumerate(photos):
        confidence = float(notes[number, :-1].max())
        if new[number] != truth[number] and confidence >= SUSPICIOUS:
            path = catalog.items[photo].path
            adapted.suspects.append(Suspect(path, str(truth[number]), str(new[number]), confidence))
    adapted.suspects.sort(key=lambda suspect: -suspect.confidence)


def _metrics_for_card(adapted: Adapted) -> dict[str, Any]:
    return {
        gain.label: {
            "n": gain.n,
            "before": rounded(gain.before[0]),
            "after": rounded(gain.after[0]),
        }
        for gain in adapted.gains
    }


# The card ----------------------------------------------------------------------------------------------------------


def _card(settings: AdaptSettings, parent: bundle.Bundle) -> Card:
    """Return the parent's card under the new name, with where the bundle comes from."""
    return replace(
        parent.card,
        name=Path(settings.out).resolve().name,
        parent=parent.model,
        base_groups=parent.card.network_groups,
        data=parent.card.data
        | {"parent/card.json": parent.fingerprint}
        | (checksum(settings.labels) if settings.labels else {}),
        recipe=parent.card.recipe | {"adapted": {"labels": settings.labels is not None, "deep": settings.deep}},
        versions={"fmtag": version("fmtag"), "torch": torch.__version__, "python": platform.python_version()},
    )


PICK_COLUMNS = ("path", "label", "tag", "confidence")


def write_picks(settings: AdaptSettings, count: int, progress: Callable[[int, int], None]) -> tuple[int, int]:
    """Write a table of the photos most worth a label, and return how many these are and how many were looked at.

    Its column `label` is empty; paths are absolute, so that the table may lie anywhere.
    """
    bundle_files = (Input("a file of the bundle", file) for file in files_of(settings.start))
    check_output_paths([Output("--out", settings.out)], [Input("the source itself", settings.catalog), *bundle_files])
    form = output.format_of(settings.out)
    loaded = bundle.load(settings.start)
    catalog, _ = _read_catalog(settings, None, Predictor(loaded, settings.device), progress)
    confidences, tags = catalog.features.probabilities[:, :-1].max(1)
    with output.open_output(settings.out, form, dict.fromkeys(PICK_COLUMNS), loaded.model) as writer:
        picked = select_photos(catalog.features, count)
        for number in picked:
            path = str(Path(catalog.items[number].file or catalog.items[number].path).absolute())
            tag, confidence = list(loaded.card.network_groups)[int(tags[number])], float(confidences[number])
            writer.write({"path": path, "label": "", "tag": tag, "confidence": confidence})
    return len(picked), len(catalog.items)
