"""Metrics of the epochs: the best one, patience, and the table."""
# ruff: noqa: SIM300 - what is expected stands first, as in every test here

import pytest

from tagger.training.history import EpochMetrics, best_epoch, history_as_csv, is_patience_over


def history_of(*losses: float | None) -> list[EpochMetrics]:
    """Return the metrics of epochs with these held-out losses."""
    return [EpochMetrics(at, len(losses), 0.5, None, loss, 1.5, 3.0) for at, loss in enumerate(losses, 1)]


@pytest.mark.parametrize(
    ("losses", "best"), [([0.3], 1), ([0.3, 0.2, 0.4], 2), ([0.3, 0.2, 0.2], 2), ([None, 0.9], 2), ([0.4, None], 1)]
)
def test_the_best_epoch_has_the_lowest_loss(losses: list[float | None], best: int) -> None:
    """The best epoch has the lowest held-out loss; of equal ones it is the first."""
    assert best == best_epoch(history_of(*losses))


@pytest.mark.parametrize(
    ("losses", "patience", "over"),
    [
        ([], 1, False),
        ([0.3], 1, False),
        ([0.3, 0.3], 1, True),
        ([0.3, 0.2], 1, False),
        ([0.2, 0.3], 2, False),
        ([0.2, 0.3, 0.25], 2, True),
        ([0.2, 0.3, 0.4, 0.5], 0, False),
    ],
)
def test_patience_counts_epochs_since_the_best(losses: list[float], patience: int, over: bool) -> None:
    """Patience is over after as many epochs without a lower loss, and never where it is 0."""
    assert over == is_patience_over(history_of(*losses), patience)


def test_the_table_has_a_row_per_epoch() -> None:
    """The table has the columns that readers of `history.csv` expect; what was not measured is empty."""
    rows = history_as_csv(history_of(0.12345678, None)).decode().splitlines()
    assert ["epoch,loss,held_out_accuracy,held_out_loss,seconds", "1,0.5,,0.123457,1.5", "2,0.5,,,1.5"] == rows
