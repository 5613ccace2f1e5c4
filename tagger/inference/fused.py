"""Compute probabilities from embeddings, with what the kind of image allows."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tagger.arrays import Float32s
from tagger.inference.regions import impossible_labels
from tagger.models.fusion import Embeddings, Fusion
from tagger.records import ProductImage, RegionName

PLAIN, NATIVE = 0, 1
"""Kinds of an image in its embedding: the cut of a photo, and an image in Fashion-MNIST's own format."""

REGION_KINDS: dict[RegionName, int] = {"upper": 2, "lower": 3, "whole": 4}
"""Kinds of the parts of a person."""


def kinds_of(images: Sequence[ProductImage]) -> NDArray[np.uint8]:
    """Return the kinds of images, uint8 (n,)."""
    return np.array([NATIVE if one.native else REGION_KINDS[one.region] if one.region else PLAIN for one in images], np.uint8)


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
