"""Compare bundles on the Fashion-MNIST test set: accuracy, calibration, size, speed, significance of the differences."""

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
from tagger.inference.predictor import Predictor
from tagger.inference.torch_network import native_predictions
from tagger.metrics import classification
from tagger.metrics.calibration import fit_temperature
from tagger.metrics.rounding import rounded
from tagger.metrics.significance import mcnemar_p_value
from tagger.models import bundle
from tagger.models.card import Card, read
from tagger.models.summary import count_macs, count_parameters
from tagger.training.recipe import with_recipe_defaults

BATCHES = (1, 256)
"""Batch sizes that are timed."""


@dataclass(frozen=True)
class ModelFamily:
    """Bundles of one architecture and recipe, which differ in their seed alone, with their predictions on the test set."""

    names: tuple[str, ...]
    parameters: int
    macs: int
    """Multiply-accumulates per image."""
    size: int
    """Bytes of one bundle's weights."""
    seconds: float | None
    """Duration of training, mean over the bundles whose card has it; None where no card has."""
    images_per_second: dict[int, float]
    """Images per second by batch size; empty where speed was not measured."""
    probabilities: tuple[Tensor, ...]
    """Calibrated probabilities (n, classes) of each bundle."""
    ensemble: Tensor
    """Probabilities (n, classes) of the bundles' mean, with a temperature of its own fitted on the held-out images."""


@dataclass(frozen=True)
class Comparison:
    """The families of bundles, in the order of the first bundle of each, and the true classes of the test set."""

    families: tuple[ModelFamily, ...]
    labels: NDArray[np.int64]
    """True classes (n,) of the test set."""

    def rows(self) -> list[dict[str, Any]]:
        """Return a row for each family with means over its bundles, and one for the ensemble of a family of several."""
        rows = []
        for family in self.families:
            rows.append(_row(family, family.probabilities, self.labels))
            if len(family.probabilities) > 1:
                rows.append(_ensemble_row(family, self.labels))
        return rows

    def differences(self) -> list[dict[str, Any]]:
        """Return a row with McNemar's p-value for every pair among the families' first bundles and ensembles."""
        right = [(family.names[0], _right(family.probabilities[0], self.labels)) for family in self.families]
        right += [
            (_ensemble_name(family), _right(family.ensemble, self.labels)) for family in self.families if family.names[1:]
        ]
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
    """Return the bundles' metrics on Fashion-MNIST's test set and, where `timed`, their speed on this CPU.

    Predictions are of single views, calibrated as in the bundle; a bundle that is given twice counts once. Raises
    `BundleError` where a bundle does not exist or its network has other labels than Fashion-MNIST.
    """
    cards = _cards(settings.models)
    names = Counter(card.name for card in cards.values())
    kinds: dict[str, dict[str, str]] = defaultdict(dict)
    for given, card in cards.items():
        kinds[_kind(card)][given] = card.name if names[card.name] == 1 else given
    _, held_out = splits.validation_split(fashion_mnist.load_fashion_mnist("train", settings.data))
    test = fashion_mnist.load_fashion_mnist("test", settings.data)
    families = tuple(_family(shown, held_out, test, timed) for shown in kinds.values())
    return Comparison(families, test.labels.numpy())


def _cards(models: Sequence[str]) -> dict[str, Card]:
    """Return the cards of the bundles, each bundle once, by the first name or folder given for it.

    Raises `BundleError` where one has other labels than Fashion-MNIST, be they the card's or those of the network below an
    adapter: the network is measured without the adapter.
    """
    first: dict[str, tuple[str, Card]] = {}
    for given in models:
        stored = read(given)
        for labels, owner in (
            (stored.card.labels, stored.model),
            (tuple(stored.card.network_groups), f"The network of {stored.model}"),
        ):
            if labels != LABELS:
                raise BundleError(
                    f"{owner} has other labels than Fashion-MNIST, so its test set cannot measure it; compare bundles with "
                    f"the labels {', '.join(LABELS)}."
                )
        first.setdefault(stored.fingerprint, (given, stored.card))
    return dict(first.values())


def predictions_of(member: bundle.Bundle, images: Images) -> Tensor:
    """Return a bundle's calibrated probabilities (n, classes) for Fashion-MNIST's images, from a single view of each."""
    return native_predictions(member.network(), images.pixels, member.card.temperature)


def _kind(card: Card) -> str:
    """Return a key that is equal for bundles that differ in their seed alone."""
    return json.dumps([asdict(card.network), with_recipe_defaults(card.recipe) | {"seed": 0}], sort_keys=True)


def _family(shown: Mapping[str, str], held_out: Images, test: Images, timed: bool) -> ModelFamily:
    """Return the family of the bundles `shown`: the name or folder of each with the name that it has in the rows."""
    members = [bundle.load(name) for name in shown]
    network = members[0].network()
    on_held_out, on_test = ([predictions_of(member, images) for member in members] for images in (held_out, test))
    temperature = fit_temperature(torch.stack(on_held_out).mean(0).log(), held_out.labels)
    seconds = [member.card.metrics["seconds"] for member in members if "seconds" in member.card.metrics]
    return ModelFamily(
        names=tuple(shown.values()),
        parameters=count_parameters(network),
        macs=count_macs(network),
        size=len(read(next(iter(shown))).weights()),
        seconds=float(np.mean(seconds)) if seconds else None,
        images_per_second=Predictor(members[0], "cpu").open().images_per_second(BATCHES) if timed else {},
        probabilities=tuple(on_test),
        ensemble=(torch.stack(on_test).mean(0).log() / temperature).softmax(1),
    )


def _row(family: ModelFamily, probabilities: Sequence[Tensor], labels: NDArray[np.int64]) -> dict[str, Any]:
    """Return a family's metrics, means over the bundles' `probabilities`, with the standard deviation of the accuracy."""
    measured = [_metrics(member, labels) for member in probabilities]
    return {
        "name": ", ".join(family.names),
        "seeds": len(probabilities),
        **{name: rounded(np.mean([metrics[name] for metrics in measured])) for name in measured[0]},
        "accuracy_deviation": rounded(np.std([metrics["accuracy"] for metrics in measured], ddof=1)) if measured[1:] else None,
        "parameters": family.parameters,
        "macs": family.macs,
        "bytes": family.size,
        **{f"pictures_a_second_{batch}": round(speed) for batch, speed in family.images_per_second.items()},
        "training_seconds": None if family.seconds is None else round(family.seconds),
    }


def _ensemble_row(family: ModelFamily, labels: NDArray[np.int64]) -> dict[str, Any]:
    """Return the metrics of the ensemble of a family's bundles, which costs as much as all of them."""
    count = len(family.probabilities)
    row = _row(family, (family.ensemble,), labels) | {"name": _ensemble_name(family), "seeds": count}
    for name in ("parameters", "macs", "bytes"):
        row[name] *= count
    for batch, speed in family.images_per_second.items():
        row[f"pictures_a_second_{batch}"] = round(speed / count)
    if family.seconds is not None:
        row["training_seconds"] = round(count * family.seconds)
    return row


def _ensemble_name(family: ModelFamily) -> str:
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
