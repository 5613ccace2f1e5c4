"""Compute probabilities from embeddings, with what the kind of image allows."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tagger.arrays import Float32s, softmax
from tagger.inference.regions import impossible_labels
from tagger.models.fusion import Embeddings, Fusion
from tagger.records import ProductImage, RegionName

PLAIN, NATIVE = 0, 1
"""Kinds of an image in its embedding: the cut of a photo, and an image in Fashion-MNIST's own format."""

SMALL_WEIGHT, IMAGENET_WEIGHT = 0.5, 0.7
"""Weights of the logarithms of both in the choice of the part of a person that is the product."""

REGION_KINDS: dict[RegionName, int] = {"upper": 2, "lower": 3, "whole": 4}
"""Kinds of the parts of a person."""


def kinds_of(images: Sequence[ProductImage]) -> NDArray[np.uint8]:
    """Return the kinds of images, uint8 (n,)."""
    return np.array([NATIVE if one.native else REGION_KINDS[one.region] if one.region else PLAIN for one in images], np.uint8)


def choice_probabilities(fusion: Fusion, embeddings: Embeddings) -> Float32s:
    """Return how likely each part of a person is each label, float32 (n, labels), to choose the part that is the product.

    From the small network and ImageNet's classes alone: what an embedding holds must not depend on the head or its calibration,
    or a stored embedding would be of another part than a photo gives under a new head.
    """
    small, seen = fusion.small(embeddings), fusion.imagenet(embeddings)
    logs = SMALL_WEIGHT * np.log(small[:, :-1].clip(1e-4)) + IMAGENET_WEIGHT * seen[:, :-1]
    return np.asarray((1 - small[:, -1:]) * softmax(logs), np.float32)


def fused_probabilities(fusion: Fusion, embeddings: Embeddings, groups: Mapping[str, str]) -> Float32s:
    """Return calibrated probabilities, float32 (n, labels + 1), of n embeddings; the last column is none of the labels.

    An image in Fashion-MNIST's own format, which the backbone has not seen, keeps the small network's. A part of a person gets
    0 for labels that it cannot show, which goes to none of the labels.

    Args:
        fusion: of the bundle.
        embeddings: uint8 (n, size).
        groups: the group of each label of the fusion, in its order.
    """
    probabilities, kinds = fusion.probabilities(embeddings), fusion.kinds(embeddings)
    native = kinds == NATIVE
    probabilities[native] = fusion.small(embeddings[native])
    for region, kind in REGION_KINDS.items():
        rows = kinds == kind
        if rows.any():
            labels = np.where(impossible_labels(region, list(groups.values())), 0, probabilities[rows, :-1])
            probabilities[rows] = np.concatenate([labels, np.maximum(1 - labels.sum(1, keepdims=True), 0)], 1)
    return probabilities
