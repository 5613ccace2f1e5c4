"""Drawn photos of persons, with masks of their parts: what person detection must find, keep and remove."""

from dataclasses import dataclass, fields

import numpy as np
from PIL import Image, ImageDraw

from tagger.arrays import Pixels

Colour = tuple[int, int, int]

SKINS: dict[str, Colour] = {
    "porcelain": (255, 224, 196),
    "light": (234, 192, 159),
    "tan": (224, 172, 138),
    "olive": (198, 134, 100),
    "brown": (141, 85, 54),
    "deep": (75, 48, 35),
}
"""Six tones of skin, from light to dark."""

HAIRS: dict[str, Colour] = {"black": (25, 22, 22), "brown": (90, 65, 50), "golden": (215, 180, 120), "white": (225, 225, 228)}
"""Tones of hair; a shaven head has that of the skin."""

SCALE = 4
"""Factor of the size at which persons are drawn before they are shrunk, so that edges are as soft as a camera's."""


@dataclass(frozen=True)
class Person:
    """The colours of a person's parts; between two parts of the same colour no edge is visible."""

    skin: Colour = (224, 172, 138)
    hair: Colour = (50, 35, 28)
    top: Colour = (40, 80, 160)
    bottom: Colour = (35, 35, 40)
    sleeves: bool = False
    """Whether the arms are covered in the colour of the top."""
    background: Colour = (255, 255, 255)


@dataclass(frozen=True)
class Drawn:
    """A photo, uint8 (h, 120, 3), with a mask of each part, bool (h, 120): the pixels entirely inside it."""

    pixels: Pixels
    head: np.ndarray
    arms: np.ndarray
    top: np.ndarray
    bottom: np.ndarray

    @property
    def mask(self) -> Pixels:
        """The mask of the whole person, uint8 0 or 255."""
        return np.where(self.head | self.arms | self.top | self.bottom, 255, 0).astype(np.uint8)


def draw_person(person: Person = Person()) -> Drawn:
    """Draw a person from head to knee, facing the camera, arms a little away from the body."""
    parts = {name: _part(person, name) for name in ("bottom", "arms", "top", "head")}
    canvas = Image.new("RGB", (120 * SCALE, 160 * SCALE), person.background)
    masks: dict[str, np.ndarray] = {}
    for name, (picture, shape) in parts.items():
        canvas.paste(picture, mask=shape)
        inside = np.asarray(shape.resize((120, 160), Image.Resampling.BOX)) > 250
        masks = {other: mask & ~inside for other, mask in masks.items()} | {name: inside}
    return Drawn(np.asarray(canvas.resize((120, 160), Image.Resampling.BOX)).copy(), **masks)


def draw_figure(person: Person = Person()) -> Drawn:
    """Draw a person from head to foot: the legs of `draw_person`, which ends at the knees, are continued to row 248 of 256."""
    drawn = draw_person(person)
    rows = np.r_[0:158, np.linspace(118, 157, 90).round().astype(int), [159] * 8]
    pixels = drawn.pixels[rows]
    pixels[248:] = person.background
    parts = {name: getattr(drawn, name)[rows] for name in PARTS}
    for mask in parts.values():
        mask[248:] = False
    return Drawn(pixels, **parts)


def _part(person: Person, name: str) -> tuple[Image.Image, Image.Image]:
    """Draw a part in its colours, and its mask, both (480, 640)."""
    picture = Image.new("RGB", (120 * SCALE, 160 * SCALE))
    shape = Image.new("L", picture.size, 0)
    pens = ImageDraw.Draw(picture), ImageDraw.Draw(shape)

    def scaled(*places: float) -> list[float]:
        return [place * SCALE for place in places]

    def ellipse(colour: Colour, *box: float) -> None:
        for pen, ink in zip(pens, (colour, 255), strict=True):
            pen.ellipse(scaled(*box), fill=ink)

    def area(colour: Colour, *places: float) -> None:
        for pen, ink in zip(pens, (colour, 255), strict=True):
            pen.polygon(scaled(*places), fill=ink)

    if name == "head":
        shade = tuple(part * 5 // 6 for part in person.skin)
        ellipse(person.hair, 46, 6, 74, 40)
        area(shade, 55, 32, 65, 32, 66, 46, 54, 46)  # neck, in the chin's shadow
        ellipse(person.skin, 50, 12, 70, 39)
        for x in (54.5, 62.5):
            area((25, 20, 20), x - 0.5, 20, x + 3.5, 20, x + 3.5, 21.2, x - 0.5, 21.2)  # brow
            ellipse((250, 250, 250), x - 0.5, 22, x + 3.5, 25)
            ellipse((20, 15, 15), x + 0.2, 21.6, x + 2.8, 25.2)
        area(shade, 59, 25, 61, 25, 62, 30, 58, 30)  # nose
        ellipse((150, 40, 50), 55.5, 32, 64.5, 35.5)
    elif name == "arms":
        colour = person.top if person.sleeves else person.skin
        for side in (-1, 1):
            area(colour, 60 + 17 * side, 46, 60 + 22 * side, 50, 60 + 33 * side, 104, 60 + 25 * side, 106, 60 + 18 * side, 64)
            ellipse(person.skin, 60 + 29 * side - 5, 100, 60 + 29 * side + 5, 112)
    elif name == "top":
        area(person.top, 53, 42, 40, 47, 37, 62, 42, 66, 42, 104, 78, 104, 78, 66, 83, 62, 80, 47, 67, 42, 60, 47)
    else:
        area(person.bottom, 42, 102, 78, 102, 79, 158, 62, 158, 60, 116, 58, 158, 41, 158)
    return picture, shape


PARTS = tuple(part.name for part in fields(Drawn))[1:]
