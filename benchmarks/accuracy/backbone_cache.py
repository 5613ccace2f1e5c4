"""Cache what the ablation of the backbone needs: pictures by set, and what each network says about each view of them.

A set is a folder: `crops.raw` (uint8, 224x224x3 each), `small.raw` (uint8, 28x28 each) and `rows.json`, a row for each picture.
What networks compute lies beside them in parts, so that an interrupted run goes on where it was.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from tagger.arrays import Float32s, Pixels
from tagger.data.labels import LABELS
from tagger.inference.onnx_backbone import OnnxBackbone
from tagger.inference.predictor import Features, Predictor
from tagger.onnx_session import open_session
from tagger.photos.colour import COLOUR_SIDE
from tagger.photos.decode import decode
from tagger.records import Failed, Photo, ProductImage, RegionName
from tagger.training.fusion_pictures import collect_pictures

PART = 1_024
"""Pictures per file of what a network computed."""

View: TypeAlias = Callable[[Pixels], Pixels]
"""From a picture, uint8 (224, 224, 3), to the one that the network is shown, uint8 (side, side, 3)."""

Extract: TypeAlias = Callable[[Photo], Sequence[ProductImage]]
"""From a photo to the images of all its parts that may be the product; none where nothing stands out."""


@dataclass(frozen=True)
class PictureSet:
    """Pictures in a folder of the cache."""

    folder: Path
    every: int = 1
    """Of staged and painted pictures only every such one is taken, to save time."""

    @cached_property
    def _all_rows(self) -> list[dict[str, Any]]:
        return cast(list[dict[str, Any]], json.loads((self.folder / "rows.json").read_text(encoding="utf-8")))

    @cached_property
    def numbers(self) -> list[int]:
        """The numbers of the pictures that are taken among all in the folder."""
        rows = enumerate(self._all_rows)
        return [number for number, row in rows if number % self.every == 0 or row.get("sort") == "photo"]

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """A row for each picture."""
        return [self._all_rows[number] for number in self.numbers]

    @cached_property
    def crops(self) -> Pixels:
        """All pictures of the folder in colour, uint8 (all, 224, 224, 3)."""
        return np.memmap(self.folder / "crops.raw", np.uint8, "r", shape=(len(self._all_rows), COLOUR_SIDE, COLOUR_SIDE, 3))

    @cached_property
    def small(self) -> Pixels:
        """All pictures of the small network, uint8 (all, 28, 28)."""
        return np.memmap(self.folder / "small.raw", np.uint8, "r", shape=(len(self._all_rows), 28, 28))

    @property
    def complete(self) -> bool:
        """Whether all pictures are in the cache."""
        return (self.folder / "rows.json").is_file()

    def by_small(self, predictor: Predictor) -> Float32s:
        """Return the small network's probabilities, float32 (n, labels + 1), from the cache or computed now."""
        return self._in_parts("probabilities", lambda rows: (self._small_part(predictor, rows),))[0]

    def _small_part(self, predictor: Predictor, rows: range) -> Float32s:
        regions = [cast("RegionName | None", self.rows[row].get("region")) for row in rows]
        images = [
            ProductImage(self.small[self.numbers[row]], found=True, worn=region is not None, region=region)
            for row, region in zip(rows, regions, strict=True)
        ]
        return predictor.extract(images).probabilities

    def by_backbone(self, name: str, graph: Callable[[], bytes], view: View) -> tuple[Float32s, Float32s]:
        """Return features (n, F) and logits (n, 1000) of a view by a network; `name` stands for both in the cache."""
        session = None

        def part(rows: range) -> tuple[Float32s, Float32s]:
            nonlocal session
            session = session or open_session(graph())
            seen = [session.run(["features", "logits"], {"pixels": view(self.crops[self.numbers[row]])[None]}) for row in rows]
            return np.concatenate([one[0] for one in seen]), np.concatenate([one[1] for one in seen])

        features, logits = self._in_parts(name, part)
        return features, logits

    def _in_parts(self, name: str, compute: Callable[[range], tuple[Float32s, ...]]) -> tuple[Float32s, ...]:
        parts = []
        name = name if self.every == 1 else f"{name}-of-{self.every}"
        for start in range(0, len(self.rows), PART):
            file = self.folder / f"{name}-{start // PART:03d}.npz"
            if not file.is_file():
                arrays = compute(range(start, min(start + PART, len(self.rows))))
                unfinished = file.with_suffix(".part.npz")
                np.savez(unfinished, *arrays)
                unfinished.replace(file)
                print(f"{self.folder.name}: {name}, {min(start + PART, len(self.rows)):,} of {len(self.rows):,}", flush=True)
            with np.load(file) as stored:
                parts.append([stored[key] for key in stored.files])
        return tuple(np.concatenate(arrays) for arrays in zip(*parts, strict=True))


