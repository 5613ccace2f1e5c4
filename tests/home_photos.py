"""A small folder of drawn photos, labelled and by several senders, to learn a fusion from."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from tagger.data.images import Images
from tagger.data.labels import LABELS
from tagger.data.splits import kept_for_calibration, kept_for_reporting
from tagger.training import fusion, fusion_pictures

FOLDER = "home"

LEARNING, CALIBRATING = 8, 6
"""Photos of each label to learn from and to calibrate on."""

KINDS = {"T-Shirt": (200, 40, 40), "Pants": (40, 60, 200), "OOD": (40, 170, 60)}
"""Labels of the photos, with the colour that tells them."""

PAINTED = {"fashion-mnist": 5, "shoes": 5, "bags": 5, "other objects": 20}
"""Painted pictures: few, and enough that a fifth of each is at least one."""


def home_photo(label: str, seed: int) -> Image.Image:
    """Return a photo of a product in the colour of its label; size, place and tone differ from seed to seed."""
    rng = np.random.default_rng(seed)
    photo = Image.new("RGB", (200, 240), (246, 246, 246))
    tone = tuple(int(channel + rng.integers(-25, 25)) for channel in KINDS[label])
    left, top, width, height = rng.integers((40, 30, 60, 120), (70, 50, 90, 160))
    ImageDraw.Draw(photo).rectangle((left, top, left + width, top + height), fill=tone)
    return photo


def senders(count: int, reporting: bool, calibration: bool) -> list[str]:
    """Return names of senders of one split."""
    names = (f"sender {number}" for number in range(10_000))
    fitting = (
        name
        for name in names
        if kept_for_reporting(FOLDER, name) == reporting and kept_for_calibration(FOLDER, name) == calibration
    )
    return [next(fitting) for _ in range(count)]


def write_home(root: Path) -> Path:
    """Write photos of every split, those to report on being damaged, as nobody may open them; return the folder."""
    folder = root / FOLDER
    folder.mkdir()
    lines = ["path,label,group"]
    for kind, label in enumerate(KINDS):
        splits = [senders(LEARNING, False, False), senders(CALIBRATING, False, True), senders(2, True, False)]
        for split, names in enumerate(splits):
            for number, name in enumerate(names):
                file = f"{kind}-{split}-{number}.png"
                if split < 2:
                    home_photo(label, 100 * split + 10 * number + kind).save(folder / file)
                else:
                    (folder / file).mkdir()
                lines.append(f"{file},{label},{name}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    return folder


def fashion_images(count: int) -> Images:
    """Return images of a block in the place of their class."""
    labels = np.arange(count) % len(LABELS)
    pixels = np.zeros((count, 1, 28, 28), np.uint8)
    for image, label in zip(pixels, labels, strict=True):
        image[0, 4:24, 2 + label : 12 + label] = 180
    return Images(torch.from_numpy(pixels), torch.from_numpy(labels))


@pytest.fixture(scope="module")
def little_data() -> Iterator[None]:
    """Put a few images in Fashion-MNIST's place, and paint few pictures."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fusion, "load_fashion_mnist", lambda split, folder=None: fashion_images(60))
        patch.setattr(
            fusion, "validation_split", lambda images: (images.take(torch.arange(40)), images.take(torch.arange(40, 60)))
        )
        patch.setattr(fusion_pictures, "PAINTED", PAINTED)
        yield
