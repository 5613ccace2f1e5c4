"""Measure how the tags of worn products depend on who wears them: tone of skin, hair, and how much of the head is seen.

    python -m benchmarks.accuracy.people FOLDERS... [--model catalog] [--out FILE.md]

Each folder has a labels.csv (path,label,kind,group). The tone of the skin is measured where it is seen, on nose, cheeks and
hands, as the individual typology angle ITA = atan2(L - 50, b) in degrees, L and b of CIELAB, and put into three parts at 10 and
41 degrees (Chardon, Cretois and Hourseau 1991, Int. J. Cosmetic Science 13(4): dark and brown, tan and intermediate, light).
Parts differ in their products too, so every person is also re-toned to six skins, with the hair as it is and shaven: there
the products are the same, and the tag should be.
"""

import argparse
import math
import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from benchmarks.reporting import RESULTS, hardware, table, write
from tagger.arrays import Floats, Pixels
from tagger.evaluation.evaluate import Example, evaluate
from tagger.evaluation.settings import EvaluateSettings
from tagger.inference.tagger import Tagger
from tagger.photos import decode, product
from tagger.photos.person import Person
from tagger.photos.worn import skin_colours
from tagger.records import Photo

PARTS = (("dark, ITA below 10", -math.inf, 10.0), ("middle, 10 to 41", 10.0, 41.0), ("light, above 41", 41.0, math.inf))
"""Tones of skin with their bounds in degrees."""

SKINS = ((84, 6, 13), (74, 9, 17), (64, 12, 20), (52, 14, 20), (40, 12, 16), (30, 8, 9))
"""The tones that people are given, from light to dark, in CIELAB."""


@dataclass(frozen=True)
class Worn:
    """A labelled photo of a person who wears the product."""

    row: Example
    pixels: Pixels
    """uint8 (h, w, 3): the photo without its frame."""
    mask: Pixels
    person: Person
    """In pixels of `pixels`."""

    @property
    def ita(self) -> float | None:
        """The median angle of the patches of skin that are seen, in degrees; None where none is."""
        colours = np.asarray(cv2.cvtColor(self.pixels, cv2.COLOR_RGB2YCrCb), np.uint8)
        tones = [individual_typology_angle(_lab_of(colour)) for colour in skin_colours(colours, self.mask, self.person)]
        return float(np.median(tones)) if tones else None

    @property
    def head(self) -> str:
        """How much of the head is seen."""
        if self.person.has_face:
            return "face seen"
        return "cropped" if cv2.boundingRect(self.mask)[1] <= 1 else "turned away or covered"


def individual_typology_angle(lab: Sequence[float] | Floats) -> float:
    """Return the angle of a colour of skin in CIELAB, in degrees."""
    return math.degrees(math.atan2(float(lab[0]) - 50, float(lab[2])))


def _lab_of(colour: Floats) -> Floats:
    """Convert a colour in (Y, Cr, Cb) to CIELAB."""
    patch = np.round(colour).astype(np.uint8).reshape(1, 1, 3)
    rgb = cv2.cvtColor(patch, cv2.COLOR_YCrCb2RGB).astype(np.float32) / 255
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB)[0, 0], np.float32)


