"""Metrics of an adaptation from its cross-validation: accuracy before and after, calibration, labels that are likely wrong."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tagger.adaptation.catalog_photos import CatalogPhotos
from tagger.adaptation.cross_validation import CrossValidation
from tagger.adaptation.examples import LabelledExamples
from tagger.arrays import Float32s
from tagger.catalog.label_table import first_few
from tagger.metrics.calibration import MIN_CALIBRATION_PHOTOS, fit_temperature, threshold_at_precision
from tagger.metrics.rounding import rounded
from tagger.metrics.significance import Interval, bootstrap_interval
from tagger.models.adapter import apply_temperature
from tagger.models.card import Card

ENOUGH_PER_LABEL = 20
"""Labelled photos that a label should have; a note names the labels that have fewer than half of them."""

SUSPICIOUS = 0.8
"""Cross-validated probability of another label from which on a label is likely wrong."""


@dataclass(frozen=True)
class AccuracyGain:
    """Accuracy on labelled photos, before and after the adaptation, cross-validated over products."""

    label: str
    """A label, or "all"."""
    n: int
    before: Interval
    after: Interval


@dataclass(frozen=True)
class SuspectLabel:
    """A photo whose label is likely wrong."""

    path: str
    label: str
    predicted: str
    confidence: float


def predicted_labels(probabilities: Float32s, labels: Sequence[str]) -> list[str]:
    """Return the label of the greatest probability in each row (n, labels + 1); the last column, none of them, is ignored."""
    return [labels[number] for number in probabilities[:, :-1].argmax(1).tolist()]


def few_labels_notes(examples: LabelledExamples) -> list[str]:
    """Return a sentence that names the labels with too few labelled photos, and how many to add; none where all have enough."""
    counts = np.bincount(examples.classes, minlength=len(examples.labels) + 1)
    few = [
        f"{label} ({count}, {ENOUGH_PER_LABEL - count} more)"
        for label, count in zip(examples.labels, counts, strict=False)
        if 0 < count < ENOUGH_PER_LABEL // 2
    ]
    return [f"Few labelled photos, so label more: {first_few(few, 20)}."] if few else []


def groups_of_labels(card: Card, probabilities: Float32s, examples: LabelledExamples) -> dict[str, str]:
    """Return the group of each label.

    A label of the bundle keeps its group. Another one gets the group to which its photos, by the network's probabilities
    (n, labels + 1), belong with more than one half, else "other".
    """
    known = [card.groups[label] for label in card.labels]
    groups = {}
    for number, label in enumerate(examples.labels):
        if label in card.groups:
            groups[label] = card.groups[label]
            continue
        mean = probabilities[examples.photos[examples.classes == number]].mean(0)
        sums = {group: float(mean[:-1][[other == group for other in known]].sum()) for group in known}
        best = max(sums, key=lambda group: sums[group])
        groups[label] = best if sums[best] > 0.5 else "other"
    return groups


def calibrated_card(card: Card, parent: Card, validation: CrossValidation, examples: LabelledExamples) -> Card:
    """Return the card with a temperature and, given enough labels, thresholds from the cross-validated probabilities."""
    validated = validation.validated
    truth = examples.classes[validated]
    temperature = fit_temperature(np.log(np.maximum(validation.probabilities[validated], 1e-9)), truth)
    card = replace(card, adapter_temperature=temperature)
    if len(validated) < MIN_CALIBRATION_PHOTOS:
        return card
    probabilities = apply_temperature(validation.probabilities[validated], temperature)[:, :-1]
    thresholds = {precision: threshold_at_precision(float(precision), probabilities, truth) for precision in parent.precisions}
    default = str(parent.recipe.get("threshold_precision", 0.95))
    fallback = threshold_at_precision(0.95, probabilities, truth)
    return replace(card, precisions=thresholds, min_confidence=thresholds.get(default, fallback))


def measure_gains(
    parent: Card, catalog: CatalogPhotos, examples: LabelledExamples, validation: CrossValidation, temperature: float
) -> tuple[list[AccuracyGain], list[SuspectLabel]]:
    """Return the accuracy before and after, over all and by label, and the labels that are likely wrong, surest first.

    Photos labelled as none of the labels are left out.
    """
    names = np.array([*examples.labels, "-"])
    validated = validation.validated[examples.classes[validation.validated] < len(examples.labels)]
    photos = examples.photos[validated]
    truth = names[examples.classes[validated]]
    probabilities = apply_temperature(validation.probabilities[validated], temperature)
    old = np.array(predicted_labels(catalog.features.probabilities[photos], parent.labels))
    new = np.array(predicted_labels(probabilities, examples.labels))
    products = [str(number) for number in examples.products[validated]]
    gains = []
    for label in ("all", *examples.labels):
        chosen = np.flatnonzero((truth == label) | (label == "all"))
        if len(chosen):
            groups = [products[number] for number in chosen]
            before = bootstrap_interval((old == truth)[chosen].tolist(), groups)
            after = bootstrap_interval((new == truth)[chosen].tolist(), groups)
            gains.append(AccuracyGain(label, len(chosen), before, after))
    confidences = probabilities[:, :-1].max(1).tolist()
    suspects = [
        SuspectLabel(catalog.items[photo].path, str(label), str(predicted), confidence)
        for photo, label, predicted, confidence in zip(photos, truth, new, confidences, strict=True)
        if predicted != label and confidence >= SUSPICIOUS
    ]
    return gains, sorted(suspects, key=lambda suspect: -suspect.confidence)


def metrics_for_card(gains: Sequence[AccuracyGain]) -> Mapping[str, Any]:
    """Return the accuracies by label, as a card stores them."""
    return {gain.label: {"n": gain.n, "before": rounded(gain.before[0]), "after": rounded(gain.after[0])} for gain in gains}
