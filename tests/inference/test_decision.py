"""Tags are decided from probabilities: never more confident than these, and never by a bit that is not printed."""

import math

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tagger.data.labels import GROUPS, LABELS
from tagger.inference.decision import DECIMALS, decide_results, decide_tag, decide_tags, failed, not_recognised, rename_labels
from tagger.records import FAILED_REASONS, Failed, FailedReason, Result, Tag

Probabilities = NDArray[np.float32]


def decided(probabilities: Probabilities, min_confidence: float = 0.5, truncated: bool = False) -> Tag:
    """Return the tag for the ten labels and their groups."""
    return decide_tags(probabilities, LABELS, GROUPS, min_confidence, truncated)


def shares(*weights: float) -> Probabilities:
    """Return probabilities in these proportions, the labels left over at 0."""
    values = np.zeros(len(LABELS))
    values[: len(weights)] = weights
    return (values / values.sum()).astype(np.float32)


def softmax(logits: list[float]) -> Probabilities:
    """Return probabilities as a network gives them."""
    powers = np.exp(np.array(logits, np.float32) - max(logits))
    return (powers / powers.sum()).astype(np.float32)


PROBABILITIES = st.one_of(
    st.lists(st.floats(-30, 30, width=32), min_size=10, max_size=10).map(softmax),
    st.lists(st.integers(0, 3), min_size=10, max_size=10).filter(any).map(lambda weights: shares(*weights)),  # many ties
)
PARTIAL = st.tuples(PROBABILITIES, st.floats(0, 1)).map(lambda both: (both[0] * both[1]).astype(np.float32))
"""Probabilities whose sum is below 1, by that of none of the labels."""


def less_for_none(probabilities: Probabilities, share: float) -> Probabilities:
    """Return probabilities such that none of the labels is less likely than the greatest, the more so the higher `share`."""
    least = 1 / (1 + float(probabilities.max()))
    return (probabilities * (least + share * (1 - least))).astype(np.float32)


NAMED = st.builds(less_for_none, PROBABILITIES, st.floats(0.05, 1))
THRESHOLDS = st.one_of(st.floats(0, 1), st.integers(0, 10**DECIMALS).map(lambda steps: steps / 10**DECIMALS))
WRONG = st.sampled_from([math.nan, math.inf, -math.inf, -0.25, -1e-3, 1.5, 1e30])


@given(st.one_of(PROBABILITIES, PARTIAL), THRESHOLDS, THRESHOLDS, st.booleans())
def test_a_higher_threshold_never_unflags(probabilities: Probabilities, one: float, other: float, truncated: bool) -> None:
    """A tag flagged at a threshold is flagged at every higher one, and stays the same otherwise."""
    lower = decided(probabilities, min(one, other), truncated)
    higher = decided(probabilities, max(one, other), truncated)
    assert higher.low_confidence or not lower.low_confidence
    assert higher.ranked == lower.ranked
    assert (higher.group, higher.group_confidence) == (lower.group, lower.group_confidence)


@given(st.one_of(PROBABILITIES, PARTIAL))
def test_the_tag_is_the_likeliest_label(probabilities: Probabilities) -> None:
    """No label is more probable than the tag's, and the confidence is its probability to four decimals."""
    label, confidence = decided(probabilities).ranked[0]
    assert round(float(probabilities.max()), DECIMALS) == confidence
    assert round(float(probabilities[LABELS.index(label)]), DECIMALS) == confidence


@given(st.lists(st.integers(0, 2), min_size=10, max_size=10).filter(any))
def test_ties_go_to_the_earlier_label(weights: list[int]) -> None:
    """Among equal probabilities the labels' own order decides, at every rank."""
    ranked = [label for label, _ in decided(shares(*weights)).ranked]
    assert ranked == sorted(LABELS, key=lambda label: (-weights[LABELS.index(label)], LABELS.index(label)))


def test_a_tie_in_print_is_a_tie() -> None:
    """A difference that four decimals do not show does not order labels: sums differ there from machine to machine."""
    probabilities = shares(0.4, 0.4, 0.2)
    probabilities[1] += np.float32(1e-6)
    assert [label for label, _ in decided(probabilities).ranked[:2]] == ["T-shirt/top", "Trouser"]


@given(PROBABILITIES, st.dictionaries(st.integers(0, 9), WRONG, min_size=1), THRESHOLDS)
@example(shares(1), {5: math.nan}, 0.5)
@example(shares(1), {0: 1.5}, 0.9)
@example(shares(1), {0: math.nan}, 0.0)
def test_invalid_probabilities_are_flagged(probabilities: Probabilities, wrong: dict[int, float], threshold: float) -> None:
    """With NaN, an infinite value or one outside of 0..1 a photo is flagged, at every threshold."""
    probabilities = probabilities.copy()
    for index, value in wrong.items():
        probabilities[index] = value
    tag = decided(probabilities, threshold)
    assert tag.low_confidence
    assert tag.reason == "low_confidence"
    assert all(0 <= confidence <= 1 for _, confidence in tag.ranked)
    assert tag.group_confidence is None or 0 <= tag.group_confidence <= 1


