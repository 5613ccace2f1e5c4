"""Read the history of a training: one row per epoch, in a CSV file beside the bundle."""

import csv
from pathlib import Path
from typing import NamedTuple

from tagger.models.card import HISTORY_FILE, damage_as_error
from tagger.models.registry import find_bundle


class Epoch(NamedTuple):
    """Metrics of one epoch of training; the fields are the columns of the file."""

    epoch: int
    """Counted from 1."""
    loss: float
    """Mean training loss."""
    held_out_accuracy: float | None
    """Accuracy on held-out images, 0..1; None if no images were held out."""
    held_out_loss: float | None
    seconds: float


def history(name: str | Path) -> list[Epoch]:
    """Return the epochs in which a bundle, given by name or folder, was trained; an empty list if it has no history.

    Raises `BundleError` if the bundle is missing or its history is damaged.
    """
    folder = find_bundle(name)
    with damage_as_error(folder):
        try:
            with (folder / HISTORY_FILE).open(encoding="utf-8", newline="") as file:
                rows = list(csv.DictReader(file))
        except FileNotFoundError:
            return []
        if rows and (lacking := [column for column in Epoch._fields if rows[0].get(column) is None]):
            raise ValueError(f"its {HISTORY_FILE} lacks {', '.join(lacking)}")
        return [
            Epoch(
                int(row["epoch"]),
                float(row["loss"]),
                float(row["held_out_accuracy"]) if row["held_out_accuracy"] else None,
                float(row["held_out_loss"]) if row["held_out_loss"] else None,
                float(row["seconds"]),
            )
            for row in rows
        ]
