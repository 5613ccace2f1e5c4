"""The means of a catalog's labels in the features of a backbone, as the weights of a linear head.

In these features the photos of a label lie near each other, so that a catalog shows where its labels are even without any
labelled photo. In the pooled maps of a small network they do not, and means gain nothing there.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tagger.adaptation.examples import LabelledExamples
from tagger.arrays import softmax
from tagger.inference.predictor import Features
from tagger.models.adapter import BLOCK, ShopAdapter, logistic

PRECISION = 25.0
"""Reciprocal of the variance of embeddings, of length 1, around the mean of their label."""

ROUNDS = 3
"""Rounds of expectation maximisation: more follow the catalog away from the network's probabilities."""

PRIOR_COUNT = 5.0
"""Photos at the catalog's mean that each label is given, so that a label that the catalog lacks has no mean far from it."""


def with_class_means(adapter: ShopAdapter, features: Features, examples: LabelledExamples | None = None) -> ShopAdapter:
    """Return an adapter without a head with one that adds to each label's score how near a photo is to the label's mean.

    Expectation maximisation of a mixture of Gaussians with one variance, over the translated probabilities of the network as
    prior (as TransCLIP, arXiv 2406.01837): the means are those of the embeddings weighted by the probabilities of the labels,
    which are computed again with the means. Labelled photos keep their labels, and the others count by their probability of
    any label. Weights and biases are multiplied by the adapter's `prior_weight`, as the prior is.
    """
    scale = PRECISION * float(adapter.prior_weight[0])
    for _ in range(ROUNDS):
        sums, counts = _sums_by_label(adapter, features, examples)
        means = sums / (counts + PRIOR_COUNT)
        weight, bias = np.zeros_like(adapter.weight), np.zeros_like(adapter.bias)
        # The log-density of a Gaussian, without what is equal for all labels.
        weight[:, :-1], bias[:-1] = scale * means, -scale / 2 * np.square(means).sum(0)
        adapter = replace(adapter, weight=weight, bias=bias)
    return adapter


def _sums_by_label(
    adapter: ShopAdapter, features: Features, examples: LabelledExamples | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the sums of the catalog's embeddings by label (d, K), and the expected numbers of photos (K,)."""
    labels = adapter.weight.shape[1] - 1
    sums, counts = np.zeros((adapter.weight.shape[0], labels)), np.zeros(labels)
    known = np.full(len(features.maps), -1)
    if examples is not None:
        known[examples.photos] = examples.classes
    for photos in np.split(np.arange(len(known)), range(BLOCK, len(known), BLOCK)):
        embeddings = adapter.embed(features.maps, photos)
        scores = adapter.scores(features.probabilities[photos], embeddings)
        shares = softmax(scores[:, :-1] / adapter.prior_weight) * (1 - logistic(scores[:, -1:]))
        labelled = known[photos] >= 0
        shares[labelled] = np.eye(labels + 1, labels, dtype=np.float32)[known[photos[labelled]]]
        sums += embeddings.T @ shares
        counts += shares.sum(0)
    return sums, counts
