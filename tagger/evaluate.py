"""Measures a bundle on labelled photos or on Fashion-MNIST's test set, through the very rooms that `run` uses."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tagger import bundle, metrics, source
from tagger.dataset import fashion_mnist
from tagger.errors import DatasetError
from tagger.pipeline import Scored, Tagger
from tagger.predict import Predictor
from tagger.records import Failed, Item
from tagger.settings import EvaluateSettings

FASHION_MNIST = "fashion-mnist"


@dataclass
class _Tally:
    """What is gathered over the photos of one evaluation."""

    probabilities: list[np.ndarray] = field(default_factory=list)
    truth: list[int] = field(default_factory=list)
    unflagged: list[bool] = field(default_factory=list)
    failed: Counter[str] = field(default_factory=Counter)
    not_recognised: int = 0
    other_labels: Counter[str] = field(default_factory=Counter)
    others_flagged: int = 0


def evaluate(settings: EvaluateSettings, scored: Callable[[int], None] = lambda count: None) -> dict[str, Any]:
    """Return the figures of `metrics.measure` and what became of the photos that they leave out.

    The source is `fashion-mnist` (its test set), a folder with one subfolder a class, or a table with an image and a
    label column. Photos that cannot be read are counted under `failed` and left out. Photos without a product found
    are wrong answers. Photos with a label that the bundle does not know count under `other_labels`: for them there is
    no right tag, only a right flag. Raises `DatasetError` where no photo carries a known label.
    """
    if settings.source == FASHION_MNIST and not Path(FASHION_MNIST).exists():
        return _evaluate_test_set(settings)
    tagger = Tagger(settings.model, device=settings.device, batch_size=settings.batch_size, workers=settings.workers)
    tally = _Tally()
    for count, one in enumerate(tagger.score(_labelled(settings)), 1):
        _take(tally, one, tagger)
        scored(count)
    labels = tagger.bundle.card.labels
    if not tally.truth:
        found = ", ".join(sorted(tally.other_labels)) or "none"
        raise DatasetError(
            f"{settings.source} holds no readable photo with a label of this bundle ({', '.join(labels)}); "
            f"its labels are: {found}."
        )
    figures = metrics.measure(np.stack(tally.probabilities), np.array(tally.truth), labels)
    unflagged = np.array(tally.unflagged)
    right = np.stack(tally.probabilities).argmax(axis=1) == np.array(tally.truth)
    return figures | {
        "model": tagger.bundle.model,
        "group_accuracy": _group_accuracy(tally, tagger.bundle.card),
        "min_confidence": tagger.min_confidence,
        "unflagged_share": round(float(unflagged.mean()), 6),
        "unflagged_accuracy": round(float(right[unflagged].mean()), 6) if unflagged.any() else None,
        "not_recognised": tally.not_recognised,
        "failed": dict(tally.failed),
        "other_labels": dict(tally.other_labels),
        "other_labels_flagged": tally.others_flagged,
    }


def _evaluate_test_set(settings: EvaluateSettings) -> dict[str, Any]:
    loaded = bundle.load(settings.model)
    pictures = fashion_mnist("test", settings.data)
    probabilities = Predictor(loaded, settings.device)(list(pictures.pixels[:, 0].numpy()))
    figures = metrics.measure(probabilities, pictures.labels.numpy(), loaded.card.labels)
    return figures | {"model": loaded.model}


def _labelled(settings: EvaluateSettings) -> Iterator[Item]:
    """Yield the items, each with its label in its columns under ''."""
    opened = source.open_source(settings.source, settings.image_column)
    if not Path(settings.source).is_dir():
        column = source.label_column(opened.columns, settings.label_column)
        for item in opened.items:
            yield Item(item.path, item.file, {"": str(item.columns[column] or "")}, item.problem)
        return
    for item in opened.items:
        folder, slash, _ = item.path.partition("/")
        if not slash:
            raise DatasetError(
                f"{settings.source} holds {item.path} outside any subfolder; sort the photos into one subfolder a class, "
                "or give a table with an image and a label column."
            )
        yield Item(item.path, item.file, {"": folder}, item.problem)


def _take(tally: _Tally, one: Scored, tagger: Tagger) -> None:
    labels = tagger.bundle.card.labels
    label = _known(str(one.item.columns[""]), labels)
    if isinstance(one.outcome, Failed):
        tally.failed[one.outcome.reason] += 1
        return
    flagged = tagger.decide(one).low_confidence
    if label not in labels:
        tally.other_labels[label] += 1
        tally.others_flagged += flagged
        return
    tally.truth.append(labels.index(label))
    tally.unflagged.append(not flagged)
    if one.probabilities is None:
        tally.not_recognised += 1
        tally.probabilities.append(metrics.no_guess(tally.truth[-1], len(labels)))
    else:
        tally.probabilities.append(one.probabilities)


def _known(label: str, labels: tuple[str, ...]) -> str:
    """Return the bundle's own spelling of a label: folders cannot hold a /, and people vary the case."""
    return {_plain(known): known for known in labels}.get(_plain(label), label)


def _plain(label: str) -> str:
    return re.sub(r"[\W_]+", "", label).casefold()


def _group_accuracy(tally: _Tally, card: bundle.Card) -> float:
    groups = [card.groups[label] for label in card.labels]
    predicted = np.stack(tally.probabilities).argmax(axis=1)
    right = [groups[said] == groups[true] for said, true in zip(predicted, tally.truth, strict=True)]
    return round(float(np.mean(right)), 6)
