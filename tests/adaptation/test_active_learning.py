"""Active learning: which photos are chosen for labelling, and the table of them."""

from pathlib import Path

import numpy as np
import pytest
from adaptation_helpers import Command, confident, maps_of, write_table
from adaptation_helpers import command as command  # a fixture that is used by its name
from helpers import rows_of, write_photos

from tagger.adaptation import active_learning, cross_validation
from tagger.adaptation.active_learning import MIN_UNCERTAINTY, _uncertainty, select_photos
from tagger.inference.predictor import Features

pytestmark = pytest.mark.usefixtures("one_thread")


def test_uncertain_photos_come_first_and_no_product_twice() -> None:
    """Of photos that look the same one is selected, and uncertain photos before confident ones."""
    kinds = [0, 0, 0, 1, 2, 3]
    uncertain = [[0.4, 0.3, 0.2, 0.1]] * 3
    probabilities = np.concatenate([uncertain, confident([1]), [[0.3, 0.3, 0.3, 0.1]], confident([3])], dtype=np.float32)
    features = Features(probabilities, maps_of(kinds, noise=0.0))
    selected = select_photos(features, 10)
    assert len(selected) == len(set(selected)) == 4
    assert {kinds[number] for number in selected[:2]} == {0, 2}
    assert selected[:2] == select_photos(features, 2)


def test_selection_ends_when_every_photo_resembles_a_selected_one() -> None:
    """Near duplicates are selected once, so that there may be fewer photos than the count."""
    features = Features(np.full((12, 4), 0.25, np.float32), maps_of([0, 1, 2] * 4, noise=0.01))
    selected = select_photos(features, 100)
    assert len(selected) == 3
    assert {0, 1, 2} == {number % 3 for number in selected}


def test_diversity_counts_beside_uncertainty() -> None:
    """The second photo is a different one, although a photo close to the first is more uncertain."""
    maps = np.array([[1.0, 0.0], [0.8, 0.6], [-1.0, 0.0], [-0.8, -0.6]], np.float32)
    probabilities = np.array([[0.5, 0.5, 0.0], [0.6, 0.4, 0.0], [0.7, 0.3, 0.0], [0.95, 0.05, 0.0]], np.float32)
    assert select_photos(Features(probabilities, maps), 2) == [0, 2]


def test_uncertainty_is_one_minus_the_margin() -> None:
    """The margin is that of the two greatest probabilities, and confident photos keep a little uncertainty."""
    probabilities = np.array([[0.5, 0.3, 0.2], [1.0, 0.0, 0.0], [0.4, 0.4, 0.2]], np.float32)
    assert _uncertainty(probabilities).tolist() == pytest.approx([0.8, MIN_UNCERTAINTY, 1.0])


def test_picks_are_ready_to_be_filled_in(
    command: Command, photo_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`fmtag pick` names existing photos, each once, with an empty label; filled in, `fmtag adapt` takes the table."""
    monkeypatch.setattr(cross_validation, "STRENGTHS", (1e-3,))  # to choose among five takes five times as long
    catalog = write_photos(tmp_path / "catalog", 24, (90, 120), digits=2)
    table = tmp_path / "to-label.csv"
    done = command("pick", catalog, "--count", 12, "--out", table, "--from", photo_bundle)
    assert done.code == 0, done.err
    rows = rows_of(table)
    assert list(rows[0]) == ["path", "label", "tag", "confidence"]
    assert 5 <= len({row["path"] for row in rows}) == len(rows) <= 12
    assert f"{len(rows)} of 24 photos to label" in done.err
    assert all(Path(row["path"]).is_file() and row["label"] == "" for row in rows)
    for number, row in enumerate(rows):
        row["label"] = "Trouser" if number % 2 else "Bag"
    write_table(table, [list(row.values()) for row in rows], list(rows[0]))
    done = command("adapt", catalog, "--from", photo_bundle, "--out", tmp_path / "mine", "--labels", table, "--force")
    assert done.code == 0, done.err
    assert f"{len(rows)} labelled" in done.err


def test_labelled_photos_and_their_like_are_not_selected(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there are; the others come by their distance to the labelled ones, too."""
    kinds = [0, 0, 1, 2, 3, 3]
    features = Features(np.full((6, 4), 0.25, np.float32), maps_of(kinds, noise=0.0))
    assert {kinds[number] for number in select_photos(features, 10)} == {0, 1, 2, 3}
    monkeypatch.setattr(active_learning, "LABELLED_AT_ONCE", 1)
    assert sorted(select_photos(features, 10, labelled=[0, 5])) == [2, 3]
    assert select_photos(features, 10, labelled=range(6)) == []
