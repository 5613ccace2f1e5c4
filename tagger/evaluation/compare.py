"""Bundles beside each other on Fashion-MNIST's test set: how right and how sure of it, how large, how fast, what is chance."""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from tagger.data import fashion_mnist, splits
from tagger.data.images import Images
from tagger.data.labels import LABELS
from tagger.errors import BundleError
from tagger.evaluation.settings import CompareSettings
from tagger.inference.predictor import Predictor, native_predictions
from tagger.metrics import classification
from tagger.metrics.calibration import fit_temperature
from tagger.metrics.rounding import rounded
from tagger.metrics.significance import mcnemar_p_value
from tagger.models import bundle
from tagger.models.card import Card, read
from tagger.models.summary import count_macs, count_parameters
from tagger.training.recipe import with_recipe_defaults

BATCHES = (1, 256)
"""Sizes of the batches that are timed."""


@dataclass(frozen=True)
class ModelFamily:
    """Bundles of one shape and recipe, which differ in their seeds alone, with what they say of the test set."""

    names: tuple[str, ...]
    parameters: int
    macs: int
    size: int
    """Bytes of one bundle's weights."""
    seconds: float | None
    """Of training, mean over the bundles whose card has them."""
    pictures_a_second: dict[int, float]
    """By size of the batch; empty where no speed was measured."""
    probabilities: tuple[Tensor, ...]
    """Calibrated probabilities (n, classes) of each."""
    together: Tensor
    """Those of their mean, with a temperature of its own from the held-out pictures."""


@dataclass(frozen=True)
class Comparison:
    """The families, in the order of the first bundle of each, and how likely each difference is by chance."""

    families: tuple[ModelFamily, ...]
    labels: NDArray[np.int64]
    """True classes (n,) of the test set."""

    def rows(self) -> list[dict[str, Any]]:
        """Return a row a family, figures being means over its bundles; and one for the ensemble of several."""
        rows = []
        for family in self.families:
            rows.append(_row(family, family.probabilities, self.labels))
            if len(family.probabilities) > 1:
                rows.append(_ensemble_row(family, self.labels))
        return rows

    def differences(self) -> list[dict[str, Any]]:
        """Return a row for every two of: each family's first bundle, and its ensemble where it has several."""
        right = [(family.names[0], _right(family.probabilities[0], self.labels)) for family in self.families]
        right += [(_ensemble(family), _right(family.together, self.labels)) for family in self.families if family.names[1:]]
        return [
            {
                "first": one,
                "second": other,
                "only_first_right": int((by_one & ~by_other).sum()),
                "only_second_right": int((by_other & ~by_one).sum()),
                "p": mcnemar_p_value(by_one, by_other),
            }
            for (one, by_one), (other, by_other) in combinations(right, 2)
        ]


def compare(settings: CompareSettings, timed: bool = True) -> Comparison:
    """Return bundles beside each other on Fashion-MNIST's test set, and, where `timed`, how fast they are on this CPU.

    What is asked are single views, as calibrated as the bundles are; a bundle that is given twice counts once. Raises
    `BundleError` where there is no such bundle, or one has other labels.
    """
    cards = _cards(settings.models)
    times = Counter(card.name for card in cards.values())
    alike: dict[str, dict[str, str]] = defaultdict(dict)
    for given, card in cards.items():
        alike[_kind(card)][given] = card.name if times[card.name] == 1 else given
    _, held_out = splits.validation_split(fashion_mnist.load_fashion_mnist("train", settings.data))
    test = fashion_mnist.load_fashion_mnist("test", settings.data)
    families = tuple(_family(shown, held_out, test, timed) for shown in alike.values())
    return Comparison(families, test.labels.numpy())


def _cards(models: Sequence[str]) -> dict[str, Card]:
    """Return the cards of the bundles, each bundle once, by the first name or folder that is given for it."""
    first: dict[str, tuple[str, Card]] = {}
    for given in models:
        signed = read(given)
        if signed.card.labels != LABELS:
            raise BundleError(
                f"{signed.model} has other labels than Fashion-MNIST, so its test set does not tell how right it is."
            )
        first.setdefault(signed.fingerprint, (given, signed.card))
    return dict(first.values())


