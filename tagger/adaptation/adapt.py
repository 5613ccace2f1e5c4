"""Adapt a bundle to a shop's catalog, with labels for some of its photos or without, and write the result if it is better."""

import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tagger import __version__
from tagger.adaptation.catalog_photos import CatalogPhotos, check_catalog, read_catalog, unreadable_notes
from tagger.adaptation.cross_validation import CrossValidation, cross_validate
from tagger.adaptation.examples import ExamplesAndNotes, LabelledExamples, build_examples
from tagger.adaptation.fit import DEFAULT_STRENGTH, confidence_keeping_temperature, fit_adapter
from tagger.adaptation.settings import AdaptSettings
from tagger.adaptation.validation import (
    AccuracyGain,
    SuspectLabel,
    calibrated_card,
    few_labels_notes,
    groups_of_labels,
    measure_gains,
    metrics_for_card,
    predicted_labels,
)
from tagger.catalog.label_table import LabelledPhoto, LabelTable, photo_key, read_label_table, with_decisions
from tagger.catalog.output_paths import Output, check_output_paths
from tagger.errors import DatasetError, TrainingError
from tagger.inference.predictor import Features, Predictor
from tagger.models import bundle
from tagger.models.adapter import ShopAdapter, embed_maps
from tagger.models.card import Card

Weights: TypeAlias = Mapping[str, NDArray[Any]]
"""A network's weights by the names of its `state_dict`."""


@dataclass
class AdaptationResult:
    """Result of an adaptation."""

    photos: int
    """Photos of the catalog that were used."""
    written: bundle.Bundle | None = None
    labelled: int = 0
    gains: list[AccuracyGain] = field(default_factory=list)
    suspects: list[SuspectLabel] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """Sentences for the user on everything that was unusual, left out or given less weight."""
    changed: float = 0.0
    """Fraction of the photos whose tag changes, 0..1."""


def adapt(
    settings: AdaptSettings,
    progress: Callable[[int, int], None] = lambda done, total: None,
    decided: LabelTable | None = None,
) -> AdaptationResult:
    """Adapt a bundle to a catalog, and to the labels of some of its photos, and write the new bundle.

    `decided` are labels that people decided on in a review, beside those of the settings' table. `progress` is called with the
    number of photos that have been read, and the total. Raises an `FmtagError`, and writes nothing, where the catalog is
    unsuitable, or where the cross-validated accuracy falls, unless the settings force it.
    """
    check_output_paths([Output("--out", settings.out, "folder")])
    parent = bundle.load(settings.start)
    if parent.adapter is not None:
        original = parent.card.parent.partition("@")[0]
        raise TrainingError(
            f"{parent.model} is adapted to a shop already; start from the bundle before it (--from {original})."
        )
    if settings.deep and parent.backbone is not None:
        raise TrainingError(
            f"--deep fine-tunes a network of 28x28 pixels, but {parent.model} has a backbone that stays as it is; leave "
            "--deep out, or start from a bundle without one (--from catalog-small)."
        )
    table = (
        read_label_table(settings.labels, settings.catalog, settings.reading, settings.label_column)
        if settings.labels
        else None
    )
    table = with_decisions(table, decided)
    predictor = Predictor(parent, settings.device)
    catalog, unreadable = read_catalog(settings, table, predictor, progress)
    reasons = check_catalog(catalog, settings, labelled=table is not None)
    notes = [*(table.notes if table else ()), *unreadable_notes(unreadable, table), *reasons]
    result = AdaptationResult(len(catalog.items), notes=notes)
    card = _initial_card(settings, parent, table)
    if table is None:
        adapter, weights = fit_adapter(catalog.features, cautious=bool(reasons)), parent.weights
        card = replace(card, adapter_temperature=confidence_keeping_temperature(catalog.features, adapter))
    else:
        built = _examples(settings, parent, catalog, table)
        result.notes += built.notes
        adapter, weights, card = _fit_with_labels(settings, parent, card, catalog, built.examples, bool(reasons), result)
    if len(adapter.memory) < len(catalog.items):
        result.notes.append(
            f"The bundle remembers {len(adapter.memory):,} of the {len(catalog.items):,} photos, as evenly over the labels as "
            "possible; all labels were used for fitting."
        )
    result.changed = _changed_fraction(parent, catalog, adapter, card)
    result.written = bundle.save(Path(settings.out), card, weights, adapter, parent.backbone, parent.fusion)
    return result


