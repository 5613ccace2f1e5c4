"""The benchmarks of adaptation work on synthetic features: draws are disjoint, and adapting to labels is measured."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.accuracy import adapt
from benchmarks.speed.adapt_scale import STAGES, measure, synthetic_features

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def photos() -> adapt.PhotoSet:
    """300 photos of ten classes, three per product, with a network's predictions that are right for 80 %."""
    features, classes = synthetic_features(300, 32)
    groups = np.arange(300, dtype=np.int64) // 3
    return adapt.PhotoSet(features, classes, groups, groups % 2 == 0, np.full(300, "kind"))


def test_labels_come_from_whole_products(photos: adapt.PhotoSet) -> None:
    """No photo of a product that gave a label is scored, and every class keeps photos to score."""
    chosen, free = adapt.draw_labels(photos, range(10), 3, adapt.draw_rng(0))
    assert not set(photos.groups[chosen]) & set(photos.groups[free])
    assert np.bincount(photos.classes[chosen], minlength=10).max() <= 3
    assert np.bincount(photos.classes[free], minlength=10).min() >= adapt.LEFT


@pytest.mark.slow
def test_adaptation_is_measured_with_and_without_labels(photos: adapt.PhotoSet) -> None:
    """Each draw has predictions of the catalog's own photos and of new ones; labels raise the accuracy."""
    labelled = adapt.draws_of(photos, 5, 1, calibrated=True)
    assert labelled.own[0].accuracy > labelled.start[0].accuracy
    assert len(labelled.new[0].classes) == len(labelled.start[0].classes)
    unlabelled = adapt.draws_of(photos, None, 1)
    assert unlabelled.own[0].labels == 0 < labelled.own[0].labels
    assert 0 <= unlabelled.new[0].accuracy <= 1


def test_the_report_of_a_folder_has_a_row_per_number_of_labels(photos: adapt.PhotoSet, monkeypatch: pytest.MonkeyPatch) -> None:
    """The table begins with the start bundle and adaptation without labels."""
    monkeypatch.setattr(adapt, "COUNTS", (2,))
    rows = list(adapt.label_rows(adapt.Folder("shop", photos, 0, 0), 1))
    assert [row[0] for row in rows] == ["none, the start bundle", "none, adapted", "2"]
    assert len({len(row) for row in rows}) == 1


def test_scale_is_measured_by_stage() -> None:
    """Every stage has its seconds, and the cross-validated accuracy beats the network's 80 %."""
    metrics = measure(300, 32)
    assert all(metrics[stage] >= 0 for stage in STAGES)
    assert metrics["peak (MB)"] > 0
    assert metrics["accuracy"] > 0.85


@pytest.mark.slow
def test_each_part_is_switched_off_alone(photos: adapt.PhotoSet, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ablation has a row per part, and leaves all constants as they were."""
    monkeypatch.setattr(adapt, "new_class_rows", lambda *_: iter(()))
    monkeypatch.setattr(adapt, "ABLATED_COUNTS", (None, 1))
    before = [getattr(module, name) for constants in adapt.PARTS.values() for module, name, _ in constants]
    packed = replace(photos, features=replace(photos.features, embeddings=np.zeros((len(photos), 1), np.uint8)))
    rows = list(adapt.ablation_rows([adapt.Folder("shop", packed, 0, 0)], packed, packed, 1))
    assert [row[0] for row in rows] == list(adapt.PARTS)
    assert len({tuple(row[1:]) for row in rows}) > 1
    assert before == [getattr(module, name) for constants in adapt.PARTS.values() for module, name, _ in constants]