def predictions_of(member: bundle.Bundle, pictures: Images) -> Tensor:
    """Return the calibrated probabilities (n, classes) that a bundle gives Fashion-MNIST's pictures."""
    return native_predictions(member.network(), pictures.pixels, member.card.temperature)


def _kind(card: Card) -> str:
    """Return what bundles have in common that differ in their seed alone."""
    return json.dumps([asdict(card.network), with_recipe_defaults(card.recipe) | {"seed": 0}], sort_keys=True)


def _family(shown: Mapping[str, str], held_out: Images, test: Images, timed: bool) -> ModelFamily:
    """Return the bundles of one kind, by the name or folder of each and what it is called beside the others."""
    members = [bundle.load(name) for name in shown]
    network = members[0].network()
    known, tested = ([predictions_of(member, pictures) for member in members] for pictures in (held_out, test))
    temperature = fit_temperature(torch.stack(known).mean(0).log(), held_out.labels)
    seconds = [member.card.metrics["seconds"] for member in members if "seconds" in member.card.metrics]
    return ModelFamily(
        names=tuple(shown.values()),
        parameters=count_parameters(network),
        macs=count_macs(network),
        size=len(read(next(iter(shown))).weights()),
        seconds=float(np.mean(seconds)) if seconds else None,
        pictures_a_second=Predictor(members[0], "cpu").images_per_second(BATCHES) if timed else {},
        probabilities=tuple(tested),
        together=(torch.stack(tested).mean(0).log() / temperature).softmax(1),
    )


def _row(family: ModelFamily, probabilities: Sequence[Tensor], labels: NDArray[np.int64]) -> dict[str, Any]:
    """Return a family's figures, means over `said`, with the standard deviation of the accuracy."""
    every = [_metrics(one, labels) for one in probabilities]
    return {
        "name": ", ".join(family.names),
        "seeds": len(probabilities),
        **{name: rounded(np.mean([figures[name] for figures in every])) for name in every[0]},
        "accuracy_deviation": rounded(np.std([figures["accuracy"] for figures in every], ddof=1)) if every[1:] else None,
        "parameters": family.parameters,
        "macs": family.macs,
        "bytes": family.size,
        **{f"pictures_a_second_{batch}": round(speed) for batch, speed in family.pictures_a_second.items()},
        "training_seconds": None if family.seconds is None else round(family.seconds),
    }


def _ensemble_row(family: ModelFamily, labels: NDArray[np.int64]) -> dict[str, Any]:
    """Return the figures of a family's bundles asked together, which cost as much as all of them."""
    count = len(family.probabilities)
    row = _row(family, (family.together,), labels) | {"name": _ensemble(family), "seeds": count}
    for name in ("parameters", "macs", "bytes"):
        row[name] *= count
    for batch, speed in family.pictures_a_second.items():
        row[f"pictures_a_second_{batch}"] = round(speed / count)
    if family.seconds is not None:
        row["training_seconds"] = round(count * family.seconds)
    return row


def _ensemble(family: ModelFamily) -> str:
    return f"{len(family.probabilities)} x {family.names[0]}"


def _metrics(probabilities: Tensor, labels: NDArray[np.int64]) -> dict[str, float]:
    """Return accuracy, macro precision, recall and F1, calibration error, accuracy at two coverages, cross-entropy in nats."""
    measured = classification.classification_report(
        probabilities.argmax(1).numpy(), probabilities.amax(1).numpy(), labels, LABELS
    )
    classes = measured["per_class"].values()
    coverage = {row["coverage"]: row["accuracy"] for row in measured["coverage"]}
    return {
        "accuracy": measured["accuracy"],
        **{f"macro_{name}": float(np.mean([row[name] for row in classes])) for name in ("precision", "recall", "f1")},
        "calibration_error": measured["calibration_error"],
        "accuracy_at_90": coverage[0.9],
        "accuracy_at_80": coverage[0.8],
        "cross_entropy": functional.nll_loss(probabilities.clamp_min(1e-12).log(), torch.from_numpy(labels)).item(),
    }


def _right(probabilities: Tensor, labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    right: NDArray[np.bool_] = probabilities.argmax(1).numpy() == labels
    return right
