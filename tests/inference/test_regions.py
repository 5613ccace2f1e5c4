"""Which garment of a person is the product follows from the framing and from what each of them looks like."""

from collections.abc import Sequence

import numpy as np
import pytest

from tagger.data.labels import GROUPS, LABELS
from tagger.inference.regions import choose_region, impossible_labels
from tagger.records import RegionName

BOTH: tuple[RegionName, RegionName] = ("upper", "lower")


def rows(*parts: dict[str, float]) -> np.ndarray:
    """Return probabilities, float32 (parts, labels + 1), with what is left in the last column."""
    named = [[part.get(label, 0.0) for label in LABELS] for part in parts]
    return np.array([[*row, 1 - sum(row)] for row in named], np.float32)


@pytest.mark.parametrize(
    ("region", "possible"),
    [
        ("upper", {"T-shirt/top", "Pullover", "Coat", "Shirt", "Dress"}),
        ("lower", {"Trouser"}),
        ("whole", {"T-shirt/top", "Pullover", "Coat", "Shirt", "Dress", "Trouser"}),
    ],
)
def test_parts_of_a_person_show_some_labels_alone(region: RegionName, possible: set[str]) -> None:
    """Above the hips nobody wears trousers, on the legs nobody a shirt, and neither is a shoe or a bag."""
    impossible = impossible_labels(region, [GROUPS[label] for label in LABELS])
    assert {label for label, excluded in zip(LABELS, impossible, strict=True) if not excluded} == possible


def test_labels_of_unknown_groups_are_possible_everywhere() -> None:
    """A shop's own labels, in groups of its own or in none, are never excluded."""
    assert not impossible_labels("lower", ["", "knitwear", "hats"]).any()


@pytest.mark.parametrize(
    ("priors", "upper", "lower", "chosen"),
    [
        ((0.3, 0.7), {"T-shirt/top": 0.9}, {"Trouser": 0.95}, 1),  # a whole figure in a T-shirt: the trousers
        ((0.3, 0.7), {"Coat": 0.9}, {"Trouser": 0.95}, 0),  # in a coat: the coat
        ((0.3, 0.7), {"Dress": 0.8}, {"Trouser": 0.95}, 0),
        ((0.3, 0.7), {"T-shirt/top": 0.9}, {"Trouser": 0.1}, 0),  # what is below looks like no trousers
        ((0.3, 0.7), {"T-shirt/top": 0.3, "Shirt": 0.3, "Pullover": 0.3}, {"Trouser": 0.35}, 0),
        ((0.9, 0.1), {"T-shirt/top": 0.9}, {"Trouser": 0.95}, 0),
        ((0.5, 0.5), {"Trouser": 0.99}, {"Trouser": 0.5}, 1),  # nobody wears trousers above the hips
        ((0.5, 0.5), {}, {}, 0),
    ],
)
def test_the_product_is_what_framing_and_looks_agree_on(
    priors: Sequence[float], upper: dict[str, float], lower: dict[str, float], chosen: int
) -> None:
    """The part with the largest product of prior and possible labels is chosen; outerwear counts more."""
    groups = {label: GROUPS[label] for label in LABELS}
    assert choose_region(BOTH, priors, rows(upper, lower), groups) == chosen


def test_with_unknown_labels_framing_decides() -> None:
    """With a shop's own labels the part that is framed better is chosen, if both look like some of them."""
    probabilities = np.array([[0.5, 0.5], [0.5, 0.5]], np.float32)
    assert choose_region(BOTH, (0.4, 0.6), probabilities, {"a": "", "b": ""}) == 1
