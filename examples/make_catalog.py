"""Makes examples/catalog and examples/catalog.csv from Fashion-MNIST's test images (MIT licence).

    python examples/make_catalog.py

Each image becomes what a shop might have: a large, tinted packshot on near-white, as JPEG, PNG cutout or WebP, some turned
by EXIF, in folders with names of several languages. One file is cut off in the middle and one is no image at all.
"""

import csv
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from tagger.data.fashion_mnist import load_fashion_mnist
from tagger.data.labels import LABELS

HERE = Path(__file__).resolve().parent
CATALOG = HERE / "catalog"
FOLDERS = {
    "T-shirt/top": "camisetas",
    "Trouser": "pantalones",
    "Pullover": "Pullover",
    "Dress": "sukienki/letnie",
    "Coat": "Mäntel",
    "Sandal": "靴/サンダル",
    "Shirt": "chemises été",
    "Sneaker": "靴/スニーカー",
    "Bag": "sacs à main",
    "Ankle boot": "靴/ブーツ",
}
TINTS = ((40, 42, 60), (92, 38, 36), (38, 72, 52), (98, 80, 52), (60, 60, 64))
"""Darkest colour of a garment, RGB."""

COPIES = 3
TURNED = 6
"""EXIF orientation of the turned photos: the camera was held upright."""


def packshot(picture: np.ndarray, tint: tuple[int, int, int], side: int) -> Image.Image:
    """Return an RGBA cutout, `side` pixels high and wide, of a Fashion-MNIST picture uint8 (28, 28)."""
    small = Image.fromarray(picture)
    tones = np.asarray(small.resize((side, side), Image.Resampling.BICUBIC), np.float32) / 255
    outline = Image.fromarray(np.where(picture > 4, 255, 0).astype(np.uint8)).resize((side, side), Image.Resampling.BICUBIC)
    alpha = outline.filter(ImageFilter.GaussianBlur(side / 200)).point(lambda value: max(0, min(255, (value - 96) * 4)))
    colours = np.stack([255 - tones * (255 - channel) for channel in tint], axis=-1).clip(0, 255).astype(np.uint8)
    cutout = Image.fromarray(colours).convert("RGBA")
    cutout.putalpha(alpha)
    return cutout


def on_white(cutout: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Return the cutout in the middle of a near-white ground."""
    photo = Image.new("RGB", size, (250, 250, 248))
    corner = ((size[0] - cutout.width) // 2, (size[1] - cutout.height) // 2)
    photo.paste(cutout, corner, cutout)
    return photo


def save(cutout: Image.Image, stem: Path, copy: int) -> Path:
    """Write the photo in the format that its turn brings and return its path."""
    if copy == 0:
        path = stem.with_suffix(".jpg")
        on_white(cutout, (900, 1200)).save(path, quality=80)
    elif copy == 1:
        path = stem.with_suffix(".webp")
        on_white(cutout, (900, 900)).save(path, quality=75)
    elif stem.name.endswith(("0220", "0520", "0820")):
        path = stem.with_suffix(".png")
        cutout.resize((300, 300), Image.Resampling.LANCZOS).save(path, optimize=True)
    else:
        path = stem.with_suffix(".JPG")
        exif = Image.Exif()
        exif[0x0112] = TURNED
        on_white(cutout, (900, 1200)).transpose(Image.Transpose.ROTATE_90).save(path, quality=80, exif=exif)
    return path


def main() -> None:
    """Write the catalog and its table."""
    test = load_fashion_mnist("test")
    rows = []
    for label_index, label in enumerate(LABELS):
        of_label = np.flatnonzero(test.labels.numpy() == label_index)
        for copy in range(COPIES):
            number = of_label[copy * 7 + label_index]
            folder = CATALOG / FOLDERS[label]
            folder.mkdir(parents=True, exist_ok=True)
            sku = f"{label_index:02d}{copy:d}0"
            cutout = packshot(test.pixels[number, 0].numpy(), TINTS[(label_index + copy) % len(TINTS)], 640)
            path = save(cutout, folder / f"photo {sku}", copy)
            rows.append((sku, f"{label} no. {copy + 1}", path.relative_to(HERE).as_posix()))
    whole = CATALOG / "camisetas" / "photo 0000.jpg"
    cut = CATALOG / "camisetas" / "half an upload.jpg"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    note = CATALOG / "sacs à main" / "not a photo.jpg"
    note.write_text("The photographer comes on Tuesday.\n", encoding="utf-8")
    rows.append(("0001", "T-shirt/top, upload broken off", cut.relative_to(HERE).as_posix()))
    rows.append(("0801", "Bag, photo to come", note.relative_to(HERE).as_posix()))
    with (HERE / "catalog.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("sku", "title", "image"))
        writer.writerows(rows)


if __name__ == "__main__":
    main()
