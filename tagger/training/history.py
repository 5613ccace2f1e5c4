"""Metrics of each training epoch: early stopping by them, and their table."""

from collections.abc import Sequence
from dataclasses import dataclass

from tagger.files import as_csv
from tagger.models.history import Epoch


@dataclass(frozen=True)
class EpochMetrics:
    """Metrics of one epoch; the held-out ones belong to the averaged weights and are None without held-out images."""

    epoch: int
    """Counted from 1."""
    epochs: int
    """Number of epochs of the whole training."""
    loss: float
    """Mean training loss in nats."""
    held_out_accuracy: float | None
    """0..1"""
    held_out_loss: float | None
    """Mean cross-entropy in nats."""
    seconds: float
    seconds_left: float
    """Estimated seconds to the end of training."""


def best_epoch(history: Sequence[EpochMetrics]) -> int:
    """Return the epoch, counted from 1, with the lowest held-out loss, the first of equal ones."""
    losses = [float("inf") if metrics.held_out_loss is None else metrics.held_out_loss for metrics in history]
    return losses.index(min(losses)) + 1


def is_patience_over(history: Sequence[EpochMetrics], patience: int) -> bool:
    """Return whether the held-out loss has not fallen for `patience` epochs; never with a patience of 0."""
    return patience > 0 and len(history) > 0 and len(history) - best_epoch(history) >= patience


def history_as_csv(history: Sequence[EpochMetrics]) -> bytes:
    """Return the columns of `models.history.Epoch` as a CSV, one row per epoch, with six decimals."""
    values = ([getattr(metrics, column) for column in Epoch._fields] for metrics in history)
    return as_csv([Epoch._fields, *(["" if value is None else round(value, 6) for value in row] for row in values)])
