"""Publish a trained network as a bundle: calibrate it, refuse a weak or worse one, measure it, write it."""

import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tagger import __version__
from tagger.catalog.labelled import labels_location
from tagger.catalog.output_paths import Input, Output, check_output_paths, fashion_mnist_files
from tagger.data.clothing import LABEL_TABLES
from tagger.data.fashion_mnist import contains_fashion_mnist
from tagger.errors import BundleError, TrainingError
from tagger.file_names import escape_surrogates
from tagger.files import write_file, write_json
from tagger.models import bundle
from tagger.models.bundle_name import check_name
from tagger.models.card import HISTORY_FILE, Card, check_replaceable
from tagger.models.network import Network, state_arrays
from tagger.models.side_files import METRICS, REPORT, TEST
from tagger.models.summary import count_macs, count_parameters
from tagger.photos.product import VERSION
from tagger.training.calibration import Calibration, EvaluationSet, calibrate
from tagger.training.compatibility import listed
from tagger.training.ensemble import member_checkpoints
from tagger.training.history import EpochMetrics, history_as_csv
from tagger.training.job import CHECKPOINT
from tagger.training.settings import TrainSettings

CARD_METRICS = ("accuracy", "macro_accuracy", "calibration_error", "n")
"""Metrics of each evaluation set that the card holds; `METRICS` holds all of them."""


@dataclass(frozen=True)
class TrainedBundle:
    """The bundle that was written, and the metrics of every epoch."""

    bundle: bundle.Bundle
    history: list[EpochMetrics]


@dataclass(frozen=True)
class Candidate:
    """A trained network with all that it takes to publish it as a bundle."""

    network: Network
    """On the CPU."""
    history: list[EpochMetrics]
    trained_on: int
    """Number of training images."""
    groups: dict[str, str]
    """Group of each label."""
    data: dict[str, str]
    """Checksums of the files that were trained on."""
    held_out: EvaluationSet | None
    """Images that neither the network nor a bundle to be replaced was trained on; None where all were trained on."""
    test: EvaluationSet
    knows_photos: bool
    """Whether the network was trained on photos, or a mix that stands for them."""
    mix: EvaluationSet | None = None
    """Images that calibrate a head for photos."""
    calibration: Calibration | None = None
    """Of a bundle that differs in its seed alone; None to calibrate on what is held out."""


def publish(settings: TrainSettings, candidate: Candidate) -> TrainedBundle:
    """Write a network as the bundle `settings.out`, with `history.csv` and `metrics.json` beside it, and return it.

    It is calibrated on what is held out, and the test set is predicted last. Raises `TrainingError`, and writes nothing, where
    the held-out accuracy is below `settings.floor` or a bundle in the folder is better; the checkpoint stays then.
    """
    blank = bundle.Bundle(_blank_card(settings, candidate), state_arrays(candidate.network), "")
    calibration = candidate.calibration
    if calibration is None:
        if candidate.held_out is None:
            raise TrainingError("Nothing is held out to calibrate on; give --calibrated-by a bundle of the same recipe.")
        calibration = calibrate(blank, candidate.held_out, candidate.mix, candidate.knows_photos)
    new = replace(blank, card=calibration.applied_to(blank.card))
    measured: dict[str, dict[str, Any]] = {}
    comparison = None
    if candidate.held_out is not None:
        probabilities = candidate.held_out.predict(new)
        measured["held_out"] = candidate.held_out.report(probabilities)
        check_floor(settings, measured["held_out"]["accuracy"])
        comparison = Comparison.on(candidate.held_out, probabilities, candidate.knows_photos)
    objection = check_regression(settings, comparison)
    measured["test"] = candidate.test.report(candidate.test.predict(new))
    return _write(settings, candidate, new.card, measured, objection)


def check_destination(settings: TrainSettings, recipe: Path | None = None) -> None:
    """Raise `BundleError` where the new bundle cannot have its name, or its folder holds the card of another program; and
    `OutputError` where the folder cannot be written, or a file in it that is replaced is an input.

    `recipe` is the recipe's file, if any. Bundles that are read may be replaced: they are loaded before.
    """
    check_name(settings.name or settings.out.resolve().name)
    given = [("the recipe", recipe), ("the pretrained weights", settings.pretrained)]
    given += [("a table of labels", settings.photos / name) for name in LABEL_TABLES] if settings.photos else []
    if settings.data is not None and not contains_fashion_mnist(settings.data):
        given.append(("the source itself", labels_location(str(settings.data))))
    inputs = [Input(name, path) for name, path in given if path is not None]
    beside = [settings.out / name for name in ("card.json", HISTORY_FILE, METRICS, TEST)]
    written = (file for file in (*beside, *_checkpoints(settings)) if os.path.lexists(file))
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
    """Raise `TrainingError` where the held-out accuracy, 0..1, is below `settings.floor`; the checkpoint stays."""
    if accuracy < settings.floor:
        raise TrainingError(
            f"Held-out accuracy is {accuracy:.4f}, below the floor of {settings.floor:.4f}; no bundle was written. "
            f"The checkpoint is {_checkpoints(settings)[0]}; give --resume with a lower --floor to accept it."
        )