class _Recorder:
    """Writes pictures to the files of a set, and answers in place of both networks."""

    def __init__(self, crops: BinaryIO, small: BinaryIO) -> None:
        self._crops, self._small = crops, small

    def extract(self, images: Sequence[ProductImage]) -> Features:
        for image in images:
            self._small.write(image.pixels.tobytes())
        return Features(np.zeros((len(images), len(LABELS) + 1), np.float32), np.zeros((len(images), 1), np.float32))

    def __call__(self, pictures: Sequence[Pixels]) -> tuple[Float32s, Float32s]:
        for picture in pictures:
            self._crops.write(picture.tobytes())
        empty = np.zeros((len(pictures), 1), np.float32)
        return empty, empty


def training_set(folder: Path, photos: Path, fashion_mnist: tuple[Pixels, NDArray[np.int64]], calibration: bool) -> PictureSet:
    """Return the pictures that a fusion learns from, or those that it is calibrated on, as `fmtag retrain` makes them."""
    pictures = PictureSet(folder)
    if not pictures.complete:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "crops.raw").open("wb") as crops, (folder / "small.raw").open("wb") as small:
            recorder = _Recorder(crops, small)
            made = collect_pictures(
                photos,
                fashion_mnist,
                cast(Predictor, recorder),
                cast(OnnxBackbone, recorder),
                0,
                calibration,
                _progress(folder),
            )
        kinds = np.where(made.painted, "painted", np.where(made.staged, "staged", "photo"))
        rows = [{"class": int(label), "sort": str(kind)} for label, kind in zip(made.classes, kinds, strict=True)]
        _write_rows(folder, rows)
    return pictures


def _progress(folder: Path) -> Callable[[int], None]:
    def progress(done: int) -> None:
        if done % 2_560 == 0:
            print(f"{folder.name}: {done:,} pictures", flush=True)

    return progress


def photo_set(folder: Path, photos: Sequence[tuple[Path, dict[str, Any]]], extract: Extract) -> PictureSet:
    """Return the pictures of labelled photos, one for each part that may be the product.

    Args:
        folder: of the set in the cache.
        photos: files with what is known of them, which goes into the rows.
        extract: returns the images of all parts of a photo.
    """
    pictures = PictureSet(folder)
    if not pictures.complete:
        folder.mkdir(parents=True, exist_ok=True)
        rows: list[dict[str, Any]] = []
        with (folder / "crops.raw").open("wb") as crops, (folder / "small.raw").open("wb") as small:
            recorder = _Recorder(crops, small)
            for number, (known, images) in enumerate(_extracted(photos, extract)):
                coloured = [(image, image.colour) for image in images if image.colour is not None]
                recorder.extract([image for image, _ in coloured])
                recorder([colour for _, colour in coloured])
                rows += [known | {"photo": number} | _of_part(image) for image, _ in coloured]
                if not coloured:  # a row without a tag, on empty pictures
                    recorder.extract([ProductImage(np.zeros((28, 28), np.uint8), found=False)])
                    recorder([np.zeros((COLOUR_SIDE, COLOUR_SIDE, 3), np.uint8)])
                    rows.append(known | {"photo": number, "found": False})
        _write_rows(folder, rows)
        print(f"{folder.name}: {len(photos):,} photos, {len(rows):,} pictures", flush=True)
    return pictures


def _extracted(
    photos: Sequence[tuple[Path, dict[str, Any]]], extract: Extract
) -> Iterator[tuple[dict[str, Any], Sequence[ProductImage]]]:
    def one(file: Path) -> Sequence[ProductImage]:
        decoded = decode(file)
        return [] if isinstance(decoded, Failed) else extract(decoded)

    rest = iter(photos)
    with ThreadPoolExecutor(2, "photos") as pool:
        while batch := list(islice(rest, 256)):
            images = pool.map(one, [file for file, _ in batch])
            yield from ((known, found) for (_, known), found in zip(batch, images, strict=True))


def _of_part(image: ProductImage) -> dict[str, Any]:
    prior = image.regions[0].prior if image.regions else 1.0
    return {"found": True, "region": image.region, "prior": prior}


def _write_rows(folder: Path, rows: Sequence[dict[str, Any]]) -> None:
    unfinished = folder / "rows.part"
    unfinished.write_text(json.dumps(rows), encoding="utf-8")
    unfinished.replace(folder / "rows.json")
