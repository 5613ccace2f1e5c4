"""Fit a shop adapter to the features of a catalog's photos, and to the labels of some of them.

The network stays as it is. Without labels, its probabilities are smoothed among the photos that look most alike (label
spreading, Zhou et al. 2003), and the adapter remembers the photos with the smoothed probabilities. With labels, a translation
of the network's labels to the shop's and a linear head (multinomial logistic regression with an offset) come first, and the
labelled photos keep their labels while the others are smoothed. For a bundle with a backbone `class_means` come before both.
All of it is deterministic and uses features at hand. It takes seconds for some thousand photos and minutes for 100,000: time
grows almost linearly, and memory is twice that of the maps.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from tagger.adaptation.class_means import with_class_means
from tagger.adaptation.examples import LabelledExamples
from tagger.adaptation.label_spreading import SELF_WEIGHT, spread_labels
from tagger.arrays import Classes, Float32s
from tagger.inference.predictor import Features
from tagger.models.adapter import BLOCK, MIN_PROBABILITY, ShopAdapter, apply_temperature, centre_and_spread
from tagger.models.softmax_regression import fit_softmax_regression

CAUTIOUS_SELF_WEIGHT = 2.0
"""Weight of a photo's own probabilities in label spreading where neighbours are unreliable."""

PRIOR_COUNT = 20.0
"""Pseudo-count of labelled photos for a label of the bundle that keeps its meaning, in the translation."""

PSEUDO_LABELS, PSEUDO_LABEL_CONFIDENCE = 20, 0.8
"""Pseudo-labels: a label of the bundle with fewer labelled photos than this is filled up with photos to which the network gives
it with at least this probability. Without them nothing would keep the labels in place that the table does not name."""

SURE_BESIDE_MEANS = 0.9
"""For a bundle with a backbone: the least probability of pseudo-labels for a label that has some labelled photos. Class means
hold such a label already, so that a wrong pseudo-label costs more than a right one gives."""

STRENGTHS = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
"""Strengths of the head's L2 regularisation that cross-validation chooses from."""

STRENGTHS_BESIDE_MEANS = (3e-4, 1e-3, 3e-3)
"""Those for a bundle with a backbone. In its features the best strength hardly depends on the shop, so that a wide choice only
follows the noise of few labels."""

DEFAULT_STRENGTH = 1e-3
"""Strength where cross-validation is not possible, or has not been done yet."""

PRIOR_WEIGHT = 0.4
"""For a bundle with a backbone: weight of the network's log-probabilities in a head that is fitted to labelled photos. On a
shop's photos they are surer than they are right, and the features of a backbone tell the shop's labels better."""

STOPPING = {"maxiter": 60, "ftol": 1e-9, "gtol": 1e-7}
"""Where the optimiser of a head stops: iterations, relative change of the loss, greatest component of the gradient."""

MAX_MEMORY = 10_000
"""Maximum number of photos that an adapter remembers: else its file and the time per photo would grow with a shop's labels."""


def fit_adapter(
    features: Features, examples: LabelledExamples | None = None, strength: float = STRENGTHS[0], cautious: bool = False
) -> ShopAdapter:
    """Return an adapter fitted to a catalog of n photos, of which it remembers at most `MAX_MEMORY`.

    `cautious` gives neighbours less weight.
    """
    adapter = _start(features, examples) if examples is None else fit_head(features, examples, strength)
    self_weight = CAUTIOUS_SELF_WEIGHT if cautious else SELF_WEIGHT
    smoothed = spread_labels(head_probabilities(adapter, features), features.neighbours, examples, self_weight)
    kept = balanced_subset(smoothed.argmax(1), MAX_MEMORY)
    memory = adapter.embed(features.maps, kept).astype(np.float16)
    return replace(adapter, memory=memory, memory_probabilities=smoothed[kept].astype(np.float16))


def fit_head(features: Features, examples: LabelledExamples, strength: float) -> ShopAdapter:
    """Return an adapter with a translation and a head fitted to the labelled photos of a catalog, and an empty memory."""
    return next(fit_heads(features, examples, [strength]))


