"""Measure whether the memory of a run grows with the number of photos: peak memory of `fmtag run` over many photos and few.

    python -m benchmarks.speed.memory [--photos 1000 --photos 100000] [--model catalog-small]

The photos are drawn: PNG files of 28x28 pixels in grey, all different, in folders of a thousand, so that a hundred thousand
take minutes. Each number of photos is tagged by a process of its own, with an empty ledger, and then once more, with the
ledger that knows all of them. Prints seconds and peak memory of both runs, and the peak of the first one over that of the
fewest photos.
"""

import os
import tempfile
from pathlib import Path

import click
import cv2
import numpy as np

from benchmarks.speed.nightly import A_FOLDER, LONG_AGO, night
from tagger.settings import SMALL_MODEL


def draw_photos(folder: Path, count: int) -> None:
    """Write `count` different pictures, grey on black as Fashion-MNIST's are."""
    rng = np.random.default_rng(0)
    for number in range(count):
        path = folder / f"{number // A_FOLDER:04d}" / f"{number:07d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.zeros((28, 28), np.uint8)
        pixels[4:24, 8:20] = rng.integers(1, 256, (20, 12))
        path.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
        os.utime(path, (LONG_AGO, LONG_AGO))


@click.command()
@click.option("--photos", multiple=True, type=int, default=(1_000, 100_000), show_default=True, help="Numbers of photos.")
@click.option("--model", default=SMALL_MODEL, show_default=True, help="Bundle.")
def main(photos: tuple[int, ...], model: str) -> None:
    """Print the table."""
    print("| photos | first run, s | photos/s | memory, MB | over the fewest | run without news, s | memory, MB |")
    print("|---|---|---|---|---|---|---|")
    fewest = None
    for count in sorted(photos):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            draw_photos(folder / "photos", count)
            places = (folder / "photos", folder / "tags.ledger", folder / "tags.csv", model)
            seconds, peak, report = night(*places)
            assert report["counts"]["scored"] == count, report["counts"]
            again, peak_again, _ = night(*places)
            fewest = fewest or peak
            print(
                f"| {count:,} | {seconds:.1f} | {count / seconds:.0f} | {peak:.0f} | {peak / fewest:.3f} "
                f"| {again:.2f} | {peak_again:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
