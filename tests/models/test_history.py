"""The history of a training is read back as it was written, or refused in one sentence."""

from pathlib import Path

import pytest

from tagger.errors import BundleError
from tagger.models.history import Epoch, history

HEADER = "epoch,loss,held_out_accuracy,held_out_loss,seconds\n"


def test_epochs_are_read_in_order(copy: Path) -> None:
    """Each row is an epoch; empty cells of held-out metrics are None."""
    (copy / "history.csv").write_text(HEADER + "1,2.5,0.25,2.25,1.5\n2,1.0,,,0.5\n")
    assert history(copy) == [Epoch(1, 2.5, 0.25, 2.25, 1.5), Epoch(2, 1.0, None, None, 0.5)]
    assert history(str(copy)) == history(copy)


def test_a_bundle_without_a_history_has_no_epochs(copy: Path) -> None:
    """Neither a missing file nor one without rows is an error."""
    assert history(copy) == []
    (copy / "history.csv").write_text(HEADER)
    assert history(copy) == []


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"year,event\n1066,Hastings\n", "lacks epoch, loss, held_out_accuracy, held_out_loss, seconds"),
        (HEADER.encode() + b"1,2.5,0.25\n", "lacks held_out_loss, seconds"),
        (HEADER.encode() + b"one,2.5,,,1\n", "'one'"),
        (HEADER.encode() + b"1,,,,1\n", "damaged"),
        (b"\xff\xfe\x00", "damaged"),
    ],
)
def test_other_files_are_refused(copy: Path, content: bytes, reason: str) -> None:
    """A file of that name that is no history is one sentence that names the bundle's folder and what is wrong."""
    (copy / "history.csv").write_bytes(content)
    with pytest.raises(BundleError, match=reason) as caught:
        history(copy)
    assert str(copy) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_history_that_cannot_be_read_is_refused(copy: Path) -> None:
    """A folder in its place is one sentence, and so is a bundle that does not exist."""
    (copy / "history.csv").mkdir()
    with pytest.raises(BundleError, match="cannot be read"):
        history(copy)
    with pytest.raises(BundleError, match="no bundle"):
        history("no-such-bundle")