def balanced_subset(classes: Classes, at_most: int) -> Classes:
    """Return the indices, ascending, of at most `at_most` of the photos with these classes (n,).

    Where there are more, the most frequent classes are reduced to one equal size; within such a class the selected photos are
    evenly spaced in the order of the catalog.
    """
    if len(classes) <= at_most:
        return np.arange(len(classes))
    present, counts = np.unique(classes, return_counts=True)
    chosen, left = [], at_most
    for done, rank in enumerate(np.argsort(counts, kind="stable")):
        photos = np.flatnonzero(classes == present[rank])
        wanted = min(len(photos), left // (len(present) - done))
        left -= wanted
        chosen.append(photos[np.linspace(0, len(photos) - 1, wanted).astype(int)])
    return np.sort(np.concatenate(chosen))


def confidence_keeping_temperature(features: Features, adapter: ShopAdapter) -> float:
    """Return the temperature at which the adapter's mean confidence on the catalog equals that of the bundle alone.

    The mean over neighbours lowers confidence, and without labels nothing shows that the accuracy has changed. Found by
    bisection within 0.1..10.
    """
    wanted = float(features.probabilities[:, :-1].max(1).mean())
    probabilities = adapter.predict(features.probabilities, features.maps)
    low, high = 0.1, 10.0
    for _ in range(40):
        middle = float((low * high) ** 0.5)
        confidence = float(apply_temperature(probabilities, middle)[:, :-1].max(1).mean())
        low, high = (middle, high) if confidence > wanted else (low, middle)
    return float((low * high) ** 0.5)


def _start(features: Features, examples: LabelledExamples | None) -> ShopAdapter:
    """Return the adapter that a head is added to: with class means for a bundle with a backbone, otherwise without any."""
    adapter = _without_head(features, examples)
    if features.embeddings is None:
        return adapter
    if examples is not None:
        adapter = replace(adapter, prior_weight=np.full(1, PRIOR_WEIGHT, np.float32))
    return with_class_means(adapter, features, examples)


def _without_head(features: Features, examples: LabelledExamples | None) -> ShopAdapter:
    """Return an adapter that only translates labels: its head adds nothing, and its memory is empty."""
    outputs = features.probabilities.shape[1] if examples is None else len(examples.labels) + 1
    d = features.maps.shape[1]
    centre, spread = centre_and_spread(features.maps)
    return ShopAdapter(
        centre=centre,
        spread=spread,
        translation=np.eye(outputs, dtype=np.float32)
        if examples is None
        else fit_translation(features.probabilities, examples),
        weight=np.zeros((d, outputs), np.float32),
        bias=np.zeros(outputs, np.float32),
        memory=np.zeros((0, d), np.float16),
        memory_probabilities=np.zeros((0, outputs), np.float16),
    )


def head_probabilities(adapter: ShopAdapter, features: Features, photos: Classes | None = None) -> Float32s:
    """Return the probabilities (n, K + 1) of the head alone for a catalog's photos, or for those with these indices (m,)."""
    chosen = np.arange(len(features.maps)) if photos is None else photos
    blocks = np.split(chosen, range(BLOCK, len(chosen), BLOCK))
    return np.concatenate(
        [adapter.head_probabilities(features.probabilities[block], adapter.embed(features.maps, block)) for block in blocks]
    )


def fit_translation(probabilities: Float32s, examples: LabelledExamples) -> Float32s:
    """Return the probability of each label of the shop given one of the network, (S + 1, K + 1), for probabilities (n, S + 1).

    Bayes' rule with equal priors of all labels; the likelihoods are the network's mean probabilities on the labelled photos of
    each label. A label with the same name counts as `PRIOR_COUNT` further photos with probability 1, so that no label needs
    labelled photos.
    """
    sources = probabilities.shape[1]
    columns = []
    for label, known in enumerate((*examples.known, sources - 1)):
        of_label = probabilities[examples.photos[examples.classes == label]]
        counts, weight = of_label.sum(0), float(len(of_label))
        if known >= 0:
            counts = counts + PRIOR_COUNT * np.eye(sources, dtype=np.float32)[known]
            weight += PRIOR_COUNT
        # A label of the shop's own whose photos are all left out of a fold gets a uniform distribution.
        columns.append(counts / weight if weight else np.full(sources, 1 / sources, np.float32))
    likelihood = np.stack(columns, 1) + MIN_PROBABILITY
    translation: Float32s = likelihood / likelihood.sum(1, keepdims=True)
    return translation


def fit_heads(features: Features, examples: LabelledExamples, strengths: Sequence[float]) -> Iterator[ShopAdapter]:
    """Yield, for each strength of regularisation, an adapter with a head fitted to the labelled photos and an empty memory.

    The head is a softmax over the labels, and where photos are labelled as none of them, a logistic regression of that.
    """
    adapter = _start(features, examples)
    sure = PSEUDO_LABEL_CONFIDENCE if features.embeddings is None else SURE_BESIDE_MEANS
    photos, classes = with_pseudo_labels(features.probabilities, examples, sure)
    embeddings = adapter.embed(features.maps, photos)
    blocks = [slice(start, start + BLOCK) for start in range(0, len(photos), BLOCK)]
    scores = np.concatenate([adapter.scores(features.probabilities[photos[block]], embeddings[block]) for block in blocks])
    none = classes == len(examples.labels)
    inputs = embeddings[~none] if none.any() else embeddings
    offset = scores[~none, :-1]
    for strength in strengths:
        weight, bias = adapter.weight.copy(), adapter.bias.copy()
        weights, biases = _fit_softmax_regression(inputs, offset, classes[~none], strength)
        weight[:, :-1] += weights
        bias[:-1] += biases
        if none.any() and not none.all():
            binary_offset = np.stack([np.zeros(len(photos), np.float32), scores[:, -1]], 1)
            weights, biases = _fit_softmax_regression(embeddings, binary_offset, none.astype(np.int64), strength)
            weight[:, -1], bias[-1] = weights[:, 1] - weights[:, 0], biases[1] - biases[0]
        yield replace(adapter, weight=weight, bias=bias)


def with_pseudo_labels(
    probabilities: Float32s, examples: LabelledExamples, sure: float = PSEUDO_LABEL_CONFIDENCE
) -> tuple[Classes, Classes]:
    """Return the indices and classes of the labelled photos, and of pseudo-labelled ones for labels that have few.

    Labels with fewer labelled photos are filled up to `PSEUDO_LABELS`; if they have any, with photos of a probability of at
    least `sure`.
    """
    photos, classes = [examples.photos], [examples.classes]
    unlabelled = np.setdiff1d(np.arange(len(probabilities)), examples.photos)
    for label, known in enumerate(examples.known):
        labelled = int((examples.classes == label).sum())
        wanted = PSEUDO_LABELS - labelled
        if known >= 0 and wanted > 0 and len(unlabelled):
            confidence = probabilities[unlabelled, known]
            order = np.argsort(-confidence, kind="stable")
            order = order[confidence[order] >= (sure if labelled else PSEUDO_LABEL_CONFIDENCE)]
            # Evenly spaced: the less confident ones tell more of where the label ends than the most confident.
            chosen = unlabelled[order[np.linspace(0, len(order) - 1, min(wanted, len(order))).astype(int)]]
            photos.append(chosen)
            classes.append(np.full(len(chosen), label))
    return np.concatenate(photos), np.concatenate(classes)


def _fit_softmax_regression(inputs: Float32s, offset: Float32s, classes: Classes, strength: float) -> tuple[Float32s, Float32s]:
    """Return the weights (d, c) and biases (c,) of a multinomial logistic regression in which every class weighs the same."""
    weights = 1 / np.bincount(classes, minlength=offset.shape[1])[classes]
    return fit_softmax_regression(inputs, classes, weights, offset, strength, STOPPING)
