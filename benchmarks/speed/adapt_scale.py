"""Measure time and peak memory of `fmtag adapt` over synthetic features of N labelled photos.

    python -m benchmarks.speed.adapt_scale [--photos 1000 10000 100000] [--features 1088] [--threads 1] [--out FILE.md]

The number of features is that of the bundle `catalog`. Products have three photos each and are of 200 kinds, which belong to
ten labels; the network's prediction is right for 80 % of the photos. All photos are labelled, and photos of one product have to
be found. Decoding and feature extraction, which are linear, are left out: see `run`.

Every size runs in a process of its own, whose peak memory is that of Linux (VmHWM), libraries included. Seconds are processor
time (all threads together), which other programs hardly change; with one thread they are close to wall time.
"""

import argparse
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import numpy as np

from benchmarks.reporting import RESULTS, hardware, table, write
from tagger.adaptation.cross_validation import cross_validate
from tagger.adaptation.examples import build_examples
from tagger.adaptation.fit import fit_adapter
from tagger.arrays import Classes
from tagger.catalog.label_table import LabelledPhoto
from tagger.data.labels import LABELS
from tagger.inference.predictor import Features
from tagger.models.adapter import BLOCK, embed_maps
from tagger.records import Item

KINDS, LATENT, PHOTOS_PER_PRODUCT = 200, 48, 3

STAGES = ("group by product", "find neighbours", "cross-validate", "fit", "tag all photos")


def synthetic_features(photos: int, features: int, seed: int = 0) -> tuple[Features, Classes]:
    """Return synthetic features of a number of photos, and their classes (n,), generated in blocks."""
    rng = np.random.default_rng(seed)
    kinds = rng.standard_normal((KINDS, LATENT), np.float32)
    mix = rng.standard_normal((LATENT, features), np.float32) / LATENT**0.5
    products = rng.integers(KINDS, size=photos // PHOTOS_PER_PRODUCT + 1)
    own = 0.7 * rng.standard_normal((len(products), LATENT), np.float32)
    kind = products.repeat(PHOTOS_PER_PRODUCT)[:photos]
    maps = np.empty((photos, features), np.float32)
    for start in range(0, photos, BLOCK):
        numbers = np.arange(start, min(start + BLOCK, photos))
        latent = kinds[kind[numbers]] + own[numbers // PHOTOS_PER_PRODUCT]
        maps[numbers] = np.maximum((latent + 0.2 * rng.standard_normal((len(numbers), LATENT), np.float32)) @ mix, 0)
    classes = kind % len(LABELS)
    predicted = np.where(rng.random(photos) < 0.2, rng.integers(len(LABELS), size=photos), classes)
    probabilities = 0.9 * np.eye(len(LABELS) + 1, dtype=np.float32)[predicted] + 0.1 / (len(LABELS) + 1)
    return Features(probabilities, maps), classes


def peak_megabytes() -> float:
    """Return the peak memory of this process in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def measure(photos: int, features: int) -> dict[str, float]:
    """Return the seconds of every stage, the peak memory in MB, and the cross-validated accuracy."""
    look, classes = synthetic_features(photos, features)
    metrics: dict[str, float] = {"features alone (MB)": look.maps.nbytes / 2**20}

    @contextmanager
    def timed(stage: str) -> Iterator[None]:
        begun = time.process_time()
        yield
        metrics[stage] = time.process_time() - begun
        print(f"{photos:,}: {stage} {metrics[stage]:.1f} s, {peak_megabytes():,.0f} MB", file=sys.stderr, flush=True)

    rows = [
        LabelledPhoto(Item(f"{number}.jpg", f"{number}.jpg"), LABELS[label], "", False) for number, label in enumerate(classes)
    ]
    with timed("group by product"):
        lesson = build_examples(range(photos), rows, LABELS, embed_maps(look.maps), [""] * photos, None).examples
    with timed("find neighbours"):
        assert len(look.neighbours.numbers) == photos
    with timed("cross-validate"):
        trial = cross_validate(lambda left_out: look, lesson)
    assert trial is not None
    with timed("fit"):
        shop = fit_adapter(look, lesson, trial.strength)
    with timed("tag all photos"):
        shop.predict(look.probabilities, look.maps)
    right = trial.probabilities[trial.validated, :-1].argmax(1) == classes[trial.validated]
    megabytes = sum(tensor.nbytes for tensor in shop.tensors().values()) / 2**20
    return metrics | {"peak (MB)": peak_megabytes(), "bundle (MB)": megabytes, "accuracy": float(right.mean())}


def main() -> None:
    """Measure each size in a process of its own, and write the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--features", type=int, default=1_088)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=RESULTS / "adapt_scale.md")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measure(given.photos[0], given.features)))
        return
    rows = []
    for photos in given.photos:
        command = [
            sys.executable,
            "-m",
            "benchmarks.speed.adapt_scale",
            "--one",
            "--photos",
            str(photos),
            "--features",
            str(given.features),
        ]
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(given.threads))
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True, env=os.environ | threads)
        metrics = json.loads(done.stdout)
        seconds = [metrics[stage] for stage in STAGES]
        sizes = [f"{metrics[name]:,.0f}" for name in ("features alone (MB)", "peak (MB)", "bundle (MB)")]
        rows.append(
            [f"{photos:,}", *(f"{some:,.1f}" for some in [*seconds, sum(seconds)]), *sizes, f"{metrics['accuracy']:.3f}"]
        )
    head = ("labelled photos", *(f"{stage} (s)" for stage in STAGES), "total (s)")
    report = [
        "# A shop with many labels",
        "",
        f"`python -m benchmarks.speed.adapt_scale {shlex.join(sys.argv[1:])}`".replace(" `", "`"),
        "",
        f"{hardware()}; threads: {given.threads}; NumPy {version('numpy')}. Synthetic features, {given.features:,} per photo.",
        "",
        *table((*head, "features alone (MB)", "peak memory (MB)", "adapter in the bundle (MB)", "accuracy"), rows),
    ]
    write(given.out, report)


if __name__ == "__main__":
    main()
