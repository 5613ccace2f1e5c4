"""The history of a training: one row per epoch, stored beside the bundle."""

import csv
from pathlib import Path
from typing import NamedTuple

from tagger.models.card import HISTORY_FILE, damage_as_error
from tagger.models.registry import find_bundle


class Epoch(NamedTuple):
    """How training stood after an epoch, counted from 1; what was held out is None where nothing was."""

    epoch: int
    loss: float
    held_out_accuracy: float | None
    """0..1"""
    held_out_loss: float | None
    seconds: float


def history(name: str | Path) -> list[Epoch]:
    """Return the epochs of the training of the bundle that `read` would find; none where it has no history.

    Raises `BundleError` where there is no such bundle, or what it holds is no history.
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