def _examples(settings: AdaptSettings, parent: bundle.Bundle, catalog: CatalogPhotos, table: LabelTable) -> ExamplesAndNotes:
    """Return the labelled examples among the photos of the catalog."""
    labelled: list[tuple[int, LabelledPhoto]] = []
    for number, item in enumerate(catalog.items):
        row = table.photos.get(photo_key(item)) if item.place is not None else None
        if row is not None:
            labelled.append((number, row))
    if not labelled:
        if settings.labels is None:
            raise DatasetError(
                f"No photo of {settings.catalog} that people decided about shows a product; label others, or leave the "
                "decisions out with --no-reviews."
            )
        raise DatasetError(f"No photo that {settings.labels} labels can be read; check its paths.")
    embeddings = embed_maps(catalog.features.maps)
    tags = predicted_labels(catalog.features.probabilities, parent.card.labels)
    numbers, rows = zip(*labelled, strict=True)
    # Decisions alone are about the tags of the bundle, so that its labels are wanted, whatever these few decisions name.
    other_labels = settings.other_labels or ("keep" if settings.labels is None else None)
    return build_examples(numbers, rows, parent.card.labels, embeddings, tags, other_labels)


def _fit_with_labels(
    settings: AdaptSettings,
    parent: bundle.Bundle,
    card: Card,
    catalog: CatalogPhotos,
    examples: LabelledExamples,
    cautious: bool,
    result: AdaptationResult,
) -> tuple[ShopAdapter, Weights, Card]:
    """Return the adapter, the network's weights and the card with its calibration; metrics and notes are added to `result`.

    Raises `TrainingError` where the accuracy falls, unless the settings force it.
    """
    result.labelled = len(examples.photos)
    result.notes += few_labels_notes(examples)

    def features_without(left_out: NDArray[np.int64]) -> Features:
        if not settings.deep:
            return catalog.features
        rest = examples.take(np.setdiff1d(np.arange(len(examples.photos)), left_out))
        return _fine_tune(parent, catalog, rest, settings)[1]

    validation = cross_validate(features_without, examples, cautious)
    strength = validation.strength if validation else DEFAULT_STRENGTH
    weights, features = _fine_tune(parent, catalog, examples, settings) if settings.deep else (parent.weights, catalog.features)
    adapter = fit_adapter(features, examples, strength, cautious)
    groups = groups_of_labels(parent.card, catalog.features.probabilities, examples)
    card = replace(card, labels=examples.labels, groups=groups)
    if validation is None:
        result.notes.append("No label has photos of two products, so the accuracy could not be cross-validated.")
        return adapter, weights, card
    return adapter, weights, _validated_card(settings, parent, card, catalog, examples, validation, result)


def _validated_card(
    settings: AdaptSettings,
    parent: bundle.Bundle,
    card: Card,
    catalog: CatalogPhotos,
    examples: LabelledExamples,
    validation: CrossValidation,
    result: AdaptationResult,
) -> Card:
    """Return the card with calibration and metrics; raises `TrainingError` where the accuracy falls, unless forced."""
    card = calibrated_card(card, parent.card, validation, examples)
    result.gains, result.suspects = measure_gains(parent.card, catalog, examples, validation, card.adapter_temperature)
    if result.gains and not settings.force:
        before, after = result.gains[0].before[0], result.gains[0].after[0]
        if after < before:
            raise TrainingError(
                f"With these labels the accuracy falls from {before:.3f} to {after:.3f} (cross-validated), so nothing was "
                "written. Check the labels, or write the bundle all the same with --force."
            )
    return replace(card, metrics={"cross_validated": metrics_for_card(result.gains), **card.metrics})


def _fine_tune(
    parent: bundle.Bundle, catalog: CatalogPhotos, examples: LabelledExamples, settings: AdaptSettings
) -> tuple[Weights, Features]:
    """Return the weights of the network fine-tuned on the examples, and its features of the catalog."""
    # Imported here, as PyTorch takes seconds and nothing else of an adaptation needs it.
    from tagger.adaptation.backbone import fine_tune_backbone
    from tagger.models.network import state_arrays

    card = parent.card
    temperature = card.photo_temperature if card.network.photo_classes else card.temperature
    tuned = fine_tune_backbone(parent.network(), catalog.pixels, catalog.features, examples, DEFAULT_STRENGTH, temperature)
    weights = state_arrays(tuned)
    return weights, Predictor(replace(parent, weights=weights), settings.device).extract(catalog.products)


def _changed_fraction(parent: bundle.Bundle, catalog: CatalogPhotos, adapter: ShopAdapter, card: Card) -> float:
    """Return the fraction of photos that the adapter gives another tag than the bundle alone."""
    before = predicted_labels(catalog.features.probabilities, parent.card.labels)
    after = predicted_labels(adapter.predict(catalog.features.probabilities, catalog.features.maps), card.labels)
    return float(np.mean([old != new for old, new in zip(before, after, strict=True)]))


def _initial_card(settings: AdaptSettings, parent: bundle.Bundle, table: LabelTable | None) -> Card:
    """Return the parent's card under the new name, with the new bundle's provenance."""
    return replace(
        parent.card,
        name=Path(settings.out).resolve().name,
        parent=parent.model,
        base_groups=parent.card.network_groups,
        data=parent.card.data | {"parent/card.json": parent.fingerprint} | dict(table.checksums if table else {}),
        recipe=parent.card.recipe | {"adapted": {"labels": table is not None, "deep": settings.deep}},
        versions={"fmtag": __version__, "torch": version("torch"), "python": platform.python_version()},
    )