@given(st.one_of(PROBABILITIES, PARTIAL))
def test_the_group_is_the_sum_of_its_labels(probabilities: Probabilities) -> None:
    """The group is the tag's own, its confidence the sum over the group and never below the tag's."""
    tag = decided(probabilities)
    label, confidence = tag.ranked[0]
    members = [index for index, name in enumerate(LABELS) if GROUPS[name] == GROUPS[label]]
    assert tag.group == GROUPS[label]
    assert tag.group_confidence is not None
    assert confidence <= tag.group_confidence <= 1
    assert tag.group_confidence == pytest.approx(min(1.0, float(probabilities[members].sum(dtype=np.float64))), abs=0.51e-4)


@given(st.one_of(PROBABILITIES, PARTIAL))
def test_the_ranking_is_sorted_and_complete(probabilities: Probabilities) -> None:
    """Every label stands in the ranking once, from the likeliest on, with its own probability."""
    ranked = decided(probabilities).ranked
    assert sorted(label for label, _ in ranked) == sorted(LABELS)
    assert [confidence for _, confidence in ranked] == sorted((confidence for _, confidence in ranked), reverse=True)
    assert dict(ranked) == {name: round(float(value), DECIMALS) for name, value in zip(LABELS, probabilities, strict=True)}


@given(st.one_of(PROBABILITIES, PARTIAL), THRESHOLDS)
@example(np.zeros(10, np.float32), 0.0)
def test_truncated_is_always_flagged(probabilities: Probabilities, threshold: float) -> None:
    """A truncated photo keeps its tag, flagged with that reason however confident it is."""
    tag = decided(probabilities, threshold, truncated=True)
    assert (tag.low_confidence, tag.reason) == (True, "truncated")
    assert tag.ranked == decided(probabilities, threshold).ranked


@given(PROBABILITIES, THRESHOLDS)
@example(np.array([0.69996, 0.30004, 0, 0, 0, 0, 0, 0, 0, 0], np.float32), 0.7)
@example(np.array([0.7, 0.3, 0, 0, 0, 0, 0, 0, 0, 0], np.float32), 0.7)
def test_what_is_printed_is_what_is_compared(probabilities: Probabilities, threshold: float) -> None:
    """A row is flagged just where its confidence, read back as it is printed, lies below the threshold."""
    tag = decided(probabilities, threshold)
    printed = float(f"{tag.ranked[0][1]:.{DECIMALS}f}")
    assert printed == tag.ranked[0][1]
    assert tag.low_confidence == (printed < threshold)
    assert tag.reason == ("low_confidence" if tag.low_confidence else "")


@given(PROBABILITIES)
def test_thresholds_0_and_1(probabilities: Probabilities) -> None:
    """At 0 no sound photo is flagged, at 1 every one that is not certain."""
    assert not decided(probabilities, 0).low_confidence
    assume(probabilities.max() < 0.9999)
    assert decided(probabilities, 1).low_confidence


@given(st.one_of(PROBABILITIES, PARTIAL), THRESHOLDS)
def test_probabilities_are_not_changed(probabilities: Probabilities, threshold: float) -> None:
    """Deciding is pure: the probabilities are as they were, and the same ones give the same tag."""
    before = probabilities.copy()
    assert decided(probabilities, threshold) == decided(probabilities, threshold)
    assert np.array_equal(before, probabilities)


# None of the labels


def none_of(probabilities: Probabilities) -> float:
    """Return the probability of none of the labels."""
    return 1 - float(probabilities.sum(dtype=np.float64))


@given(PARTIAL, THRESHOLDS)
@example(np.zeros(10, np.float32), 0.0)
@example(shares(1) * np.float32(0.49), 0.0)
@example(shares(1, 1, 1) * np.float32(0.7), 0.2)
def test_none_likelier_than_the_tag_is_not_recognised(probabilities: Probabilities, threshold: float) -> None:
    """Where none of the labels is likelier than the tag, it is flagged as not recognised at every threshold."""
    assume(none_of(probabilities) > float(probabilities.max()) + 2 * 10**-DECIMALS)
    tag = decided(probabilities, threshold)
    assert (tag.low_confidence, tag.reason) == (True, "not_recognised")
    assert tag == decided(probabilities, 0)


