"""Metrics of an adaptation: accuracy before and after, suspicious labels, calibration, groups of new labels."""

from dataclasses import replace

import numpy as np
import pytest
from adaptation_helpers import confident, examples_on

from tagger.adaptation.catalog_photos import CatalogPhotos
from tagger.adaptation.cross_validation import CrossValidation
from tagger.adaptation.validation import (
    calibrated_card,
    few_labels_notes,
    groups_of_labels,
    measure_gains,
    metrics_for_card,
    predicted_labels,
)
from tagger.inference.predictor import Features
from tagger.models.adapter import apply_temperature
from tagger.models.card import Card
from tagger.models.config import NetworkConfig
from tagger.records import Item

LABELS = ("shirt", "shoe", "bag")

PARENT = Card(
    name="parent",
    labels=LABELS,
    groups={"shirt": "upper body", "shoe": "footwear", "bag": "accessory"},
    network=NetworkConfig((8, 16), classes=3),
    garment_version=1,
    temperature=1.0,
    min_confidence=0.5,
    precisions={"0.8": 0.3, "0.95": 0.6},
)


def test_none_is_never_predicted() -> None:
    """The label is that of the greatest probability but the last column."""
    assert predicted_labels(np.array([[0.1, 0.3, 0.0, 0.6], [0.5, 0.2, 0.2, 0.1]], np.float32), LABELS) == ["shoe", "shirt"]


@pytest.mark.parametrize(("count", "noted"), [(1, True), (9, True), (10, False), (20, False)])
def test_labels_with_few_photos_are_named(count: int, noted: bool) -> None:
    """Fewer than ten photos of a label give a note with the number that is missing to twenty; none at all give none."""
    examples = examples_on(range(30 + count), [0] * 30 + [1] * count, LABELS, (0, 1, 2))
    notes = few_labels_notes(examples)
    assert notes == ([f"Few labelled photos, so label more: shoe ({count}, {20 - count} more)."] if noted else [])


def test_new_labels_get_the_group_of_their_photos() -> None:
    """A label of the bundle keeps its group; a new one gets the group with more than half of the probability, else "other"."""
    probabilities = np.array([[0.1, 0.8, 0.1, 0.0]] * 3 + [[0.4, 0.3, 0.3, 0.0]] * 3, np.float32)
    examples = examples_on(range(6), [3] * 3 + [4] * 3, (*LABELS, "boot", "belt"), (0, 1, 2, -1, -1))
    groups = groups_of_labels(PARENT, probabilities, examples)
    assert groups == {**PARENT.groups, "boot": "footwear", "belt": "other"}


def wrong_on(photos: list[int], count: int = 12) -> tuple[CatalogPhotos, CrossValidation, list[int]]:
    """Return a catalog that the bundle calls shoes throughout, a validation that errs on these photos, and the classes."""
    classes = [number % 2 for number in range(count)]
    items = [Item(f"{number}.jpg", None) for number in range(count)]
    predictions = [1 - label if number in photos else label for number, label in enumerate(classes)]
    features = Features(confident([1] * count), np.eye(count, dtype=np.float32))
    return CatalogPhotos(items, features), CrossValidation(1e-3, confident(predictions), np.arange(count)), classes


def test_accuracy_is_measured_before_and_after() -> None:
    """Over all and for each label, with the number of photos; and likely wrong labels, with the label that is predicted."""
    catalog, validation, classes = wrong_on([4])
    examples = examples_on(range(12), classes, LABELS, (0, 1, 2))
    gains, suspects = measure_gains(PARENT, catalog, examples, validation, 1.0)
    assert [(gain.label, gain.n, gain.before[0], round(gain.after[0], 3)) for gain in gains] == [
        ("all", 12, 0.5, 0.917),
        ("shirt", 6, 0.0, 0.833),
        ("shoe", 6, 1.0, 1.0),
    ]
    assert [(suspect.path, suspect.label, suspect.predicted) for suspect in suspects] == [("4.jpg", "shirt", "shoe")]
    assert metrics_for_card(gains)["shirt"] == {"n": 6, "before": 0.0, "after": pytest.approx(0.8333, abs=1e-4)}


def test_unsure_predictions_accuse_no_label() -> None:
    """A label is likely wrong only from a calibrated probability of 0.8 of another one on."""
    catalog, validation, classes = wrong_on([4, 5])
    examples = examples_on(range(12), classes, LABELS, (0, 1, 2))
    assert len(measure_gains(PARENT, catalog, examples, validation, 1.0)[1]) == 2
    assert measure_gains(PARENT, catalog, examples, validation, 5.0)[1] == []


def test_photos_of_none_and_photos_in_no_fold_are_not_measured() -> None:
    """Photos labelled as none of the labels have no tag to compare; those that were not validated have no prediction."""
    catalog, validation, classes = wrong_on([])
    examples = examples_on(range(12), [*classes[:-2], 3, 3], LABELS, (0, 1, 2))
    gains, _ = measure_gains(PARENT, catalog, examples, replace(validation, validated=np.arange(2, 12)), 1.0)
    assert gains[0].n == 8


def test_a_few_labels_calibrate_the_temperature_alone() -> None:
    """Thresholds need more photos; with enough of them each precision gets one, and the default one is the card's."""
    for count, thresholds in ((40, False), (600, True)):
        rng = np.random.default_rng(0)
        classes = rng.integers(0, 3, count)
        predictions = np.where(rng.random(count) < 0.8, classes, (classes + 1) % 3)
        probabilities = apply_temperature(confident(predictions.tolist()), 0.5)
        examples = examples_on(range(count), classes.tolist(), LABELS, (0, 1, 2))
        card = calibrated_card(PARENT, PARENT, CrossValidation(1e-3, probabilities, np.arange(count)), examples)
        assert card.adapter_temperature > 1.5  # the network was far too sure
        assert (card.precisions != PARENT.precisions) == thresholds
        assert card.precisions.keys() == PARENT.precisions.keys()
        assert card.min_confidence == (card.precisions["0.95"] if thresholds else PARENT.min_confidence)
