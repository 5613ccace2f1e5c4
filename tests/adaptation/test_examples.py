"""Labelled examples from the rows of a table."""
# ruff: noqa: SIM300 - expected values come first, as in all tests here

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tagger.adaptation.examples import MOST_LABELS, ExamplesAndNotes, build_examples
from tagger.adaptation.settings import OtherLabels
from tagger.catalog.label_table import LabelledPhoto
from tagger.errors import DatasetError
from tagger.records import Item


def row_of(label: str, product: str = "", flagged: bool = False) -> LabelledPhoto:
    return LabelledPhoto(Item("x.jpg", Path("x.jpg")), label, product, flagged)


def built_from(
    rows: Sequence[LabelledPhoto], other_labels: OtherLabels | None = None, tags: Sequence[str] = ()
) -> ExamplesAndNotes:
    """Return the examples of rows on photos that are all different, for a bundle of two labels."""
    numbers = range(len(rows))
    return build_examples(
        numbers, rows, ("T-shirt/top", "Bag"), np.eye(len(rows), dtype=np.float32), tags or ["Bag"] * len(rows), other_labels
    )


def test_spellings_of_a_label_are_merged() -> None:
    """Case and punctuation make no second label: the bundle's spelling wins, else the most frequent one of the table."""
    built = built_from([row_of(label) for label in ("t-shirt top", "T-Shirt/Top", "Maxi skirt", "maxi-skirt", "Maxi skirt")])
    assert ("T-shirt/top", "Bag", "Maxi skirt") == built.examples.labels
    assert (0, 1, -1) == built.examples.known
    assert [0, 0, 2, 2, 2] == built.examples.classes.tolist()
    assert "'maxi-skirt' as 'Maxi skirt'" in built.notes[0]


def test_a_single_photo_of_a_new_label_is_left_out_with_a_note() -> None:
    """A label of the shop's own needs two photos; a label of the bundle, and `-`, need one."""
    built = built_from([row_of(label) for label in ("Skirt", "Bag", "T-shirt/top", "-")])
    assert ("T-shirt/top", "Bag") == built.examples.labels
    assert ([1, 2, 3], [1, 0, 2]) == (built.examples.photos.tolist(), built.examples.classes.tolist())
    assert any("'Skirt'" in sentence for sentence in built.notes)


def test_labels_that_the_table_does_not_name_are_kept_or_dropped() -> None:
    """A table without any label of the bundle needs --other-labels; a single remaining label is always refused."""
    foreign = [row_of(label) for label in ("Hose", "Hose", "Rock", "Rock")]
    with pytest.raises(DatasetError, match="--other-labels"):
        built_from(foreign)
    assert ("T-shirt/top", "Bag", "Hose", "Rock") == built_from(foreign, "keep").examples.labels
    assert ("Hose", "Rock") == built_from(foreign, "drop").examples.labels
    with pytest.raises(DatasetError, match="One label alone"):
        built_from(foreign[:2], "drop")


def test_unconfirmed_rows_are_left_out() -> None:
    """Of a run's output, rows that are still flagged with the bundle's own tag are left out; corrected ones are used."""
    rows = [row_of("Bag", flagged=True), row_of("T-shirt/top", flagged=True), row_of("Bag")]
    built = built_from(rows)
    assert [1, 2] == built.examples.photos.tolist()
    assert "Rows still flagged" in built.notes[0]
    assert "left out: 1." in built.notes[0]


def test_products_are_those_of_the_table_and_of_photos_that_look_the_same() -> None:
    """Photos with one number of a product, or with nearly the same features, are one product, and so is what these link."""
    embeddings = np.eye(5, dtype=np.float32)
    embeddings[0, :2] = (0.1, 0.99)
    rows = [row_of("Bag", product) for product in ("", "7", "7", "8", "")]
    products = build_examples(range(5), rows, ("Dress", "Bag"), embeddings, ["Dress"] * 5, None).examples.products.tolist()
    assert products[0] == products[1] == products[2]
    assert 3 == len(set(products))


def test_thousands_of_labels_give_a_short_note() -> None:
    """A wrong column for the labels gives a note of bounded length, or a refusal that names the option."""
    embeddings = np.random.default_rng(0).standard_normal((4004, 8), np.float32)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    rows = [row_of(label) for label in ("Bag", "Dress", "Bag", "Dress", *(f"name {number}" for number in range(4000)))]
    built = build_examples(range(4004), rows, ("Dress", "Bag"), embeddings, ["Bag"] * 4004, None)
    assert built.examples.photos.tolist() == [0, 1, 2, 3]
    assert "and 3995 more: a single photo each" in built.notes[0]
    assert len(built.notes[0]) < 200
    twice = [row_of(f"name {number % (MOST_LABELS + 1)}") for number in range(2 * (MOST_LABELS + 1))]
    with pytest.raises(DatasetError, match=r"1,001 different labels, .*--label-column"):
        build_examples(range(len(twice)), twice, ("Dress", "Bag"), embeddings, ["Bag"] * 4004, "drop")


def test_a_selection_keeps_photos_classes_and_products_together() -> None:
    """`take` selects the same rows of all three."""
    built = built_from([row_of(label) for label in ("Bag", "T-shirt/top", "Bag", "-")])
    taken = built.examples.take(np.array([3, 1]))
    assert (taken.photos.tolist(), taken.classes.tolist()) == ([3, 1], [2, 0])
    assert taken.products.tolist() == built.examples.products[[3, 1]].tolist()
    assert taken.labels == built.examples.labels
