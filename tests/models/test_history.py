"""A bundle's training history is read from its folder; a damaged one is a fault of the bundle."""

from pathlib import Path

import pytest

from tagger.errors import BundleError
from tagger.models.history import Epoch, history

COLUMNS = "epoch,loss,held_out_accuracy,held_out_loss,seconds"


def bundle_with_history(small_bundle: Path, folder: Path, text: str) -> str:
    """Write a folder with the small bundle's card and a history, and return it."""
    (folder / "card.json").write_bytes((small_bundle / "card.json").read_bytes())
    (folder / "history.csv").write_text(text)
    return str(folder)


def test_a_history_has_a_row_per_epoch(small_bundle: Path, tmp_path: Path) -> None:
    """Epochs are read as numbers; cells are empty where nothing was held out."""
    lines = [COLUMNS, "1,2.0,0.5,1.5,30.0", "2,1.0,,,31.5"]
    name = bundle_with_history(small_bundle, tmp_path, "\r\n".join([*lines, ""]))
    assert history(name) == [Epoch(1, 2.0, 0.5, 1.5, 30.0), Epoch(2, 1.0, None, None, 31.5)]


def test_a_bundle_may_lack_a_history(small_bundle: Path) -> None:
    """A bundle without the file has no epochs."""
    assert history(str(small_bundle)) == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("epoch,loss\n1,2\n", "lacks held_out_accuracy, held_out_loss, seconds"),
        (f"{COLUMNS}\n1,high,,,1\n", "high"),
        (f"{COLUMNS}\n1,2\n", "lacks"),
    ],
    ids=["columns", "numbers", "torn"],
)
def test_a_damaged_history_is_named(small_bundle: Path, tmp_path: Path, text: str, reason: str) -> None:
    """A damaged history ends in one sentence about the bundle."""
    with pytest.raises(BundleError, match=reason):
        history(bundle_with_history(small_bundle, tmp_path, text))
