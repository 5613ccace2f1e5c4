"""A trained network takes its place as a bundle, held against the one that is there, with history and figures beside it."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagger.catalog.labelled import labels_location
from tagger.catalog.output_paths import Input, Output, check_output_paths, fashion_mnist_files
from tagger.data.clothing import LABEL_TABLES
from tagger.data.fashion_mnist import contains_fashion_mnist
from tagger.errors import BundleError, TrainingError
from tagger.files import as_csv, write_file, write_json
from tagger.models import bundle
from tagger.models.card import HISTORY_FILE, Card, check_replaceable
from tagger.models.history import Epoch
from tagger.models.network import Network
from tagger.models.side_files import METRICS, REPORT, TEST
from tagger.models.summary import count_macs, count_parameters
from tagger.training.ensemble import checkpoints
from tagger.training.settings import TrainSettings
from tagger.training.trainer import EpochMetrics

CARD_METRICS = ("accuracy", "macro_accuracy", "calibration_error", "n")
"""Figures of each part that stand in the card; `METRICS` has all of them."""


@dataclass(frozen=True)
class TrainedBundle:
    """The bundle that was written and the figures of every epoch."""

    bundle: bundle.Bundle
    history: list[EpochMetrics]


@dataclass(frozen=True)
class Validation:
    """What tells whether a new bundle may replace an old one: pictures that neither has learnt."""

    labels: Sequence[str]
    classes: NDArray[np.int64]
    """The true ones, (n,), as numbers among the labels."""
    predicted: NDArray[np.int64]
    """What the new bundle says of each picture (n,)."""
    predict: Callable[[bundle.Bundle], NDArray[np.int64]]
    """What another bundle says of each picture (n,), as numbers among its own card's labels."""
    knows_photos: bool = True
    """Whether the new bundle has learnt photos."""


def check_output_paths_of(settings: TrainSettings, recipe: Path | None = None) -> None:
    """Raise `OutputError` where the bundle's folder cannot be written, or a file in it that is replaced is one that is read.

    `recipe` is the recipe's file, where there is one. Bundles that are read may be replaced: they are loaded before.
    """
    given = [("the recipe", recipe), ("the pretrained weights", settings.pretrained)]
    given += [("a table of labels", settings.photos / name) for name in LABEL_TABLES] if settings.photos else []
    if settings.data is not None and not contains_fashion_mnist(settings.data):
        given.append(("the source itself", labels_location(str(settings.data))))
    inputs = [Input(name, path) for name, path in given if path is not None]
    beside = [settings.out / name for name in ("card.json", HISTORY_FILE, METRICS, TEST)]
    written = (file for file in (*beside, *checkpoints(settings.out, settings.recipe)) if os.path.lexists(file))
    check_output_paths(
        [
            Output("--out", settings.out, "folder"),
            Output("--out", settings.out / REPORT, "images"),
            *(Output("--out", file) for file in written),
        ],
        [*inputs, *fashion_mnist_files(settings.data)],
    )
    check_replaceable(settings.out)


def check_floor(settings: TrainSettings, accuracy: float) -> None:
    """Raise `TrainingError` where the accuracy on what is held out, 0..1, is below `settings.floor`; the checkpoint stays."""
    if accuracy < settings.floor:
        raise TrainingError(
            f"Held-out accuracy is {accuracy:.4f}, below the floor of {settings.floor:.4f}; no bundle was written. "
            f"The checkpoint is {checkpoints(settings.out, settings.recipe)[0]}."
        )


def check_regression(settings: TrainSettings, held_out: Validation | None) -> str:
    """Return why the bundle that is in `settings.out` should stay there; empty where there is none, or nothing speaks for it.

    A new bundle may take its place where it is right no less often on what both have held out, and of no class by more than
    `settings.tolerance` less often. `held_out` None is for a network that has learnt everything. Raises `TrainingError` where
    something speaks for the old one and nobody insists.
    """
    objection = _objection(settings, held_out)
    if objection and not settings.force:
        raise TrainingError(f"{objection} Nothing was replaced; insist with --resume --force, or give another --out.")
    return objection


def publish(
    settings: TrainSettings,
    card: Card,
    network: Network,
    history: list[EpochMetrics],
    trained_on: int,
    measured: Mapping[str, Mapping[str, Any]],
    objection: str = "",
) -> TrainedBundle:
    """Write the bundle to `settings.out`, with `history.csv` and `metrics.json` beside it, and return it.

    `measured` are the figures of each part that was not learnt, as `metrics.measure` returns them: all of them stand in
    `metrics.json`, the chief ones in the card, and there as `forced` an `objection` that was overruled.
    """
    metrics = {
        **{part: {name: every[name] for name in CARD_METRICS} for part, every in measured.items()},
        "parameters": count_parameters(network),
        "macs": count_macs(network),
        "trained_on": trained_on,
        "seconds": round(sum(each.seconds for each in history)),
        **({"forced": objection} if objection else {}),
    }
    written = bundle.save(settings.out, replace(card, metrics=metrics), network)
    write_file(settings.out / HISTORY_FILE, _history_as_csv(history))
    write_json(settings.out / METRICS, measured)
    for checkpoint in checkpoints(settings.out, settings.recipe):
        checkpoint.unlink()
    return TrainedBundle(written, history)


def _objection(settings: TrainSettings, held_out: Validation | None) -> str:
    if not (settings.out / "card.json").is_file():
        return ""
    try:
        old = bundle.load(settings.out)
    except BundleError as error:
        return f"{error} So it cannot be compared with the new bundle."
    if held_out is None or old.card.recipe.get("calibrated_by"):
        return f"No pictures are held out of both {old.model} and the new bundle, so nothing tells which is better."
    if set(old.card.labels) != set(held_out.labels):
        return f"{old.model} has other labels ({_some(old.card.labels)}) than the new bundle, so they cannot be compared."
    if old.card.network.photo_classes and not held_out.knows_photos:
        return f"{old.model} has learnt photos and the new bundle has not, so it would know photos less well."
    return _worse(old, held_out, settings.tolerance)


def _worse(old: bundle.Bundle, held_out: Validation, tolerance: float) -> str:
    """Return where the new bundle is worse than the old one: in all, or in some class by more than the tolerance, 0..1."""
    numbers = np.array([held_out.labels.index(label) for label in old.card.labels])
    before = numbers[held_out.predict(old)] == held_out.classes
    after = held_out.predicted == held_out.classes
    worse = []
    if after.mean() < before.mean():
        worse.append(f"{after.mean():.4f} instead of {before.mean():.4f} of all")
    for number, label in enumerate(held_out.labels):
        own = held_out.classes == number
        # A hair of slack: shares of whole pictures that differ by just the tolerance are not to fail by a rounding.
        if own.any() and before[own].mean() - after[own].mean() > tolerance + 1e-9:
            worse.append(f"{after[own].mean():.3f} instead of {before[own].mean():.3f} of {label}")
    if not worse:
        return ""
    count = f"{len(held_out.classes):,} held-out pictures"
    return f"The new bundle is worse than {old.model} on the {count}: right are {', '.join(worse)}."


def _some(labels: Sequence[str]) -> str:
    return ", ".join(labels[:10]) + (", ..." if len(labels) > 10 else "")


def _history_as_csv(history: Sequence[EpochMetrics]) -> bytes:
    values = ([getattr(metrics, column) for column in Epoch._fields] for metrics in history)
    return as_csv([Epoch._fields, *(["" if value is None else round(value, 6) for value in row] for row in values)])