@given(NAMED, THRESHOLDS)
@example(shares(1) * np.float32(0.51), 0.6)
@example(shares(1) * np.float32(0.51), 0.5)
@example(shares(1, 1) * np.float32(0.75), 0.0)
def test_none_less_likely_than_the_tag_changes_nothing(probabilities: Probabilities, threshold: float) -> None:
    """Where none is less likely than the tag, the threshold alone decides, as it does where nothing lacks to 1."""
    assume(none_of(probabilities) < float(probabilities.max()) - 2 * 10**-DECIMALS)
    tag = decided(probabilities, threshold)
    assert tag.low_confidence == (tag.ranked[0][1] < threshold)
    assert tag.reason == ("low_confidence" if tag.low_confidence else "")


def test_none_as_likely_as_the_tag_is_no_reason() -> None:
    """Of a tag and none that are equally likely in print, the tag is kept."""
    tag = decided(shares(1) * np.float32(0.5), 0.5)
    assert (tag.ranked[0], tag.low_confidence, tag.reason) == (("T-shirt/top", 0.5), False, "")


@given(PARTIAL, THRESHOLDS)
def test_none_takes_nothing_from_the_tag(probabilities: Probabilities, threshold: float) -> None:
    """However likely none is, tag, confidences and group are those of the same probabilities without a flag."""
    tag = decided(probabilities, threshold)
    label, confidence = tag.ranked[0]
    order = sorted(range(10), key=lambda index: -round(float(probabilities[index]), DECIMALS))
    assert label == LABELS[order[0]]
    assert confidence == round(float(probabilities[order[0]]), DECIMALS)
    assert tag.group == GROUPS[label]


@given(st.one_of(PARTIAL, NAMED), THRESHOLDS)
def test_an_unflagged_tag_is_never_less_likely_than_none(probabilities: Probabilities, threshold: float) -> None:
    """An unflagged tag is at least as likely as none of the labels, as far as four decimals show."""
    tag = decided(probabilities, threshold)
    assert tag.low_confidence or none_of(probabilities) <= tag.ranked[0][1] + 1.01 * 10**-DECIMALS


# Without probabilities


@pytest.mark.parametrize("reason", FAILED_REASONS)
def test_failed_photos_are_flagged_without_a_tag(reason: FailedReason) -> None:
    """A photo that could not be read has its reason, no tag, and is never safe to publish."""
    assert failed(Failed(reason, "why")) == Tag((), True, reason)


def test_nothing_recognised_is_flagged_without_a_tag() -> None:
    """A photo without a product gets no label."""
    assert not_recognised() == Tag((), True, "not_recognised")


# From results


def test_a_result_is_decided_by_its_outcome() -> None:
    """A failed photo, one without a product, and one with probabilities get the tags for them; truncation is passed on."""
    failure = Failed("missing", "no such file")
    probabilities = shares(3, 1)
    outcomes = {
        Result(failure): failed(failure),
        Result(): not_recognised(),
        Result(truncated=True): not_recognised(),
    }
    for result, expected in outcomes.items():
        assert decide_tag(result, LABELS, GROUPS, 0.5) == expected
    for truncated in (False, True):
        tag = decide_tag(Result(None, probabilities, truncated), LABELS, GROUPS, 0.5)
        assert tag == decided(probabilities, 0.5, truncated)


def test_labels_are_renamed_and_nothing_else() -> None:
    """Labels get their new names at every rank, in the same order; others keep theirs, and so does a tag without labels."""
    tag = decided(shares(3, 2, 1))
    renamed = rename_labels(tag, {"T-shirt/top": "Tee", "Pullover": "Sweater", "unknown": "x"})
    assert [label for label, _ in renamed.ranked[:3]] == ["Tee", "Trouser", "Sweater"]
    assert [value for _, value in renamed.ranked] == [value for _, value in tag.ranked]
    assert (renamed.group, renamed.reason) == (tag.group, tag.reason)
    assert rename_labels(tag, {}) is tag
    assert rename_labels(not_recognised(), {"Trouser": "Pants"}) == not_recognised()


RESULTS = st.one_of(
    st.builds(Result, st.none(), st.one_of(PROBABILITIES, PARTIAL, NAMED), st.booleans()),
    st.just(Result(None, np.full(len(LABELS), np.nan, np.float32))),
    st.just(Result(None, None)),
    st.sampled_from([Result(Failed(reason, "x")) for reason in FAILED_REASONS]),
)


@given(st.lists(RESULTS, max_size=12), THRESHOLDS)
def test_tags_do_not_depend_on_the_company(results: list[Result], threshold: float) -> None:
    """Results that are decided together get the tags that each gets alone, in their order."""
    alone = [decide_tag(result, LABELS, GROUPS, threshold) for result in results]
    assert decide_results(results, LABELS, GROUPS, threshold) == alone


@given(st.one_of(PROBABILITIES, PARTIAL, NAMED))
def test_confidences_are_rounded_as_python_rounds(probabilities: Probabilities) -> None:
    """What is printed is the decimal number next to the probability, on a tie the even one."""
    assert {share for _, share in decided(probabilities).ranked} == {round(float(share), DECIMALS) for share in probabilities}
