"""The tag of a garment does not depend on who wears it: one person with six skins and five heads of hair, also none."""

import pytest
from people import HAIRS, SKINS, Person, draw_figure, draw_person

from tagger import Tagger

GARMENTS = {
    "T-shirt": ({"top": (40, 80, 160)}, "T-shirt/top"),
    "black T-shirt": ({"top": (20, 20, 22)}, "T-shirt/top"),
    "pullover": ({"top": (40, 80, 160), "sleeves": True}, "Pullover"),
    "pale pullover": ({"top": (235, 235, 235), "sleeves": True}, "Pullover"),
}


@pytest.fixture(scope="module")
def tagger() -> Tagger:
    return Tagger("catalog", device="cpu")


@pytest.mark.parametrize("garment", GARMENTS)
def test_the_tag_stays_whoever_wears_it(tagger: Tagger, garment: str) -> None:
    """The same garment on people of every look gets the same right tag, and no part of it is flagged for some of them alone."""
    colours, label = GARMENTS[garment]
    looks = [Person(skin=skin, hair=hair, **colours) for skin in SKINS.values() for hair in (*HAIRS.values(), skin)]
    tags = list(tagger.tag([draw_person(look).pixels for look in looks]))
    assert {tag.label for tag in tags} == {label}
    assert max(tag.confidence for tag in tags) - min(tag.confidence for tag in tags) < 0.15


def test_a_whole_figure_is_tagged_by_its_trousers(tagger: Tagger) -> None:
    """A figure from head to foot in a top and trousers is tagged by the trousers, whatever the skin."""
    tags = tagger.tag([draw_figure(Person(skin=skin)).pixels for skin in SKINS.values()])
    assert {tag.label for tag in tags} == {"Trouser"}
