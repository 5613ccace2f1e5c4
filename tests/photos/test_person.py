"""People are found whatever their skin and hair; products alone are not taken for people."""

import math
from dataclasses import replace

import cv2
import numpy as np
import pytest
from helpers import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from people import HAIRS, SKINS, Colour, Person, draw_person
from product_scenes import mask_of

from tagger.arrays import Pixels
from tagger.photos import detector, person
from tagger.photos.detector import Body, Face, Square
from tagger.photos.person import find_person, may_end_at_neck


def found(pixels: Pixels, mask: Pixels | None = None) -> person.Person | None:
    """Find the person in what stands out from the background."""
    return find_person(pixels, pixels, mask_of(pixels) if mask is None else mask)


def outline_of(pixels: Pixels, box: tuple[int, int, int, int]) -> Pixels:
    """Return a mask of a box, as far as it is in the photo, with shoulders narrower than the rest."""
    x, y, width, height = box
    mask = np.zeros(pixels.shape[:2], np.uint8)
    mask[y : y + height, x : x + width] = 255
    mask[y : y + height // 10, x + 3 * width // 4 : x + width - 1] = 0
    return mask


# People


@pytest.mark.parametrize("hair", [*HAIRS, "none"])
@pytest.mark.parametrize("skin", SKINS)
def test_people_of_every_look_are_found(skin: str, hair: str) -> None:
    """A person is found with every tone of skin and every hair, also with none; the face is where it was drawn."""
    drawn = draw_person(Person(skin=SKINS[skin], hair=HAIRS.get(hair, SKINS[skin])))
    one = found(drawn.pixels)
    assert one is not None
    assert one.has_face
    assert abs(60 - one.face.x) <= 2
    assert abs(39 - one.chin) <= 5
    assert 15 <= one.face.width <= 28


def test_shoulders_and_hips_are_where_they_were_drawn() -> None:
    """The shoulders lie at the top of the drawn arms, the hips near the drawn hem, and the torso between them."""
    one = found(draw_person().pixels)
    assert one is not None
    assert abs(52 - one.shoulders) <= 6
    assert abs(104 - one.hips) <= 12
    assert one.torso == one.hips - one.shoulders
    assert abs(60 - one.column) <= 3


@pytest.mark.parametrize("scale", [0.75, 1.5, 3.0])
def test_people_may_be_small_or_large(scale: float) -> None:
    """The same person is found in the same place at three quarters and at three times the size."""
    drawn = draw_person()
    pixels = cv2.resize(drawn.pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    one = found(np.asarray(pixels, np.uint8))
    assert one is not None
    assert abs(39 - one.chin / scale) <= 5


def test_a_person_is_scaled_with_the_photo() -> None:
    """All places of a person are scaled along both axes; scores and visibility stay."""
    one = found(draw_person().pixels)
    assert one is not None
    half = one.scaled(0.5, 0.25)
    assert half.face.x == one.face.x * 0.5
    assert half.face.eyes == (one.face.eyes[0] * 0.5, one.face.eyes[1] * 0.25)
    assert half.face.height == one.face.height * 0.25
    assert np.allclose(half.body.points, one.body.points * (0.5, 0.25))
    assert half.body.visibility is one.body.visibility


@pytest.mark.parametrize("size", [(160, 120), (40, 1), (1, 40), (1, 1)])
def test_an_empty_box_shows_no_person(size: tuple[int, int]) -> None:
    """A box without area shows no person, whatever the pixels."""
    pixels = np.asarray(cv2.resize(draw_person().pixels, size[::-1]), np.uint8)
    assert find_person(pixels, pixels, np.zeros(size, np.uint8)) is None


@pytest.mark.parametrize("height", [1, 2, 5, 20, 39])
def test_tiny_people_are_not_found(height: int) -> None:
    """People less than 40 pixels high are not looked for, and no size raises."""
    pixels = np.asarray(cv2.resize(draw_person().pixels, (max(1, height * 3 // 4), height), interpolation=cv2.INTER_AREA))
    assert find_person(pixels, pixels, outline_of(pixels, (0, 0, pixels.shape[1], height))) is None


def test_wide_things_are_not_examined(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is wider than four thirds of its height, as most shoes are, costs no network."""

    def fail(pixels: Pixels, square: Square) -> float:
        raise AssertionError

    monkeypatch.setattr(person, "glance_at_face", fail)
    black = np.zeros((160, 160, 3), np.uint8)
    assert find_person(black, black, outline_of(black, (0, 0, 160, 119))) is None
    with pytest.raises(AssertionError):
        find_person(black, black, outline_of(black, (0, 0, 160, 120)))


def test_a_face_is_looked_for_where_a_glance_shows_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The network sees the small view first, or the large one where the small one is too small for that; then the large one."""
    glances: list[int] = []
    looks: list[int] = []

    def glance(pixels: Pixels, square: Square) -> float:
        glances.append(len(pixels))
        return person.MIN_GLANCE if len(glances) < 3 else person.MIN_GLANCE - 0.01

    def look(pixels: Pixels, square: Square) -> Face:
        looks.append(len(pixels))
        return face_of(0.1)

    monkeypatch.setattr(person, "glance_at_face", glance)
    monkeypatch.setattr(person, "find_face", look)
    large = np.zeros((640, 480, 3), np.uint8)
    for height in (160, 40, 160):
        small = np.zeros((height, 3 * height // 4, 3), np.uint8)
        assert find_person(large, small, outline_of(small, (10, 10, height // 3, height - 10))) is None
    assert glances == [160, 640, 160]
    assert looks == [640, 640]


# Evidence. A face of 20 pixels at (60, 27) in a box of 60 by 150 pixels, with the shoulders below it.

BOX = (30, 10, 60, 150)


def face_of(score: float, **changes: float) -> Face:
    return replace(Face(60, 27, 20, 20, score, (60, 22), (60, 27), (60, 33)), **changes)


def body_of(presence: float, shoulders: float = 50, apart: float = 38, nose: float = 27, seen: float = 0.99) -> Body:
    """Return a body with the arms hanging down."""
    points = np.full((33, 2), 60, np.float32)
    points[detector.NOSE] = 60, nose
    for side, joints in ((1, (11, 13, 15, 19)), (-1, (12, 14, 16, 20))):
        for index, joint in enumerate(joints):
            points[joint] = 60 + side * apart / 2, shoulders + 25 * min(index, 2)
    return Body(points, np.full(33, seen, np.float32), presence)


def accepted(monkeypatch: pytest.MonkeyPatch, face: Face, *bodies: Body, height: int = 600) -> person.Person | None:
    """Find a person, 10 pixels below the edge of a photo, where the networks return this face and these bodies in turn."""
    rest = list(bodies)
    monkeypatch.setattr(person, "glance_at_face", lambda pixels, square: 1.0)
    monkeypatch.setattr(person, "find_face", lambda pixels, square: face)
    monkeypatch.setattr(person, "find_body", lambda pixels, square: rest.pop(0) if len(rest) > 1 else rest[0])
    black = np.zeros((height, 120, 3), np.uint8)
    return find_person(black, black, outline_of(black, BOX))


@pytest.mark.parametrize(
    ("face", "body", "accepts"),
    [
        (face_of(0.75), body_of(0.85), True),
        (face_of(0.75), body_of(0.75), False),  # presence
        (face_of(0.5), body_of(0.98), True),
        (face_of(0.5), body_of(0.95), False),  # presence beside a faint face
        (face_of(0.4), body_of(0.999), False),  # score
        (face_of(0.5), body_of(0.98, nose=36), False),  # the noses are apart
        (face_of(0.75), body_of(0.98, nose=36), True),
        (face_of(0.75), body_of(0.98, shoulders=36), False),  # shoulders beside the face
        (face_of(0.75), body_of(0.98, shoulders=70), False),  # shoulders far below
        (face_of(0.75), body_of(0.98, apart=80), False),
        (face_of(0.75), body_of(0.98, apart=14), False),
        (face_of(0.5), body_of(0.98, apart=26), False),  # in profile, with a faint face
        (face_of(0.75), body_of(0.98, apart=26), True),
        (face_of(0.75, width=5), body_of(0.98), False),  # too small a face for the person
    ],
)
def test_face_and_body_must_agree(face: Face, body: Body, accepts: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A face is accepted with a body that fits it; a faint one with more evidence."""
    monkeypatch.setattr(person, "_find_without_face", lambda pixels, box: None)
    assert accepts == (accepted(monkeypatch, face, body) is not None)


def test_arms_alone_show_a_person(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a face, arms that are visible at both sizes show a person, whose chin lies above the shoulders."""
    one = accepted(monkeypatch, face_of(0.1), body_of(0.999, apart=30, shoulders=30), body_of(0.999, apart=30, shoulders=30))
    assert one is not None
    assert not one.has_face
    assert one.face.width == pytest.approx(30 / person.SHOULDERS_PER_FACE)
    assert one.chin == pytest.approx(30 - person.CHIN_ABOVE * one.face.height)


def test_a_person_without_a_face_begins_at_the_upper_edge(monkeypatch: pytest.MonkeyPatch) -> None:
    """Below a gap there is no head that the photo cuts off, and the network of the body is not run at all."""
    bodies = body_of(0.999, apart=30, shoulders=30), body_of(0.999, apart=30, shoulders=30)
    assert accepted(monkeypatch, face_of(0.1), *bodies, height=520) is not None
    monkeypatch.setattr(person, "find_body", lambda pixels, square: pytest.fail("run"))
    monkeypatch.setattr(person, "find_face", lambda pixels, square: face_of(0.1))
    black = np.zeros((480, 120, 3), np.uint8)
    assert find_person(black, black, outline_of(black, BOX)) is None


@pytest.mark.parametrize(
    ("columns", "top", "may"),
    [
        ((30, 90), 0.5, True),
        ((30, 90), 0.3, True),
        ((30, 90), 0.2, False),  # a hook, a strap, a corner
        ((30, 90), 1.0, False),  # a rectangle
        ((0, 90), 0.5, True),
        ((0, 120), 0.5, False),  # nothing is seen beside it
    ],
)
def test_a_head_is_cut_off_above_a_neck(columns: tuple[int, int], top: float, may: bool) -> None:
    """What reaches the upper edge may be a person without a head if it is as broad there as a neck, and seen as a whole."""
    mask = np.zeros((160, 120), np.uint8)
    left, right = columns
    mask[:, left:right] = 255
    mask[:20, left:right] = 0
    mask[:20, left : left + round(top * (right - left))] = 255
    assert may == may_end_at_neck(mask)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (
            body_of(0.999, apart=30, shoulders=30, seen=0.5),
            body_of(0.999, apart=30, shoulders=30),
        ),  # arms that are hardly visible
        (body_of(0.95, apart=30, shoulders=30), body_of(0.999, apart=30, shoulders=30)),  # presence
        (body_of(0.999, apart=30, shoulders=30), body_of(0.95, apart=30, shoulders=30)),  # presence at the other size
        (body_of(0.999, apart=30, shoulders=30), body_of(0.999, apart=30, shoulders=42)),  # they move with the assumed size
        (body_of(0.999, apart=18, shoulders=30), body_of(0.999, apart=18, shoulders=30)),  # narrow for the box
        (body_of(0.999, apart=30, shoulders=60), body_of(0.999, apart=30, shoulders=60)),  # shoulders too low in the box
    ],
)
def test_imagined_arms_show_no_person(first: Body, second: Body, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a face, arms that are not visible, out of proportion or in two places are an empty garment's."""
    assert accepted(monkeypatch, face_of(0.1), first, second) is None


# No people


def blank() -> Pixels:
    """Return a white photo."""
    return np.full((160, 120, 3), 255, np.uint8)


def shape(*polygons: tuple[Colour, list[tuple[int, int]]]) -> Pixels:
    """Return polygons in their colours on white."""
    pixels = blank()
    for colour, points in polygons:
        cv2.fillPoly(pixels, [np.array(points, np.int32)], colour, cv2.LINE_AA)
    return pixels


def shirt(colour: Colour) -> Pixels:
    """Return a shirt with short sleeves on white."""
    outline = [(45, 30), (75, 30), (105, 55), (92, 75), (82, 65), (82, 140), (38, 140), (38, 65), (28, 75), (15, 55)]
    return shape((colour, outline))


def blob(colour: Colour) -> Pixels:
    """Return an ellipse on white."""
    pixels = blank()
    cv2.ellipse(pixels, (60, 80), (35, 55), 0, 0, 360, colour, -1, cv2.LINE_AA)
    return pixels


COAT = [(45, 15), (75, 15), (95, 30), (108, 110), (92, 112), (85, 60), (90, 150), (30, 150), (35, 60), (28, 112), (12, 110)]
TROUSERS = [(40, 10), (80, 10), (86, 150), (65, 150), (60, 50), (55, 150), (34, 150)]
BAG = [(25, 70), (95, 70), (102, 140), (18, 140)]
SHOE = [(10, 100), (40, 80), (60, 95), (100, 108), (112, 120), (112, 130), (10, 130)]

NO_PERSON: dict[str, Pixels] = {
    "blue shirt": shirt((40, 80, 160)),
    "white shirt": shirt((236, 236, 238)),
    "shirt in a tone of skin": shirt((224, 172, 138)),
    "shirt with a dark collar": shape(
        ((224, 172, 138), COAT), ((30, 25, 25), [(48, 15), (72, 15), (66, 30), (54, 30)]), ((30, 30, 30), BAG)
    ),
    "beige coat": shape(((205, 175, 140), COAT), ((120, 90, 60), [(58, 15), (62, 15), (62, 150), (58, 150)])),
    "camel coat with buttons": shape(
        ((193, 150, 107), COAT), *(((60, 40, 30), [(64, y), (68, y), (68, y + 4), (64, y + 4)]) for y in range(40, 140, 20))
    ),
    "blue trousers": shape(((50, 70, 120), TROUSERS)),
    "brown bag": shape(((120, 75, 45), BAG), ((60, 40, 30), [(40, 70), (44, 70), (60, 30), (76, 70), (80, 70), (60, 22)])),
    "shoe": shape(((150, 90, 50), SHOE), ((240, 240, 240), [(10, 126), (112, 126), (112, 132), (10, 132)])),
    "blob in a tone of skin": blob((224, 172, 138)),
    "small blob in a tone of skin": cv2.copyMakeBorder(
        cv2.resize(blob((198, 134, 100)), (60, 80)), 40, 40, 30, 30, cv2.BORDER_CONSTANT, value=(255, 255, 255)
    ),
}


@pytest.mark.parametrize("product", NO_PERSON)
def test_products_alone_are_no_people(product: str) -> None:
    """A garment, a bag or a shoe that nobody wears is not taken for a person, even in a tone of skin."""
    assert found(NO_PERSON[product]) is None


def test_fashion_mnist_shows_no_people() -> None:
    """No product of Fashion-MNIST, enlarged on white, is taken for a person: neither in grey nor in tones of skin and hair."""
    with np.load(ROOT / "tests" / "fixtures" / "fashion-mnist-test-200.npz") as part:
        images = part["pixels"][:60]
    ramp = np.linspace((255, 255, 255), (60, 30, 20), 256).astype(np.uint8)
    for image in images:
        large = np.asarray(cv2.resize(image, (112, 112), interpolation=cv2.INTER_CUBIC), np.uint8)
        mask = np.where(large > 12, 255, 0).astype(np.uint8)
        for pixels in (np.asarray(cv2.cvtColor(255 - large, cv2.COLOR_GRAY2RGB), np.uint8), ramp[large]):
            assert found(pixels, mask) is None


# Any pixels


@settings(max_examples=15, deadline=None)
@given(
    pixels=st.tuples(st.integers(1, 90), st.integers(1, 60)).flatmap(lambda size: arrays.arrays(np.uint8, (*size, 3))),
    box=st.tuples(st.integers(0, 30), st.integers(0, 30), st.integers(1, 60), st.integers(1, 60)),
)
def test_any_pixels_and_any_box(pixels: Pixels, box: tuple[int, int, int, int]) -> None:
    """Any pixels with any box, also beyond the photo, give a person or None, and the pixels are not changed."""
    before = pixels.copy()
    one = find_person(pixels, pixels, outline_of(pixels, box))
    assert np.array_equal(before, pixels)
    assert one is None or math.isfinite(one.chin + one.hips)
