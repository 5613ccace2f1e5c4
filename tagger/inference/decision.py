"""Decide the tag, confidence, flag and reason from probabilities. Pure: a new threshold needs no run of the network."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tagger.records import Failed, Reason, Result, Tag

DECIMALS = 4
"""Decimals to which probabilities are rounded before anything is decided, so that no flag depends on the last bit of a sum."""

_SLACK = 1e-6
"""Tolerance above 1 for a softmax in float32."""


def decide_tags(
    probabilities: NDArray[np.float32],
    labels: Sequence[str],
    groups: Mapping[str, str],
    min_confidence: float,
    truncated: bool = False,
) -> Tag:
    """Return the tag of a photo from the probabilities of its labels.

    Args:
        probabilities: float (labels,), 0..1. One minus their sum is the probability of none of the labels; where that exceeds
            the largest, the tag is flagged as not recognised, whatever the threshold. NaN, infinite or other values outside of
            0..1 are no evidence: all probabilities are taken as 0, and the tag is flagged.
        labels: in the order of the probabilities; equal probabilities rank in this order.
        groups: the group of each label.
        min_confidence: tags below this probability, 0..1, are flagged.
        truncated: whether the photo's file ended early or was damaged inside; its tag is always flagged.
    """
    values: list[float] = np.asarray(probabilities, np.float64).tolist()
    total = sum(values)  # NaN if one of them is
    valid = total == total and min(values) >= 0 and max(values) <= 1 + _SLACK
    used = values if valid else [0.0] * len(values)
    rounded = [round(value, DECIMALS) for value in used]
    order = sorted(range(len(labels)), key=rounded.__getitem__, reverse=True)
    ranked = tuple([(labels[index], rounded[index]) for index in order])
    group = groups[ranked[0][0]]
    in_group = sum([value for label, value in zip(labels, used, strict=True) if groups[label] == group])
    none = valid and round(1 - total, DECIMALS) > ranked[0][1]
    low = truncated or none or not valid or ranked[0][1] < min_confidence
    reason: Reason = "truncated" if truncated else "not_recognised" if none else "low_confidence" if low else ""
    return Tag(ranked, low, reason, group, round(min(1.0, in_group), DECIMALS))


def decide_tag(result: Result, labels: Sequence[str], groups: Mapping[str, str], min_confidence: float) -> Tag:
    """Return the tag of a photo from its probabilities, or from the reason why it has none."""
    if result.failed is not None:
        return failed(result.failed)
    if result.probabilities is None:
        return not_recognised()
    return decide_tags(result.probabilities, labels, groups, min_confidence, result.truncated)


def rename_labels(tag: Tag, names: Mapping[str, str]) -> Tag:
    """Return the tag with its labels renamed by `names`; labels that `names` lacks stay."""
    return replace(tag, ranked=tuple((names.get(label, label), value) for label, value in tag.ranked)) if names else tag


def not_recognised() -> Tag:
    """Return the tag of a photo in which no product was found: flagged, without a label."""
    return Tag((), True, "not_recognised")


def failed(failure: Failed) -> Tag:
    """Return the tag of a photo that could not be read: flagged, without a label, with the reason of the failure."""
    return Tag((), True, failure.reason)
