"""Make the sets of photos that the benchmarks of speed use, from a folder of photos, once.

    python -m benchmarks.speed.photo_sets PHOTOS --sets FOLDER [--share 1.0] [--seed 0]

JPEGs of 1600, 400 and 4000 pixels (12 megapixels), as phones send them; PNG and WebP of 1600 pixels; PNGs of 28x28. Where the
folder has fewer photos than a set, photos are taken again with another crop, mirrored or not, so that each file has bytes, a
hash and a picture of its own. The quality of all JPEGs is the one at which those of 1600 pixels have about 200 kB. A set lies
in a folder of a folder, as readers of classes expect it; one that is there with the same parameters is kept.
"""

import argparse
import json
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from statistics import mean
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from tagger.file_kinds import IMAGE_SUFFIXES
from tagger.photos.product import SIDE, extract_product
from tagger.processors import available_processors
from tagger.records import Photo

JPEG_BYTES = 200_000
"""Mean size of a JPEG of 1600 pixels."""

QUALITIES = range(97, 60, -3)

PROBED = 12
"""Photos by which the quality is chosen."""

MAX_CROP = 0.08
"""Share of width and height that is cropped at most of a photo that is taken again."""


class PhotoSet(NamedTuple):
    """A set of photos."""

    side: int
    """Longer side in pixels."""
    suffix: str
    count: int


SETS = {
    "1600-jpg": PhotoSet(1600, "jpg", 900),
    "400-jpg": PhotoSet(400, "jpg", 600),
    "4000-jpg": PhotoSet(4000, "jpg", 120),
    "1600-png": PhotoSet(1600, "png", 150),
    "1600-webp": PhotoSet(1600, "webp", 150),
    "28-png": PhotoSet(SIDE, "png", 900),
}


@dataclass(frozen=True)
class _Recipe:
    """What tells whether a set that is there is the one that is wanted."""

    photos: str
    side: int
    suffix: str
    count: int
    quality: int
    seed: int


def make_sets(photos: Path, sets: Path, share: float = 1.0, seed: int = 0) -> None:
    """Make the sets that are not there yet, with a share of their photos."""
    files = sorted(path for path in photos.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
    if not files:
        raise SystemExit(f"{photos} holds no photos.")
    np.random.default_rng(seed).shuffle(files)
    quality = choose_quality(files[:PROBED])
    for name, wanted in SETS.items():
        count = max(2, round(wanted.count * share))
        recipe = _Recipe(photos.resolve().name, wanted.side, wanted.suffix, count, quality, seed)
        made, folder = sets / f"{name}.json", sets / name
        if made.exists() and json.loads(made.read_text())["recipe"] == asdict(recipe):
            continue
        made.unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "all").mkdir(parents=True)
        jobs = [(number, files[number % len(files)], number >= len(files)) for number in range(count)]
        with ThreadPoolExecutor(available_processors()) as pool:
            sizes = [*pool.map(partial(_make_photo, recipe, folder / "all"), jobs)]
        text = {"recipe": asdict(recipe), "mean_kilobytes": round(mean(sizes) / 1000, 1)}
        made.write_text(json.dumps(text, indent=1), encoding="utf-8")
        print(f"{name}: {count} photos of {mean(sizes) / 1000:,.0f} kB")


def choose_quality(files: list[Path]) -> int:
    """Return the quality at which JPEGs of 1600 pixels are nearest to `JPEG_BYTES` on average."""
    photos = [_sized(_read(file), 1600) for file in files]
    return min(QUALITIES, key=lambda quality: abs(mean(len(_encoded(one, "jpg", quality)) for one in photos) - JPEG_BYTES))


def _make_photo(recipe: _Recipe, folder: Path, job: tuple[int, Path, bool]) -> int:
    """Write one photo of a set and return its bytes."""
    number, file, again = job
    photo = _read(file)
    if again:
        rng = np.random.default_rng((recipe.seed, number))
        left, top, right, bottom = rng.uniform(0, MAX_CROP, 4) * np.array([photo.width, photo.height] * 2)
        photo = photo.crop((int(left), int(top), photo.width - int(right), photo.height - int(bottom)))
        photo = ImageOps.mirror(photo) if rng.random() < 0.5 else photo
    if recipe.side == SIDE:
        photo = Image.fromarray(extract_product(Photo(np.asarray(_sized(photo, 400))), colour=False).pixels)
        # Some photos give nothing but black, and all of these are the same file.
        photo.putpixel((number % SIDE, SIDE - 1), 1 + number // SIDE % 255)
    content = _encoded(_sized(photo, recipe.side), recipe.suffix, recipe.quality)
    return (folder / f"{number:05d}.{recipe.suffix}").write_bytes(content)


def _read(file: Path) -> Image.Image:
    with Image.open(file) as photo:
        return ImageOps.exif_transpose(photo).convert("RGB")


def _sized(photo: Image.Image, side: int) -> Image.Image:
    """Return a photo with its longer side at `side` pixels; of 4000 pixels with the sides 4 to 3, as 12 megapixels have."""
    if side == 4000:
        return ImageOps.fit(photo, (4000, 3000) if photo.width > photo.height else (3000, 4000), Image.Resampling.BICUBIC)
    scale = side / max(photo.size)
    return photo.resize((max(1, round(photo.width * scale)), max(1, round(photo.height * scale))), Image.Resampling.BICUBIC)


def _encoded(photo: Image.Image, suffix: str, quality: int) -> bytes:
    options = {"jpg": {"quality": quality}, "png": {"compress_level": 6}, "webp": {"quality": 80}}[suffix]
    stream = BytesIO()
    photo.save(stream, {"jpg": "JPEG", "png": "PNG", "webp": "WEBP"}[suffix], **options)
    return stream.getvalue()


@contextmanager
def opened_set(sets: Path, name: str, limit: int | None = None) -> Iterator[tuple[Path, int]]:
    """Give the folder of a set and the number of its photos; a folder of hard links where they are limited."""
    folder = sets / name
    if not folder.with_name(f"{name}.json").exists():
        raise SystemExit(f"There is no set {folder}; run `python -m benchmarks.speed.photo_sets PHOTOS --sets {sets}` first.")
    files = sorted((folder / "all").iterdir())
    if limit is None or limit >= len(files):
        yield folder, len(files)
        return
    with tempfile.TemporaryDirectory(dir=sets, prefix=f"{name}-") as part:
        (Path(part) / "all").mkdir()
        for file in files[:limit]:
            (Path(part) / "all" / file.name).hardlink_to(file)
        yield Path(part), limit


def first_photo(folder: Path) -> Path:
    """Return the first photo of a set."""
    return min((folder / "all").iterdir())


def main() -> None:
    """Make the sets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path, help="flat folder of photos")
    parser.add_argument("--sets", type=Path, required=True, help="folder to make the sets in")
    parser.add_argument("--share", type=float, default=1.0, help="of the photos of each set that are made")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    make_sets(given.photos, given.sets, given.share, given.seed)


if __name__ == "__main__":
    main()