@dataclass(frozen=True)
class Comparison:
    """Predictions of a new bundle, and how to get those of the bundle that it would replace, on the same images."""

    labels: Sequence[str]
    classes: NDArray[np.int64]
    """True labels, (n,), as numbers among the labels."""
    predicted: NDArray[np.int64]
    """The new bundle's predictions (n,)."""
    predict: Callable[[bundle.Bundle], NDArray[np.int64]]
    """Returns another bundle's predictions (n,), as numbers among its own card's labels."""
    knows_photos: bool = True
    """Whether the new bundle was trained on photos."""

    @classmethod
    def on(cls, held_out: EvaluationSet, probabilities: NDArray[np.float32], knows_photos: bool) -> "Comparison":
        """Return the comparison on held-out images of which the new bundle predicts the probabilities (n, labels)."""

        def predict(old: bundle.Bundle) -> NDArray[np.int64]:
            return np.asarray(held_out.predict(old).argmax(1))

        return cls(held_out.images.names, held_out.classes, probabilities.argmax(1), predict, knows_photos)


def check_regression(settings: TrainSettings, comparison: Comparison | None) -> str:
    """Return why the bundle that is in `settings.out` is better than the new one; empty where it is not, or none is there.

    The new bundle must be right no less often on the images that both hold out, and of no class less often by more than
    `settings.tolerance`. `comparison` is None for a network trained on everything. Raises `TrainingError` where the old one is
    better, or they cannot be compared, unless `settings.force`.
    """
    objection = _objection(settings, comparison)
    if objection and not settings.force:
        raise TrainingError(
            f"{objection} Nothing was replaced; give --resume --force to replace it all the same, or another --out."
        )
    return objection


def _objection(settings: TrainSettings, comparison: Comparison | None) -> str:
    if not (settings.out / "card.json").is_file():
        return ""
    try:
        old = bundle.load(settings.out)
    except BundleError as error:
        return f"{error} So it cannot be compared with the new bundle."
    if comparison is None or old.card.recipe.get("calibrated_by"):
        return f"No images are held out of both {old.model} and the new bundle, so they cannot be compared."
    if set(old.card.labels) != set(comparison.labels):
        return f"{old.model} has other labels ({listed(old.card.labels)}) than the new bundle, so they cannot be compared."
    if old.card.network.photo_classes and not comparison.knows_photos:
        return f"{old.model} was trained on photos and the new bundle was not, so it would be worse on photos."
    return _regression(old, comparison, settings.tolerance)


def _regression(old: bundle.Bundle, comparison: Comparison, tolerance: float) -> str:
    """Return where the new bundle is worse than the old one: in all, or in a class by more than the tolerance, 0..1."""
    numbers = np.array([comparison.labels.index(label) for label in old.card.labels])
    before = numbers[comparison.predict(old)] == comparison.classes
    after = comparison.predicted == comparison.classes
    worse = []
    if after.mean() < before.mean():
        worse.append(f"{after.mean():.4f} instead of {before.mean():.4f} of all")
    for number, label in enumerate(comparison.labels):
        own = comparison.classes == number
        # A little slack: shares of whole images that differ by just the tolerance must not fail by a rounding error.
        if own.any() and before[own].mean() - after[own].mean() > tolerance + 1e-9:
            worse.append(f"{after[own].mean():.3f} instead of {before[own].mean():.3f} of {label}")
    if not worse:
        return ""
    count = f"{len(comparison.classes):,} held-out images"
    return f"The new bundle is worse than {old.model} on the {count}: right are {', '.join(worse)}."


def _blank_card(settings: TrainSettings, candidate: Candidate) -> Card:
    """Return the card of a network before it is calibrated and measured."""
    return Card(
        name=escape_surrogates(settings.name or settings.out.resolve().name),
        labels=tuple(candidate.test.images.names),
        groups=candidate.groups,
        network=candidate.network.config,
        garment_version=VERSION,
        temperature=1.0,
        min_confidence=1.0,
        recipe=asdict(settings.recipe) | {"threshold_precision": 1.0, "calibrated_by": settings.calibrated_by or ""},
        data=candidate.data,
        versions={"fmtag": __version__, "torch": torch.__version__, "python": platform.python_version()},
    )


def _write(
    settings: TrainSettings, candidate: Candidate, card: Card, measured: Mapping[str, Mapping[str, Any]], objection: str
) -> TrainedBundle:
    """Write the bundle with its metrics; an `objection` that was overruled stands in its card as `forced`."""
    metrics = {
        **{part: {name: report[name] for name in CARD_METRICS} for part, report in measured.items()},
        "parameters": count_parameters(candidate.network),
        "macs": count_macs(candidate.network),
        "trained_on": candidate.trained_on,
        "seconds": round(sum(epoch.seconds for epoch in candidate.history)),
        **({"forced": objection} if objection else {}),
    }
    written = bundle.save(settings.out, replace(card, metrics=metrics), candidate.network)
    write_file(settings.out / HISTORY_FILE, history_as_csv(candidate.history))
    write_json(settings.out / METRICS, measured)
    for checkpoint in _checkpoints(settings):
        checkpoint.unlink()
    return TrainedBundle(written, candidate.history)


def _checkpoints(settings: TrainSettings) -> list[Path]:
    return member_checkpoints(settings.out / CHECKPOINT, settings.recipe.ensemble)
