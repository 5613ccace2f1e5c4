"""Coverage of few predictions, equal confidences and the names that reports rely on."""

import numpy as np
import pytest

from tagger.metrics.classification import (
    COVERAGES,
    auroc,
    classification_report,
    confused_pairs,
    coverage_curve,
    coverage_table,
)


def test_names_of_a_report_do_not_change() -> None:
    """`evaluate --out` and cards hold them, and other programs read them."""
    report = classification_report(np.array([0, 1]), np.array([0.9, 0.8]), np.array([0, 0]), ("a", "b"))
    assert list(report) == [
        "accuracy",
        "macro_accuracy",
        "n",
        "calibration_error",
        "per_class",
        "confusion",
        "reliability",
        "coverage",
    ]
    assert list(report["per_class"]["a"]) == ["precision", "recall", "f1", "n"]
    assert list(report["confusion"]) == ["labels", "rows_are", "counts", "without_tag"]
    assert list(report["reliability"][0]) == ["from", "to", "n", "confidence", "accuracy"]
    assert list(report["coverage"][0]) == ["coverage", "n", "accuracy", "least_confidence"]


def test_coverages_are_shares_of_the_predictions() -> None:
    """Of twenty predictions: 10, 12, 14, 16, 18, 19 and 20, and the least confidence is that of the last one."""
    confidence = np.linspace(1, 0.05, 20)
    table = coverage_table(confidence, np.arange(20) < 10)
    assert [row["coverage"] for row in table] == list(COVERAGES) == [0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0]
    assert [row["n"] for row in table] == [10, 12, 14, 16, 18, 19, 20]
    assert [row["least_confidence"] for row in table] == [round(confidence[row["n"] - 1], 6) for row in table]
    assert [row["accuracy"] for row in table] == [round(10 / row["n"], 6) for row in table]


@pytest.mark.parametrize(("count", "expected"), [(1, [1] * 7), (2, [1, 1, 1, 2, 2, 2, 2])])
def test_a_coverage_holds_one_prediction_at_least(count: int, expected: list[int]) -> None:
    """Half of one prediction is that one."""
    assert [row["n"] for row in coverage_table(np.full(count, 0.5), np.ones(count, bool))] == expected


def test_equal_confidences_are_one_point_of_the_curve() -> None:
    """No threshold tells them apart."""
    coverage, accuracy = coverage_curve(np.array([0.5, 0.9, 0.5, 0.2]), np.array([True, True, False, False]))
    assert coverage.tolist() == [0.25, 0.75, 1.0]
    assert accuracy.tolist() == pytest.approx([1, 2 / 3, 0.5])


def test_equally_frequent_pairs_are_in_the_labels_order() -> None:
    """The most frequent pairs come first; no tag comes after the labels."""
    confusion = {"labels": ["a", "b"], "counts": [[5, 1], [2, 0]], "without_tag": [1, 0]}
    assert [tuple(pair.values()) for pair in confused_pairs(confusion)] == [
        ("b", "a", 2, 1.0),
        ("a", "b", 1, round(1 / 7, 6)),
        ("a", "", 1, round(1 / 7, 6)),
    ]


@pytest.mark.parametrize(("known", "others", "area"), [([0.9], [0.1], 1), ([0.1], [0.9], 0), ([0.5], [0.5], 0.5)])
def test_area_under_the_curve_has_its_ends(known: list[float], others: list[float], area: float) -> None:
    """1 where every known photo is the more confident one, 0 where none is, and one half for equal confidences."""
    assert auroc(np.array(known), np.array(others)) == area
