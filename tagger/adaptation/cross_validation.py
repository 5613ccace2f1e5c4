"""Cross-validation of an adaptation over whole products, so that no photo is tagged by an adapter that knows its product."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from tagger.adaptation.examples import LabelledExamples
from tagger.adaptation.fit import (
    STRENGTHS,
    STRENGTHS_BESIDE_MEANS,
    balanced_subset,
    fit_adapter,
    fit_heads,
    head_probabilities,
)
from tagger.arrays import Classes, Float32s, softmax
from tagger.inference.predictor import Features
from tagger.metrics.calibration import fit_temperature
from tagger.models.adapter import MIN_PROBABILITY

FOLDS = 5

MAX_STRENGTH_EXAMPLES = 20_000
"""Maximum number of labelled photos on which the strength is chosen; far fewer give the same choice."""


@dataclass(frozen=True)
class CrossValidation:
    """The best strength of regularisation, and the out-of-fold probabilities of the labelled photos."""

    strength: float
    probabilities: Float32s
    """Probabilities (l, K + 1) by adapters that were fitted without the product of the photo; zeros for photos in no fold."""
    validated: Classes
    """Indices, among the labelled photos (l,), of those that were in a fold; the only product of its class is in none."""


def cross_validate(
    features_without: Callable[[Classes], Features], examples: LabelledExamples, cautious: bool = False
) -> CrossValidation | None:
    """Cross-validate an adaptation in folds of whole products; return None where no label has photos of two products.

    `features_without` returns the catalog's features by a network that has not been trained on the examples with the given
    indices (m,).
    """
    folds = _folds(examples)
    if not folds:
        return None
    features_of_folds = [features_without(left_out) for left_out in folds]
    strength = _best_strength(features_of_folds, examples, folds)
    probabilities = np.zeros((len(examples.photos), len(examples.labels) + 1), np.float32)
    for features, left_out in zip(features_of_folds, folds, strict=True):
        rest = examples.take(np.setdiff1d(np.arange(len(examples.photos)), left_out))
        adapter = fit_adapter(features, rest, strength, cautious)
        photos = examples.photos[left_out]
        probabilities[left_out] = adapter.predict(features.probabilities[photos], features.maps[photos])
    return CrossValidation(strength, probabilities, np.sort(np.concatenate(folds)))


def _folds(examples: LabelledExamples) -> list[Classes]:
    """Return the indices of the examples that each fold leaves out: whole products, stratified by class."""
    single = [
        examples.classes == label
        for label in np.unique(examples.classes)
        if len(set(examples.products[examples.classes == label])) < 2
    ]
    usable = np.flatnonzero(~np.any(single, axis=0)) if single else np.arange(len(examples.photos))
    if not len(usable):
        return []
    count = min(FOLDS, len(np.unique(examples.products[usable])), int(np.bincount(examples.classes[usable]).max()))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class")  # such a class is left out in fewer folds
        splits = StratifiedGroupKFold(count, shuffle=True, random_state=0).split(
            usable, examples.classes[usable], examples.products[usable]
        )
        return [usable[left_out] for _, left_out in splits if len(left_out)]


def _best_strength(features_of_folds: Sequence[Features], examples: LabelledExamples, folds: Sequence[Classes]) -> float:
    """Return the strength of regularisation whose heads alone have the lowest out-of-fold loss."""
    used = np.zeros(len(examples.photos), bool)
    used[balanced_subset(examples.classes, MAX_STRENGTH_EXAMPLES)] = True
    strengths = STRENGTHS if features_of_folds[0].embeddings is None else STRENGTHS_BESIDE_MEANS
    probabilities: list[list[Float32s]] = [[] for _ in strengths]
    truth = []
    for features, left_out in zip(features_of_folds, folds, strict=True):
        rest = examples.take(np.setdiff1d(np.flatnonzero(used), left_out))
        validation = examples.take(left_out[used[left_out]])
        truth.append(validation.classes)
        for of_strength, adapter in zip(probabilities, fit_heads(features, rest, strengths), strict=True):
            of_strength.append(head_probabilities(adapter, features, validation.photos))
    losses = [_loss(np.concatenate(of_strength), np.concatenate(truth)) for of_strength in probabilities]
    return strengths[losses.index(min(losses))]


def _loss(probabilities: Float32s, truth: Classes) -> float:
    """Return the mean over the classes of the cross-entropy of probabilities (m, K + 1) for true classes (m,).

    At the temperature with the lowest loss, as the bundle is calibrated later: else confidence would decide on the strength.
    """
    logits = np.log(np.maximum(probabilities, MIN_PROBABILITY))
    chosen = softmax(logits / fit_temperature(logits, truth))[np.arange(len(truth)), truth]
    losses = -np.log(np.maximum(chosen, np.finfo(np.float32).tiny), dtype=np.float64)
    return float(np.mean([losses[truth == label].mean() for label in np.unique(truth)]))
