"""Probabilities become a tag, a confidence, a flag and a reason. Pure: a new threshold never runs the network again."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tagger.records import Failed, Reason, Result, Tag

DECIMALS = 4
"""Probabilities are rounded to this before anything is decided, so that no flag hangs on the last bit of a sum."""

_SLACK = 1e-6
"""By how much the softmax of a sure network may exceed 1 in float32."""


def decide_tags(
    probabilities: NDArray[np.float32],
    labels: Sequence[str],
    groups: Mapping[str, str],
    min_confidence: float,
    truncated: bool = False,
) -> Tag:
    """Return what is said of a photo whose `probabilities` are (labels,), 0..1; equal ones rank in the labels' order.

    What they lack to 1 is the probability that it shows none of the labels: the likeliest label is named all the same, but
    where none is likelier still it is flagged as not recognised, however low the threshold.
    Anything but a full set of numbers 0..1 is taken as no evidence at all: flagged, never sure.
    """
    given: list[float] = np.asarray(probabilities, np.float64).tolist()
    total = sum(given)  # not a number if one of them is none
    believable = total == total and min(given) >= 0 and max(given) <= 1 + _SLACK
    sane = given if believable else [0.0] * len(given)
    rounded = [round(value, DECIMALS) for value in sane]
    order = sorted(range(len(labels)), key=rounded.__getitem__, reverse=True)
    ranked = tuple([(labels[index], rounded[index]) for index in order])
    group = groups[ranked[0][0]]
    in_group = sum([value for label, value in zip(labels, sane, strict=True) if groups[label] == group])
    none = believable and round(1 - total, DECIMALS) > ranked[0][1]
    low = truncated or none or not believable or ranked[0][1] < min_confidence
    reason: Reason = "truncated" if truncated else "not_recognised" if none else "low_confidence" if low else ""
    return Tag(ranked, low, reason, group, round(min(1.0, in_group), DECIMALS))


def decide_tag(result: Result, labels: Sequence[str], groups: Mapping[str, str], min_confidence: float) -> Tag:
    """Return what is said of a photo, whatever became of it."""
    if result.failed is not None:
        return failed(result.failed)
    if result.probabilities is None:
        return not_recognised()
    return decide_tags(result.probabilities, labels, groups, min_confidence, result.truncated)


def rename_labels(tag: Tag, names: Mapping[str, str]) -> Tag:
    """Return the same with the names that its labels are to go by; those that `names` does not have keep their own."""
    return replace(tag, ranked=tuple((names.get(label, label), value) for label, value in tag.ranked)) if names else tag


def not_recognised() -> Tag:
    """Return what is said of a photo in which no product stands out: no guess."""
    return Tag((), True, "not_recognised")


def failed(failure: Failed) -> Tag:
    """Return what is said of a photo that could not be read."""
    return Tag((), True, failure.reason)
