"""Measure tags of photos that were padded, framed or cut out, against those of the photos themselves.

    python -m benchmarks.robustness.bars FOLDER [--model catalog] [--out FILE.md]

The folder has a labels.csv (path,label,kind,group). Bars are added to the photos at their own size, or before they are shrunk
to half; then they are encoded as JPEG. Cut-outs have the mask that is found in the photo as their alpha, and the photo's tones,
or paler ones, or one tone alone. Rules were chosen on the looked-at half; the kept half was not used for choices.
"""

import argparse
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
from PIL import Image, ImageOps

from benchmarks.reporting import RESULTS, table, write
from tagger.evaluation.evaluate import Example, evaluate
from tagger.evaluation.settings import EvaluateSettings
from tagger.inference.predictor import Predictor
from tagger.models import bundle
from tagger.photos.background import product_mask
from tagger.photos.decode import decode, decode_bytes
from tagger.photos.product import extract_product
from tagger.records import Photo, ProductImage

Change: TypeAlias = Callable[[Image.Image], bytes]
"""From a photo to the bytes of its changed file."""

Margins: TypeAlias = tuple[float, float, float, float]
"""Left, top, right and bottom bar as shares of the photo's width and height."""

COLOURS = {"black": (0, 0, 0), "white": (255, 255, 255), "grey": (128, 128, 128), "red": (200, 30, 40)}

SHAPES: dict[str, Margins | None] = {
    "square": None,
    "above and below": (0, 0.2, 0, 0.2),
    "left and right": (0.5, 0, 0.5, 0),
    "below": (0, 0, 0, 0.15),
    "left": (0.2, 0, 0, 0),
}

FRAMES, QUALITIES = (1, 2, 4, 8, 12, 20, 40), (60, 75, 95)


def padded(photo: Image.Image, shape: str, colour: str) -> Image.Image:
    """Return a photo with bars of a shape, or with a frame of so many pixels."""
    width, height = photo.size
    margins = SHAPES.get(shape)
    if shape == "square":
        gap = abs(width - height)
        first, last = gap // 2, gap - gap // 2
        border = (first, 0, last, 0) if height > width else (0, first, 0, last)
    elif margins is not None:
        left, top, right, bottom = margins
        border = (round(left * width), round(top * height), round(right * width), round(bottom * height))
    else:
        border = (int(shape),) * 4
    return ImageOps.expand(photo, border, COLOURS[colour])


def as_jpeg(photo: Image.Image, quality: int, scale: float = 1) -> bytes:
    """Return the bytes of a JPEG of a photo, shrunk before."""
    if scale != 1:
        photo = photo.resize((round(photo.width * scale), round(photo.height * scale)), Image.Resampling.LANCZOS)
    file = BytesIO()
    photo.save(file, "JPEG", quality=quality)
    return file.getvalue()


def cut_out(photo: Image.Image, tone: float) -> bytes:
    """Return the bytes of a PNG of the product alone, the difference of its tones from white multiplied; -1 makes it black."""
    pixels = np.asarray(photo)
    scale = 160 / max(pixels.shape[:2])
    found = product_mask(
        np.asarray(cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)[2:-2, 2:-2]
    )
    mask = cv2.copyMakeBorder(np.zeros((8, 8), np.uint8) if found is None else found, 2, 2, 2, 2, cv2.BORDER_CONSTANT, value=0)
    alpha = cv2.GaussianBlur(cv2.resize(mask, photo.size, interpolation=cv2.INTER_LINEAR), (5, 5), 1.0)
    toned = np.zeros_like(pixels) if tone < 0 else (255 - (255 - pixels.astype(np.float32)) * tone).astype(np.uint8)
    file = BytesIO()
    Image.fromarray(np.dstack([toned, np.asarray(alpha, np.uint8)])).save(file, "PNG", compress_level=1)
    return file.getvalue()


