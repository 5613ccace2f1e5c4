"""Charts draw what they are given: sizes that can be read, the same bytes for the same numbers, any label."""

import io
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from evaluation_helpers import HOSTILE
from PIL import Image

from tagger.evaluation import charts
from tagger.models.history import Epoch

HISTORY = [Epoch(1, 2.0, 0.5, 1.5, 30.0), Epoch(2, 1.0, 0.75, 0.8, 31.0)]

BINS = [
    {"from": 0.0, "to": 0.5, "n": 10, "confidence": 0.4, "accuracy": 0.5},
    {"from": 0.5, "to": 1.0, "n": 30, "confidence": 0.8, "accuracy": 0.9},
]


def row(name: str, accuracy: float, deviation: float | None = None, seeds: int = 1) -> dict[str, object]:
    """Return a row of a comparison."""
    return {"name": name, "accuracy": accuracy, "accuracy_deviation": deviation, "seeds": seeds, "macs": 1e6}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (lambda: charts.training(HISTORY), lambda: charts.training([one._replace(held_out_loss=None) for one in HISTORY])),
        (lambda: charts.reliability(BINS), lambda: charts.reliability([{**BINS[0], "n": 20}, BINS[1]])),
        (
            lambda: charts.coverage(np.array([0.5, 1.0]), np.array([0.9, 0.8])),
            lambda: charts.coverage(np.array([0.5, 1.0]), np.array([0.9, 0.8]), (0.5, 0.9)),
        ),
        (lambda: charts.costs([row("a", 0.9), row("b", 0.8)]), lambda: charts.costs([row("a", 0.9), row("b", 0.8, 0.01, 3)])),
        (
            lambda: charts.classes({"a": {"precision": 0.5, "recall": 0.6, "f1": 0.55}}),
            lambda: charts.classes({"a": {"precision": 0.5, "recall": 0.9, "f1": 0.55}}),
        ),
        (
            lambda: charts.confusion(np.eye(2, dtype=int), np.ones(2, int), ["a", "b"]),
            lambda: charts.confusion(np.ones((2, 2), int), np.full(2, 2), ["a", "b"]),
        ),
    ],
    ids=["training", "reliability", "coverage", "costs", "classes", "confusion"],
)
def test_charts_differ_where_their_numbers_do(first: Callable[[], bytes], second: Callable[[], bytes]) -> None:
    """The same numbers give the same PNG, others another one; no chart holds the name of a program or a time."""
    drawn = first()
    assert Image.open(io.BytesIO(drawn)).format == "PNG"
    assert charts.size_of(drawn) == Image.open(io.BytesIO(drawn)).size
    assert first() == drawn
    assert second() != drawn
    assert b"tEXt" not in drawn
    assert b"tIME" not in drawn


@pytest.mark.parametrize("count", [2, 12, 13, 60])
def test_any_number_of_labels_can_be_drawn(count: int) -> None:
    """From two labels on, short or long, charts have a size that can be read."""
    labels = [f"{'label' if at % 2 else 'a label of a very long name'} {at}" for at in range(count)]
    confusion = charts.confusion(np.eye(count, dtype=int), np.ones(count, int), labels)
    classes = charts.classes({label: {"precision": 0.5, "recall": 0.6, "f1": 0.55} for label in labels})
    for drawn in (confusion, classes):
        assert all(200 < side < 12 * charts.DPI for side in charts.size_of(drawn))


def test_labels_of_any_kind_can_be_drawn() -> None:
    """No label stops a chart: math, any script, broken encodings, control characters, great length."""
    count = len(HOSTILE)
    drawn = charts.confusion(np.eye(count, dtype=int), np.ones(count, int), HOSTILE)
    assert Image.open(io.BytesIO(drawn)).format == "PNG"


def test_small_images_are_enlarged_by_whole_pixels() -> None:
    """A 28x28 image is shown four times as large, each pixel a square; one of 65 pixels stays as it is."""
    pixels = np.random.default_rng(0).integers(0, 256, (28, 28), np.uint8)
    shown = cv2.imdecode(np.frombuffer(charts.thumbnail(pixels), np.uint8), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(shown, np.kron(pixels, np.ones((4, 4), np.uint8)))
    assert charts.size_of(charts.thumbnail(np.zeros((64, 10), np.uint8))) == (20, 128)
    assert charts.size_of(charts.thumbnail(np.zeros((65, 10), np.uint8))) == (10, 65)


def test_photos_are_reduced_in_their_colours() -> None:
    """A photo's longer side becomes 128 pixels, and red stays red."""
    photo = np.zeros((300, 600, 3), np.uint8)
    photo[:, :, 0] = 200
    content = charts.thumbnail(photo)
    assert charts.size_of(content) == (128, 64)
    assert np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))[5, 5].tolist() == [200, 0, 0]