def retoned(worn: Worn, tone: Sequence[float], shaven: bool) -> Pixels:
    """Return a photo with the person's skin in another tone, uint8 (h, w, 3); if shaven, with skin in place of the hair."""
    face = worn.person.face
    lab = cv2.cvtColor(worn.pixels.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    rows, columns = np.ogrid[: lab.shape[0], : lab.shape[1]]
    cheeks = (np.abs(columns - face.nose[0]) <= 0.2 * face.width) & (rows >= face.eyes[1]) & (rows <= face.mouth[1])
    skin = np.median(lab[cheeks], axis=0)
    distance = (((lab - skin) / (28, 8, 9)) ** 2).sum(axis=2)
    share = (np.exp(-1.2 * np.maximum(0, distance - 1)) * (worn.mask > 0))[..., None]
    moved = lab - skin + np.array(tone, np.float32)
    moved[..., 0] = tone[0] + (lab[..., 0] - skin[0]) * (tone[0] / skin[0]) ** 0.7
    result = lab + share * (moved - lab)
    if shaven:
        skull = ((columns - face.x) / (0.55 * face.width)) ** 2 + (
            (rows - face.y + 0.1 * face.height) / (0.68 * face.height)
        ) ** 2
        above = (worn.mask > 0) & (rows < face.y - 0.15 * face.height)
        result[above & (skull <= 1)] = tone
        result[above & (skull > 1)] = cv2.cvtColor(worn.pixels[:1, :1].astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[0, 0]
    rgb = cv2.cvtColor(result.astype(np.float32), cv2.COLOR_LAB2RGB)
    return np.round(np.clip(rgb, 0, 1) * 255).astype(np.uint8)


def worn_photos(rows: Sequence[Example]) -> list[Worn]:
    """Return the photos of known labels in which a person is found."""
    found = []
    for row in rows:
        photo = decode.decode(row.file) if row.file and row.known else None
        scene = product._find_product(photo) if isinstance(photo, Photo) else None
        if scene and scene.person:
            found.append(Worn(row, scene.pixels, scene.mask, scene.person))
    return found


def report(options: argparse.Namespace) -> Iterator[str]:
    """Yield the lines of the report."""
    evaluation = evaluate(EvaluateSettings(tuple(options.folders), model=options.model, device="cpu", workers=1))
    yield f"# People, {evaluation.model}\n"
    yield f"`python -m benchmarks.accuracy.people {shlex.join(sys.argv[1:])}`\n"
    yield f"{hardware()}.\n"
    tagger = Tagger(options.model, device="cpu")
    for name, rows in evaluation.sources.items():
        worn = worn_photos(rows)
        known = [row for row in rows if row.known]
        yield f"## {name}: a person is found in {len(worn)} of {len(known)} photos\n"
        if worn:
            yield from _by_part(worn)
            yield from _by_skin(worn, tagger)


def _by_part(worn: Sequence[Worn]) -> Iterator[str]:
    yield "By the measured tone of the skin, and by what is seen of the head.\n"
    parts: dict[str, list[Worn]] = {}
    for name, low, high in PARTS:
        parts[name] = [one for one in worn if one.ita is not None and low <= one.ita < high]
    for name in ("face seen", "cropped", "turned away or covered"):
        parts[name] = [one for one in worn if one.head == name]
    cells = [(name, *_accuracies([one.row for one in part])) for name, part in parts.items()]
    yield from table(("part", "photos", "accuracy", "of the reporting half", "group right", "unflagged"), cells)


def _accuracies(rows: Sequence[Example]) -> tuple[str, str, str, str, str]:
    kept = [row for row in rows if row.kept]
    return (
        str(len(rows)),
        _share([row.right for row in rows]),
        f"{_share([row.right for row in kept])} ({len(kept)})",
        _share([row.group_right for row in rows]),
        _share([row.unflagged for row in rows]),
    )


def _share(flags: Sequence[bool]) -> str:
    return f"{sum(flags) / len(flags):.3f}" if flags else "-"


def _by_skin(worn: Sequence[Worn], tagger: Tagger) -> Iterator[str]:
    yield "The same people re-toned; *same tag*: as that of the photo itself, decoded at the same size.\n"
    seen = [one for one in worn if one.person.has_face]
    before = _labels([one.pixels for one in seen], tagger)
    cells, accuracies = [], []
    for shaven in (False, True):
        for tone in SKINS:
            pixels = [retoned(one, tone, shaven) for one in seen]
            labels = _labels(pixels, tagger)
            right = [label == one.row.label for label, one in zip(labels, seen, strict=True)]
            found = [_finds_a_person(one) for one in pixels]
            same = [label == other for label, other in zip(labels, before, strict=True)]
            accuracies.append(sum(right) / len(right))
            hair = "shaven" if shaven else "as it is"
            angle = f"{individual_typology_angle(tone):.0f}"
            cells.append((hair, f"L {tone[0]}", angle, str(len(seen)), _share(found), _share(right), _share(same)))
    yield from table(("hair", "skin", "ITA", "photos", "person found", "accuracy", "same tag"), cells)
    angles = [individual_typology_angle(tone) for tone in SKINS] * 2
    means = {
        name: float(np.mean([share for share, angle in zip(accuracies, angles, strict=True) if low <= angle < high]))
        for name, low, high in PARTS
    }
    yield f"Mean accuracy: {'; '.join(f'{name}: {share:.3f}' for name, share in means.items())}."
    yield f"Gap between these parts: {max(means.values()) - min(means.values()):.3f}.\n"


def _labels(pixels: Sequence[Pixels], tagger: Tagger) -> list[str]:
    return [tag.label for tag in tagger.tag(list(pixels))]


def _finds_a_person(pixels: Pixels) -> bool:
    scene = product._find_product(Photo(pixels))
    return bool(scene and scene.person)


def main() -> None:
    """Measure, write the report and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", help="folders of photos with a labels.csv")
    parser.add_argument("--model", default="catalog", help="a bundle's name or folder")
    parser.add_argument("--out", type=Path, default=RESULTS / "people.md")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    write(options.out, report(options))


if __name__ == "__main__":
    main()