def variants() -> dict[str, Change]:
    """Return all changes by name; the first is none."""
    changes: dict[str, Change] = {"plain": lambda photo: as_jpeg(photo, 95)}

    def add(name: str, shape: str, colour: str, quality: int, scale: float = 1) -> None:
        changes[name] = lambda photo: as_jpeg(padded(photo, shape, colour), quality, scale)

    for quality in QUALITIES[:2]:
        changes[f"plain, quality {quality}"] = lambda photo, quality=quality: as_jpeg(photo, quality)  # type: ignore[misc]
    changes["plain, half the size"] = lambda photo: as_jpeg(photo, 75, 0.5)
    for colour in COLOURS:
        for shape in SHAPES:
            add(f"{shape}, {colour}", shape, colour, 90)
        for quality in QUALITIES:
            add(f"square, {colour}, quality {quality}", "square", colour, quality)
        add(f"square, {colour}, half the size", "square", colour, 75, 0.5)
        for frame in FRAMES:
            add(f"frame of {frame}, {colour}", str(frame), colour, 75)
    for name, tone in {"its tones": 1, "pale": 0.25, "nearly white": 0.08, "white": 0, "black": -1}.items():
        changes[f"cut-out, {name}"] = lambda photo, tone=tone: cut_out(photo, tone)  # type: ignore[misc]
    return changes


def extracted(rows: Sequence[Example], change: Change) -> list[ProductImage]:
    """Return the product images of the changed photos."""

    def extract(row: Example) -> ProductImage:
        assert row.file is not None
        with Image.open(row.file) as image:
            photo = decode_bytes(change(image.convert("RGB")), str(row.file))
        if not isinstance(photo, Photo):
            raise SystemExit(photo.detail)
        return extract_product(photo)

    with ThreadPoolExecutor() as pool:
        return list(pool.map(extract, rows))


def measured(
    rows: Sequence[Example], products: Sequence[ProductImage], model: bundle.Bundle, predictor: Predictor
) -> list[str]:
    """Return the cells of both halves: macro accuracy, and how many photos are wrong without a flag."""
    probabilities = iter(predictor([product for product in products if product.found]))
    count = len(model.card.labels)
    right, unflagged = np.zeros(len(rows), bool), np.zeros(len(rows), bool)
    for at, (row, product) in enumerate(zip(rows, products, strict=True)):
        if product.found:
            values = next(probabilities)[:count]
            right[at] = model.card.labels[int(values.argmax())] == row.label
            unflagged[at] = values.max() >= model.card.min_confidence
    cells = []
    for kept in (False, True):
        half = np.array([row.kept == kept for row in rows])
        labels = np.array([row.label for row in rows])
        shares = [right[half & (labels == label)].mean() for label in sorted(set(labels[half]))]
        cells += [f"{np.mean(shares):.3f}" if shares else "-", str(np.count_nonzero(half & unflagged & ~right))]
    return cells


def report(options: argparse.Namespace) -> Iterator[str]:
    """Yield the lines of the report."""
    evaluation = evaluate(EvaluateSettings((options.folder,), model=options.model, device="cpu"))
    all_rows = [row for rows in evaluation.sources.values() for row in rows]
    rows = [row for row in all_rows if row.known and row.file and isinstance(decode(row.file), Photo)]
    model = bundle.load(options.model)
    predictor = Predictor(model, "cpu")
    yield f"# Bars, frames and cut-outs, {evaluation.model}\n"
    yield f"`python -m benchmarks.robustness.bars {shlex.join(sys.argv[1:])}`\n"
    kept = sum(row.kept for row in rows)
    yield f"{len(rows) - kept} photos of the half that choices look at, {kept} of the kept one.\n"
    yield "Wrong: the number of photos whose tag is wrong and not flagged.\n"
    titles = ("variant", "macro accuracy, looked at", "wrong", "macro accuracy, kept", "wrong")
    lines = ((name, *measured(rows, extracted(rows, change), model, predictor)) for name, change in variants().items())
    yield from table(titles, lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, write the report and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", help="a folder of photos with a labels.csv")
    parser.add_argument("--model", default="catalog", help="a bundle's name or folder")
    parser.add_argument("--out", type=Path, default=RESULTS / "bars.md")
    options = parser.parse_args(arguments)
    write(options.out, report(options))


if __name__ == "__main__":
    main()
