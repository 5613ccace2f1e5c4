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
    return _decide_rows(np.asarray(probabilities)[None], labels, groups, min_confidence, [truncated])[0]


def decide_tag(result: Result, labels: Sequence[str], groups: Mapping[str, str], min_confidence: float) -> Tag:
    """Return the tag of a photo: what a person decided, else from its probabilities or from the reason why it has none."""
    return decide_results([result], labels, groups, min_confidence)[0]


def decide_results(
    results: Sequence[Result], labels: Sequence[str], groups: Mapping[str, str], min_confidence: float
) -> list[Tag]:
    """Return the tags of photos, in their order, as `decide_tag` does one by one; many at once take a third of the time."""
    scored = [
        (result.probabilities, result.truncated)
        for result in results
        if result.reviewed is None and result.failed is None and result.probabilities is not None
    ]
    rows, truncated = zip(*scored, strict=True) if scored else ((), ())
    decided = iter(_decide_rows(np.stack(rows), labels, groups, min_confidence, truncated) if scored else ())
    return [_without_probabilities(result, groups) or next(decided) for result in results]


def _without_probabilities(result: Result, groups: Mapping[str, str]) -> Tag | None:
    """Return the tag of a result that does not depend on probabilities; None where it does."""
    if result.reviewed is not None:
        return reviewed(result.reviewed, groups)
    if result.failed is not None:
        return failed(result.failed)
    return not_recognised() if result.probabilities is None else None


def _decide_rows(
    probabilities: NDArray[np.float32],
    labels: Sequence[str],
    groups: Mapping[str, str],
    min_confidence: float,
    truncated: Sequence[bool],
) -> list[Tag]:
    """Return the tags of n photos from the probabilities of their labels, (n, labels), as `decide_tags` describes."""
    values = probabilities.astype(np.float64)
    with np.errstate(invalid="ignore"):
        # Label by label: each photo's sum is the same in any company, which sums along rows are not.
        total = sum(values.T, np.zeros(len(values)))
        valid = (total == total) & (values >= 0).all(1) & (values <= 1 + _SLACK).all(1)
    used = np.where(valid[:, None], values, 0.0)
    rounded = _rounded(used)
    order = np.argsort(-rounded, 1, "stable")
    best = rounded[np.arange(len(order)), order[:, 0]]
    none = valid & (_rounded(1 - np.where(valid, total, 0.0)) > best)
    low = none | ~valid | (best < min_confidence) | np.asarray(truncated, bool)
    names = sorted(set(groups.values()))
    of_groups = {name: sum(used[:, [groups[label] == name for label in labels]].T, np.zeros(len(used))) for name in names}
    confidences = {name: _rounded(np.minimum(1.0, of_group)).tolist() for name, of_group in of_groups.items()}
    ranked_labels = np.array(labels, object)[order].tolist()
    ranked_values = np.take_along_axis(rounded, order, 1).tolist()
    tags = []
    for at, (ranked, shares, is_low, is_none) in enumerate(
        zip(ranked_labels, ranked_values, low.tolist(), none.tolist(), strict=True)
    ):
        reason: Reason = "truncated" if truncated[at] else "not_recognised" if is_none else "low_confidence" if is_low else ""
        group = groups[ranked[0]]
        tags.append(Tag(tuple(zip(ranked, shares, strict=True)), is_low, reason, group, confidences[group][at]))
    return tags


def _rounded(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return numbers rounded to `DECIMALS`, half to even.

    As Python's `round` does: ten thousand times a float32 is exact in float64, and the quotient is the double next to the
    decimal number.
    """
    return np.asarray(np.rint(values * 10**DECIMALS) / 10**DECIMALS, np.float64)


def rename_labels(tag: Tag, names: Mapping[str, str]) -> Tag:
    """Return the tag with its labels renamed by `names`; labels that `names` lacks stay."""
    return replace(tag, ranked=tuple((names.get(label, label), value) for label, value in tag.ranked)) if names else tag


def reviewed(label: str, groups: Mapping[str, str]) -> Tag:
    """Return the tag of a photo that a person decided on: `label` with confidence 1, unflagged; a bundle may lack the label.

    An empty label says that it shows none of the labels. It stays flagged, as a row without a tag is never safe to publish.
    """
    if not label:
        return Tag((), True, "reviewed")
    return Tag(((label, 1.0),), False, "reviewed", groups.get(label, ""), 1.0 if label in groups else None)


def not_recognised() -> Tag:
    """Return the tag of a photo in which no product was found: flagged, without a label."""
    return Tag((), True, "not_recognised")


def failed(failure: Failed) -> Tag:
    """Return the tag of a photo that could not be read: flagged, without a label, with the reason of the failure."""
    return Tag((), True, failure.reason)
