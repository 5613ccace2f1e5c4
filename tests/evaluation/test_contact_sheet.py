"""The contact sheet shows the most confident errors, and nothing else."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from evaluation_helpers import evaluation_of

from tagger.arrays import Pixels
from tagger.data.labels import LABELS
from tagger.errors import DatasetError
from tagger.evaluation.contact_sheet import COLUMNS, contact_sheet
from tagger.evaluation.evaluate import Evaluation, Example

pytestmark = pytest.mark.usefixtures("one_thread")

Evaluate = Callable[..., Evaluation]


def sheet_of(evaluation: Evaluation) -> Pixels:
    """Return the sheet's pixels, BGR."""
    return cv2.imdecode(np.frombuffer(contact_sheet(evaluation), np.uint8), cv2.IMREAD_COLOR)


def wrong_ones(evaluation: Evaluation) -> list[Example]:
    """Return the wrong tags of known labels, the most confident first."""
    wrong = [row for rows in evaluation.sources.values() for row in rows if row.known and not row.right]
    return sorted(wrong, key=lambda row: -row.confidence)


def test_the_sheet_shows_the_most_confident_errors(evaluated: Evaluate, clear: Path, ood: Path) -> None:
    """The tiles are the wrong photos, the most confident first, each beside its product image; OOD photos are left out."""
    evaluation = evaluated(clear, ood)
    wrong = wrong_ones(evaluation)
    assert COLUMNS < len(wrong) < 2 * COLUMNS
    sheet = sheet_of(evaluation)
    assert sheet.shape == (2 * 120, COLUMNS * 180, 3)
    for at, row in enumerate(wrong):
        top, left = at // COLUMNS * 120, at % COLUMNS * 180
        tile = sheet[top : top + 120, left : left + 180].astype(float)
        photo = cv2.resize(cv2.imread(str(row.file)), (63, 84), interpolation=cv2.INTER_AREA)
        assert np.abs(tile[:84, :63] - photo).mean() < 4
        assert tile[0, 90:174].min() == 0 < tile[:84, 90:174].max()
    assert sheet[120:, len(wrong) % COLUMNS * 180 :].max() == 0


def test_a_sheet_without_errors_is_empty(evaluated: Evaluate, clear: Path, tmp_path: Path) -> None:
    """Where every tag is right the sheet is a black image of one line."""
    rows = [row for row in evaluated(clear).sources["clear"] if row.file]
    for row in rows:
        (tmp_path / "right" / row.predicted.replace("/", "")).mkdir(parents=True, exist_ok=True)
        assert row.file
        row.file.rename(tmp_path / "right" / row.predicted.replace("/", "") / row.file.name)
    sheet = sheet_of(evaluated(tmp_path / "right"))
    assert sheet.shape == (120, COLUMNS * 180, 3)
    assert sheet.max() == 0


def test_a_removed_photo_leaves_its_labels(evaluated: Evaluate, clear: Path) -> None:
    """A photo that was deleted after the evaluation leaves a grey tile with its labels."""
    evaluation = evaluated(clear)
    first = wrong_ones(evaluation)[0]
    assert first.file
    first.file.unlink()
    tile = sheet_of(evaluation)[:120, :180]
    assert (tile[:84] == 96).all()
    assert tile[84:].max() > 200


def test_images_without_a_file_have_no_sheet() -> None:
    """Fashion-MNIST's images alone are refused, as the sheet shows photos."""
    with pytest.raises(DatasetError, match="give labelled photos too"):
        contact_sheet(evaluation_of(LABELS, 20))
