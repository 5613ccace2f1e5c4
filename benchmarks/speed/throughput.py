"""Compare photos per second and peak memory of `fmtag run` with a plain torchvision script on the same photos.

    python -m benchmarks.speed.throughput PHOTOS... [--side 1600] [--copies 1] [--runs 5]

The photos are enlarged to 1600 pixels (a phone's or a studio's size) into a temporary folder. Both programs then run in turn,
as whole processes, and the ratio is computed pair by pair, because machines are noisy. `fmtag run` ignores earlier runs
(`--fresh`). Start-up is also measured alone and stays in the totals; `--copies` makes small sets long enough to outweigh it.
Memory is that of the largest single process (the plain script has worker processes besides).
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

from tagger.file_kinds import IMAGE_SUFFIXES

HERE = Path(__file__).resolve().parent
FMTAG = [sys.executable, "-m", "tagger"]


def enlarged(photos: Path, folder: Path, side: int, copies: int) -> int:
    """Write every photo of `photos` `copies` times, its longer side at `side` pixels, into `folder`; return how many."""
    folder.mkdir(parents=True)
    files = sorted(path for path in photos.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
    for path in files:
        with Image.open(path) as photo:
            scale = side / max(photo.size)
            size = (round(photo.width * scale), round(photo.height * scale))
            first = folder / f"{path.stem}.jpg"
            photo.convert("RGB").resize(size, Image.Resampling.BICUBIC).save(first, quality=85)
        for number in range(1, copies):
            # Bytes after a JPEG's end marker are ignored, but make each copy a photo with a hash of its own.
            (folder / f"{path.stem}-{number}.jpg").write_bytes(first.read_bytes() + bytes([number]))
    return len(files) * copies


def timed(command: list[str]) -> tuple[float, float]:
    """Return wall seconds and the peak memory in MB of the largest process of a command that must succeed."""
    started = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        message = process.stderr.read() if process.stderr else b""
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}:\n{message.decode()}")
    return time.perf_counter() - started, usage.ru_maxrss / 1024


def compare(name: str, count: int, folder: Path, out: Path, runs: int) -> None:
    """Print one table row: medians of both, and the median, least and greatest ratio."""
    ours_command = [*FMTAG, "run", str(folder), "--out", str(out), "--fresh", "--quiet"]
    plain_command = [sys.executable, str(HERE / "plain_torchvision.py"), str(folder.parent), str(out)]
    timed(ours_command), timed(plain_command)  # the first of each fills the file cache
    pairs = [(timed(ours_command), timed(plain_command)) for _ in range(runs)]
    ours, plain = (statistics.median(count / pair[which][0] for pair in pairs) for which in (0, 1))
    ratios = [pair[1][0] / pair[0][0] for pair in pairs]
    memory = [statistics.median(pair[which][1] for pair in pairs) for which in (0, 1)]
    print(
        f"| {name} | {count} | {ours:.0f}/s | {plain:.0f}/s | {statistics.median(ratios):.2f} "
        f"({min(ratios):.2f}-{max(ratios):.2f}) | {memory[0]:.0f} MB | {memory[1]:.0f} MB |"
    )


def main() -> None:
    """Measure and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path, nargs="+")
    parser.add_argument("--side", type=int, default=1600, help="pixels of the longer side")
    parser.add_argument("--copies", type=int, default=1, help="times that each photo is taken")
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    print(f"{len(os.sched_getaffinity(0))} processors, {options.runs} pairs of runs, photos of {options.side} px\n")
    print("| photos | n | fmtag run | plain script | ratio, median (range) | memory | plain, memory |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as temporary:
        for photos in options.photos:
            folder = Path(temporary) / photos.resolve().name / "all"
            count = enlarged(photos, folder, options.side, options.copies)
            compare(photos.resolve().name, count, folder, Path(temporary) / f"{photos.resolve().name}.csv", options.runs)
        one = next(folder.iterdir())
        out = str(Path(temporary) / "one.csv")
        for name, command in {
            "fmtag --help": [*FMTAG, "--help"],
            "fmtag run on one photo": [*FMTAG, "run", str(one), "--out", out, "--fresh", "--quiet"],
        }.items():
            seconds = statistics.median(timed(command)[0] for _ in range(options.runs))
            print(f"\n{name}: {seconds:.2f} s")


if __name__ == "__main__":
    main()
