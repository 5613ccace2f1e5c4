"""Measure `fmtag run` on a GPU and on many cores, and what bounds it.

    python -m benchmarks.speed.gpu PHOTOS [--parts rows networks loading run workers] [--per-core 1000] [--out FILE.json]

The photos are repeated, each copy with a hash of its own, so that every core has `--per-core` of them. Every part is a table:

    rows      tags and confidences of runs on the GPU and on the CPU; rows of smaller batches beside those of 64
    networks  pictures per second of the networks alone, from and to the processor's memory, at several batch sizes
    loading   photos per second that are read, decoded and cut out in all cores, without a network
    run       `fmtag run`, whole processes, on the GPU and on the CPU, with start-up and without
    workers   `fmtag run --workers N` on N cores of the CPU: its speed, over N times that of one worker on one core

Start-up is that of the same command on a single photo. The second threads of cores are used last. How busy processors and GPU
were during a run is read from /proc/stat and `nvidia-smi`.
"""

import argparse
import csv
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from benchmarks.reporting import hardware, table
from tagger.file_kinds import IMAGE_SUFFIXES
from tagger.inference.network_runner import NetworkRunner
from tagger.inference.predictor import Predictor
from tagger.models import card
from tagger.models.bundle import load
from tagger.photos.product import SIDE
from tagger.photos.settings import DEFAULT_DECODING
from tagger.records import Item, ProductImage
from tagger.run.networks import Networks
from tagger.run.worker_processes import WorkerSettings, load_in_processes
from tagger.settings import Device

PARTS = ("rows", "networks", "loading", "run", "workers")

BATCHES = (64, 256)

WORKERS = (1, 2, 4, 8, 16, 32, 64)

Results = dict[str, Any]


def repeated(photos: Path, folder: Path, count: int) -> list[Path]:
    """Write `count` photos into `folder`, those of `photos` again and again, and return them.

    Bytes after a JPEG's end are ignored, but make each copy a photo with a hash of its own.
    """
    folder.mkdir()
    contents = [path.read_bytes() for path in sorted(photos.iterdir()) if path.suffix.lower() in IMAGE_SUFFIXES]
    files = [folder / f"{number:06d}.jpg" for number in range(count)]
    for number, file in enumerate(files):
        file.write_bytes(contents[number % len(contents)] + number.to_bytes(4, "little"))
    return files


def linked(files: Sequence[Path], folder: Path) -> Path:
    """Make a folder of hard links to files, and return it."""
    folder.mkdir()
    for file in files:
        os.link(file, folder / file.name)
    return folder


