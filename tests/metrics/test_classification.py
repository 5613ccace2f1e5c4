"""Accuracy, the confusion matrix, coverage and the area under the ROC curve."""
# ruff: noqa: SIM300 - what is expected stands first, as in every test here

import numpy as np
import pytest

from tagger.metrics.classification import NO_TAG, auroc, classification_report, coverage_table

LABELS = tuple("abcdefghij")


def test_macro_accuracy_passes_over_absent_classes() -> None:
    """Macro accuracy is the mean over the classes that occur; an absent one, even if predicted, does not count."""
    truth = np.array([0, 0, 0, 0, 1, 1])
    metrics = classification_report(np.array([0, 0, 0, 5, 1, 7]), np.ones(6), truth, LABELS)
    assert (0.75 + 0.5) / 2 == pytest.approx(metrics["macro_accuracy"], abs=1e-6)
    assert 4 / 6 == pytest.approx(metrics["accuracy"], abs=1e-6)
    assert 6 == metrics["n"]
    assert {"precision": 0, "recall": 0, "f1": 0, "n": 0} == metrics["per_class"]["f"]
    assert {"precision": 1, "recall": 0.75, "f1": pytest.approx(6 / 7, abs=1e-6), "n": 4} == metrics["per_class"]["a"]


def test_confusion_counts_true_classes_in_rows() -> None:
    """The confusion matrix has true classes in rows, predicted ones in columns, and all classes even if absent."""
    confusion = classification_report(np.array([3, 3, 4]), np.ones(3), np.array([3, 4, 4]), LABELS)["confusion"]
    counts = np.array(confusion["counts"])
    assert (10, 10) == counts.shape
    assert (1, 1, 0, 1) == (counts[3, 3], counts[4, 3], counts[3, 4], counts[4, 4])
    assert 3 == counts.sum()
    assert [0] * 10 == confusion["without_tag"]


def test_a_photo_without_a_tag_is_wrong_and_spoils_no_other_class() -> None:
    """A photo without a tag is wrong, in no column of the confusion matrix, and does not lower a class's precision."""
    metrics = classification_report(np.array([NO_TAG, 1, 2]), np.array([0.0, 1.0, 1.0]), np.array([0, 1, 2]), LABELS)
    assert 2 / 3 == pytest.approx(metrics["accuracy"], abs=1e-6)
    assert [1, 0, 0] == metrics["confusion"]["without_tag"][:3]
    assert 2 == sum(map(sum, metrics["confusion"]["counts"]))
    assert [0, 1, 1] == [row["precision"] for row in metrics["per_class"].values()][:3]
    assert 0 == metrics["calibration_error"]


def test_one_image_has_metrics() -> None:
    """Every metric of a single image is a number."""
    metrics = classification_report(np.array([2]), np.ones(1), np.array([2]), LABELS)
    assert (1.0, 1.0, 0.0) == (metrics["accuracy"], metrics["macro_accuracy"], metrics["calibration_error"])


def test_coverage_takes_the_surest_first() -> None:
    """The accuracy at each coverage is that of the most confident images, and at full coverage the accuracy of all."""
    rng = np.random.default_rng(4)
    confidence = rng.uniform(0.1, 1, 1000)
    right = rng.random(1000) < confidence
    table = coverage_table(confidence, right)
    assert 1000 == table[-1]["n"]
    assert right.mean() == pytest.approx(table[-1]["accuracy"], abs=1e-6)
    least = [row["least_confidence"] for row in table]
    assert sorted(least, reverse=True) == least
    assert table[0]["accuracy"] > table[-1]["accuracy"]


def test_auroc_counts_pairs() -> None:
    """The area is the share of pairs in which the known photo has the higher confidence, ties counting half."""
    known, unknown = np.array([0.9, 0.5, 0.7]), np.array([0.5, 0.6])
    pairs = [(a > b) + (a == b) / 2 for a in known for b in unknown]
    assert np.mean(pairs) == pytest.approx(auroc(known, unknown))
