"""Decide which of the garments that a person wears is the product, from the framing and from what each of them looks like."""

from collections.abc import Mapping, Sequence

import numpy as np

from tagger.arrays import Flags, Floats
from tagger.records import RegionName

POSSIBLE_GROUPS: dict[RegionName, tuple[str, ...]] = {
    "upper": ("upper body", "full body"),
    "lower": ("lower body",),
    "whole": ("upper body", "lower body", "full body"),
}
"""Groups of labels that each part of a person may show. Labels of groups that are not in `KNOWN_GROUPS` are never excluded."""

KNOWN_GROUPS = ("upper body", "lower body", "full body", "footwear", "accessory")
"""Groups of labels of which it is known where on a person they are worn."""


OUTERWEAR, OUTERWEAR_ODDS = ("Coat", "Dress"), 5.0
"""Garments that a photo of trousers seldom shows above them, and how many times less often than a photo of that garment: an
assumption, as no data set here shows whole figures of both kinds."""


def impossible_labels(region: RegionName, groups: Sequence[str]) -> Flags:
    """Return which labels, given by their groups, a part of a person cannot show, bool (labels,)."""
    return np.array([group in KNOWN_GROUPS and group not in POSSIBLE_GROUPS[region] for group in groups], bool)


def choose_region(
    names: Sequence[RegionName], priors: Sequence[float], probabilities: Floats, labels: Mapping[str, str]
) -> int:
    """Choose the part of a photo that is the product.

    It is the one with the largest product of its prior, by the framing, and how likely it is to be one of the labels that it
    may show, where `OUTERWEAR` counts more: a part that looks like no garment is none.

    Args:
        names: the parts, at least one.
        priors: how likely each is the product by the framing, 0..1.
        probabilities: float (parts, labels or more); columns after the labels, such as none of them, are left out.
        labels: the group of each label.

    Returns:
        The index of the part; the first one of equals.
    """
    weights = np.array([OUTERWEAR_ODDS if label in OUTERWEAR else 1.0 for label in labels])
    scores = []
    for name, prior, row in zip(names, priors, probabilities[:, : len(labels)], strict=True):
        possible = ~impossible_labels(name, tuple(labels.values()))
        scores.append(prior * float((weights * row)[possible].sum()))
    return int(np.argmax(scores))