def cores_in_order() -> list[int]:
    """Return the numbers of the cores that this process may use, the second threads of each core last."""

    def thread_of(core: int) -> int:
        siblings = Path(f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list")
        text = siblings.read_text().strip() if siblings.is_file() else str(core)
        first, *others = (int(number) for number in text.replace("-", ",").split(","))
        return 0 if core == first else 1 + len(others)

    return sorted(os.sched_getaffinity(0), key=lambda core: (thread_of(core), core))


def processor_seconds() -> tuple[int, int]:
    """Return the busy and all ticks of the whole machine's processors so far."""
    values = [int(value) for value in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return sum(values) - values[3] - values[4], sum(values)


class Usage:
    """How busy processors and GPU are while a block lasts, 0..1; the GPU None without `nvidia-smi`."""

    def __init__(self) -> None:
        self.processors = 0.0
        self.gpu: float | None = None

    def __enter__(self) -> "Usage":
        self._before = processor_seconds()
        query = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "-lms", "200"]
        found = shutil.which(query[0])
        self._sampling = (
            subprocess.Popen(query, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) if found else None
        )
        return self

    def __exit__(self, *error: object) -> None:
        busy, total = (after - before for after, before in zip(processor_seconds(), self._before, strict=True))
        self.processors = busy / max(1, total)
        if self._sampling is not None:
            self._sampling.terminate()
            samples = [int(line) for line in self._sampling.communicate()[0].split() if line.isdigit()]
            self.gpu = statistics.mean(samples) / 100 if samples else None


def run_command(folder: Path, out: Path, model: str, *options: str, cores: Sequence[int] = ()) -> tuple[float, float]:
    """Return wall seconds and the largest process's memory in MB of `fmtag run` on a folder; on these cores alone, if any."""
    command = [sys.executable, "-m", "tagger", "run", str(folder), "--out", str(out), "--model", model, "--fresh", "--quiet"]
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores or before)  # a process inherits it
    try:
        started = time.perf_counter()
        with subprocess.Popen([*command, *options], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
            message = process.stderr.read() if process.stderr else b""
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - started
    finally:
        os.sched_setaffinity(0, before)
    if process.returncode not in (0, 3):
        raise SystemExit(f"{' '.join([*command, *options])} ended with {process.returncode}:\n{message.decode()}")
    return seconds, usage.ru_maxrss / 1024


# Parts -------------------------------------------------------------------------------------------------------------


class Benchmark:
    """What all parts need: photos, a bundle, a folder for files, and the devices to compare."""

    def __init__(self, options: argparse.Namespace, temporary: Path) -> None:
        self.model: str = options.model
        self.runs: int = options.runs
        self.per_core: int = options.per_core
        self.devices: list[str] = options.devices
        self.cores = cores_in_order()
        self.temporary = temporary
        self.files = repeated(options.photos, temporary / "all", self.per_core * len(self.cores))
        self.one = linked(self.files[:1], temporary / "one")
        self.originals = sum(path.suffix.lower() in IMAGE_SUFFIXES for path in options.photos.iterdir())

    def rows(self) -> tuple[Results, list[str]]:
        """Compare the rows of devices, and those of batch sizes."""
        folder = linked(self.files[: self.originals], self.temporary / "originals")
        outputs = []
        for device in self.devices:
            out = self.temporary / f"{device}.csv"
            run_command(folder, out, self.model, "--device", device)
            with out.open(encoding="utf-8", newline="") as file:
                outputs.append(list(csv.DictReader(file)))
        first, last = outputs[0], outputs[-1]
        same = sum(one["tag"] == other["tag"] for one, other in zip(first, last, strict=True))
        apart = [
            abs(float(one["confidence"] or 0) - float(other["confidence"] or 0)) for one, other in zip(first, last, strict=True)
        ]
        results: Results = {"photos": len(first), "same tags": same, "identical rows": sum(map(dict.__eq__, first, last))}
        results["largest difference of confidences"] = max(apart)
        results |= self._backbone_rows()
        return results, table(["rows", "value"], [(name, str(value)) for name, value in results.items()])

    def _backbone_rows(self) -> Results:
        """Return how far rows of the backbone are from those on the CPU, and those of smaller batches from those of 64."""
        bundle = load(self.model)
        if bundle.backbone is None or self.devices[0] == "cpu":
            return {}
        from tagger.inference.onnx_backbone import OnnxBackbone
        from tagger.inference.torch_backbone import TorchBackbone

        pictures = random_pictures(64)
        expected = TorchBackbone(bundle.backbone, self.devices[0])(pictures)
        results: Results = {}
        for name, one, other in zip(("features", "logits"), expected, OnnxBackbone(bundle.backbone)(pictures), strict=True):
            results[f"largest difference of {name} from the CPU's"] = float(np.abs(one - other).max())
            results[f"largest of the CPU's {name}"] = float(np.abs(other).max())
        alone = TorchBackbone(bundle.backbone, self.devices[0])([pictures[5]])
        results["same to the bit in other company"] = all(map(np.array_equal, alone, [one[5:6] for one in expected]))
        for size in (32, 16, 8, 4, 2, 1):
            rows = TorchBackbone(bundle.backbone, self.devices[0], size)(pictures)
            differences = [float(np.abs(one - other).max()) for one, other in zip(expected, rows, strict=True)]
            results[f"largest difference of rows of batches of {size} from those of 64"] = max(differences)
        return results

    def networks(self) -> tuple[Results, list[str]]:
        """Measure the networks alone on the first device."""
        bundle, device = load(self.model), self.devices[0]
        runner = NetworkRunner(bundle, device)
        pictures = random_pictures(1024)
        images = [ProductImage(np.ascontiguousarray(one[:SIDE, :SIDE, 0]), True, colour=one) for one in pictures]
        predictor = Predictor(bundle, cast(Device, device))
        speeds: Results = {"both networks, as in a run": rate(lambda: runner.run(images), len(images))}
        speeds["both, embeddings and probabilities"] = rate(lambda: predictor.score(images), len(images))
        speeds["the small network"] = rate(lambda: runner.run([plain(image) for image in images]), len(images))
        if bundle.backbone is not None and device != "cpu":
            from tagger.inference.torch_backbone import TorchBackbone

            for size in BATCHES:
                backbone = TorchBackbone(bundle.backbone, device, size)
                speeds[f"the backbone, {size} at once"] = rate(lambda one=backbone: one(pictures), len(pictures))
        return speeds, table(
            [f"networks on {device}", "pictures/s"], [(name, f"{value:,.0f}") for name, value in speeds.items()]
        )

    def loading(self) -> tuple[Results, list[str]]:
        """Measure reading, decoding and cutting out in all cores, as in a run on a GPU."""
        stored = card.read(self.model)
        settings = WorkerSettings(stored, False, DEFAULT_DECODING, bool(stored.eyes))
        speeds, own = [], []
        for _ in range(self.runs):
            loaded = load_in_processes(
                (Item(str(path), path) for path in self.files),
                len(self.cores),
                settings,
                lambda _: False,
                Networks(stored, "cpu"),
            )
            for number, _ in enumerate(loaded):
                if number == 2 * len(self.cores):  # all processes have begun
                    started, used = time.perf_counter(), time.process_time()
            own.append(1000 * (time.process_time() - used) / (len(self.files) - 2 * len(self.cores)))
            speeds.append((len(self.files) - 2 * len(self.cores)) / (time.perf_counter() - started))
        results = {"photos": len(self.files), "photos/s": statistics.median(speeds), "ms": statistics.median(own)}
        line = (f"{len(self.cores)} processes", f"{results['photos/s']:,.0f}", f"{results['ms']:.2f}")
        return results, table(["loading", "photos/s", "ms of the process that takes the photos"], [line])

    def run(self) -> tuple[Results, list[str]]:
        """Measure whole runs on each device."""
        results: Results = {}
        lines = []
        for device in self.devices:
            start, _ = self._median(self.one, device)
            with Usage() as usage:
                seconds, memory = self._median(self.temporary / "all", device)
            count = len(self.files)
            results[device] = {
                "photos": count,
                "seconds": seconds,
                "start-up": start,
                "photos/s": count / seconds,
                "photos/s without start-up": count / (seconds - start),
                "memory of the largest process, MB": memory,
                "processors busy": usage.processors,
                "GPU busy": usage.gpu,
            }
            speeds = (f"{count / seconds:,.0f}", f"{count / (seconds - start):,.0f}", f"{start:.2f} s", f"{memory:.0f} MB")
            gpu = "" if usage.gpu is None else f"{usage.gpu:.0%}"
            lines.append((device, f"{count:,}", *speeds, f"{usage.processors:.0%}", gpu))
        titles = ["run", "n", "photos/s", "without start-up", "start-up", "memory", "processors busy", "GPU busy"]
        return results, table(titles, lines)

    def workers(self) -> tuple[Results, list[str]]:
        """Measure runs on the CPU with more and more workers, each on a core of its own."""
        results: Results = {}
        lines = []
        for count in [number for number in WORKERS if number <= len(self.cores)]:
            folder = linked(self.files[: count * self.per_core], self.temporary / f"workers-{count}")
            start, _ = self._median(self.one, "cpu", count, self.cores[:count])
            seconds, _ = self._median(folder, "cpu", count, self.cores[:count])
            speed = count * self.per_core / (seconds - start)
            results[str(count)] = {"photos/s without start-up": speed, "seconds": seconds, "start-up": start}
            efficiency = speed / count / results["1"]["photos/s without start-up"]
            results[str(count)]["efficiency"] = efficiency
            lines.append((str(count), f"{count * self.per_core:,}", f"{speed:,.0f}", f"{efficiency:.2f}"))
        return results, table(["workers, cores", "n", "photos/s without start-up", "efficiency"], lines)

    def _median(self, folder: Path, device: str, workers: int | None = None, cores: Sequence[int] = ()) -> tuple[float, float]:
        """Return the median seconds and memory of runs on a folder, after one that fills caches."""
        options = ["--device", device] if workers is None else ["--device", device, "--workers", str(workers)]
        out = self.temporary / f"{folder.name}.csv"
        _, *measured = [run_command(folder, out, self.model, *options, cores=cores) for _ in range(1 + self.runs)]
        return statistics.median(one[0] for one in measured), statistics.median(one[1] for one in measured)


def random_pictures(count: int) -> list[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]:
    """Return pictures of noise, uint8 (224, 224, 3): the speed of a network does not depend on them."""
    return list(np.random.default_rng(0).integers(0, 256, (count, 224, 224, 3), np.uint8))


def plain(image: ProductImage) -> ProductImage:
    """Return a product image without its colours, which the backbone does not see."""
    return ProductImage(image.pixels, True)


def rate(call: Callable[[], object], count: int, seconds: float = 2.0) -> float:
    """Return how many of `count` things a call does in a second, the median over calls of about `seconds` in all."""
    call()
    passes: list[float] = []
    while len(passes) < 3 or sum(passes) < seconds:
        started = time.perf_counter()
        call()
        passes.append(time.perf_counter() - started)
    return count / statistics.median(passes)


def bound(results: Results, device: str) -> Iterable[str]:
    """Yield a sentence on what bounds a run on the device, from the speeds of its parts."""
    if not {"networks", "loading", "run"} <= results.keys():
        return
    loading, networks = results["loading"]["photos/s"], results["networks"]["both networks, as in a run"]
    speed = results["run"][device]["photos/s without start-up"]
    lower = "loading photos" if loading < networks else "the networks"
    yield (
        f"Loading alone reaches {loading:,.0f} photos/s, the networks alone {networks:,.0f}; the run, at {speed:,.0f}, does "
        f"{speed / min(loading, networks):.2f} of the lower one: {lower}."
    )


def main() -> None:
    """Measure, print tables in Markdown, and write what was measured as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path, help="folder of JPEGs")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--model", default="catalog")
    parser.add_argument("--devices", nargs="+", default=["cuda", "cpu"])
    parser.add_argument("--per-core", type=int, default=1000, help="photos per core")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    results: Results = {"hardware": hardware(), "model": options.model, "per core": options.per_core, "runs": options.runs}
    if options.devices[0] == "cuda":
        import torch

        results["gpu"] = f"{torch.cuda.get_device_name()}, torch {torch.__version__}"
    print(*(f"{name}: {value}" for name, value in results.items()), sep="\n", flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        benchmark = Benchmark(options, Path(temporary))
        for part in options.parts:
            results[part], lines = getattr(benchmark, part)()
            print("", *lines, sep="\n", flush=True)
            if options.out:  # after every part, in case that the next one does not end
                options.out.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    print(*bound(results, options.devices[0]), sep="\n")


if __name__ == "__main__":
    main()
