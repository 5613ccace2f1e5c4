"""Histories that are no histories, and bundles that have none, are told in one sentence."""

from pathlib import Path

import pytest

from tagger.errors import BundleError
from tagger.models.history import history

HEADER = b"epoch,loss,held_out_accuracy,held_out_loss,seconds\n"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"year,event\n1066,Hastings\n", "lacks epoch, loss, held_out_accuracy, held_out_loss, seconds"),
        (HEADER + b"1,2.5,,,1\n2,2.5,0.25\n", "damaged"),
        (HEADER + b"one,2.5,,,1\n", "'one'"),
        (HEADER + b"1,,,,1\n", "damaged"),
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


def test_a_history_without_epochs_is_empty(copy: Path) -> None:
    """A file with its columns alone is a history of no epochs."""
    (copy / "history.csv").write_bytes(HEADER)
    assert history(copy) == []
