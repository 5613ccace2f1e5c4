"""Take an embedding apart: the probabilities of the small network, of ImageNet's classes, of the head, and of all together."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tagger.arrays import Float32s
from tagger.inference.fused import NATIVE, REGION_KINDS, fused_probabilities
from tagger.models.fusion import Fusion
from tagger.records import RegionName


@dataclass(frozen=True)
class Experts:
    """What the experts of a fusion make of one product image: probabilities, float32 (S + 1,), the last none of the labels."""

    region: RegionName | None
    """The part of a person that the image shows; None where nobody wears the product."""
    native: bool
    """Whether it is an image in Fashion-MNIST's own format, which the backbone does not see."""
    small: Float32s
    """The small network's, in grey."""
    imagenet: Float32s | None
    """Those of ImageNet's classes, summed by label as `models.imagenet` does; they need not sum to 1. None if native."""
    head: Float32s | None
    """Those of the linear head on the backbone's features; None if native."""
    together: Float32s
    """The fusion's, calibrated, without a shop's adapter."""


def experts_of(fusion: Fusion, embedding: bytes, groups: Mapping[str, str]) -> Experts:
    """Return what each expert of a fusion gives for the product image of an embedding.

    Args:
        fusion: of the bundle that computed the embedding, or of one with the same networks.
        embedding: of `fusion.size` bytes.
        groups: the group of each label of the fusion, in its order.

    Raises:
        ValueError: the embedding has another length.
    """
    if len(embedding) != fusion.size:
        raise ValueError(f"the embedding is of {len(embedding)} bytes, and not of {fusion.size}")
    packed = np.frombuffer(embedding, np.uint8)[None]
    kind = int(fusion.kinds(packed)[0])
    native = kind == NATIVE
    return Experts(
        region=next((region for region, number in REGION_KINDS.items() if number == kind), None),
        native=native,
        small=fusion.small(packed)[0],
        imagenet=None if native else _of_imagenet(fusion.imagenet(packed)[0]),
        head=None if native else fusion.head(packed)[0],
        together=fused_probabilities(fusion, packed, groups)[0],
    )


def _of_imagenet(logarithms: Float32s) -> Float32s:
    """Return the sums of probabilities by label, and last the probability of all of ImageNet's other classes."""
    sums = np.exp(logarithms)
    sums[-1] = 1 - sums[-1]
    return sums
