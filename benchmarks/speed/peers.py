"""Compare `fmtag run` with what others do over the same folder of photos, as whole processes.

    python -m benchmarks.speed.peers --sets FOLDER --environments FOLDER [--runs 5] [--limit 300]

- timm: its own loader and `tf_efficientnet_lite0`, the architecture of the backbone of `catalog`;
- Hugging Face: its image-classification pipeline with the same model;
- plain torchvision: ImageFolder, DataLoader and the small network of `residual`, with `catalog-small`.

Each has an environment of its own, made here once from the configured package index, and writes a CSV of a tag and a confidence
per photo. They run in turn; ratios are of wall seconds, pair by pair, start-up included. The others look for no product, no
person and no damage, and run one network; `catalog` runs a small one besides.
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import NamedTuple

from benchmarks.reporting import table
from benchmarks.speed.measuring import alternate, arguments, median_ratio, ratio_cell, time_run, timed, write_report
from benchmarks.speed.peer_environments import make_environment, versions_shown
from benchmarks.speed.photo_sets import opened_set


class Peer(NamedTuple):
    """A program, the bundle that it is compared with, and the most photos of each set."""

    module: str
    model: str
    photos: dict[str, int]


PEERS = {
    "timm": Peer("peer_timm", "catalog", {"1600-jpg": 300, "400-jpg": 600, "4000-jpg": 120}),
    "huggingface": Peer("peer_huggingface", "catalog", {"1600-jpg": 300, "400-jpg": 600, "4000-jpg": 120}),
    "torchvision": Peer("plain_torchvision", "catalog-small", {"1600-jpg": 900}),
}
"""By the name of their environments."""


def time_peer(python: Path, module: str, folder: Path) -> float:
    """Return the wall seconds of another program over a set, as a whole process."""
    with tempfile.TemporaryDirectory() as out:
        command = [str(python), "-m", f"benchmarks.speed.{module}", str(folder.resolve()), str(Path(out) / "tags.csv")]
        return timed(command)[0]


def main() -> None:
    """Make the environments, measure all pairs and write the report."""
    parser = arguments(__doc__)
    parser.add_argument("--environments", type=Path, required=True, help="folder to make the environments in")
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=[*PEERS])
    options = parser.parse_args()
    pythons = {name: make_environment(options.environments, name) for name in options.peers}
    versions = {name: versions_shown(python) for name, python in pythons.items()}
    rows, values = [], []
    for set_name in dict.fromkeys(one for name in options.peers for one in PEERS[name].photos):
        # Peers with as many photos and the same bundle are compared with the same runs.
        groups: dict[tuple[str, int], list[str]] = {}
        for name in options.peers:
            peer = PEERS[name]
            if set_name in peer.photos:
                count = min(peer.photos[set_name], options.limit or sys.maxsize)
                groups.setdefault((peer.model, count), []).append(name)
        for (model, most), names in groups.items():
            with opened_set(options.sets, set_name, most) as (folder, count):
                measures: dict[str, Callable[[], float]] = {"fmtag": lambda at=folder, by=model: time_run(at, by)}
                for name in names:
                    measures[name] = lambda at=folder, by=name: time_peer(pythons[by], PEERS[by].module, at)
                time_run(folder, model)  # fills the file cache
                seconds = alternate(measures, options.runs)
            for name in names:
                ours, theirs = seconds["fmtag"], seconds[name]
                speeds = [count / median(ours), count / median(theirs)]
                shown = [f"{speed:,.0f}" if speed >= 100 else f"{speed:,.1f}" for speed in speeds]
                rows.append([set_name, model, name, f"{count:,}", *shown, ratio_cell(theirs, ours)])
                values.append(
                    {"set": set_name, "model": model, "peer": name, "n": count, "ratio": median_ratio(theirs, ours)}
                    | {"fmtag_per_second": speeds[0], "peer_per_second": speeds[1], "seconds": [ours, theirs]}
                )
    lines = table(("set", "bundle", "compared with", "n", "fmtag, photos/s", "the other, photos/s", "ratio (range)"), rows)
    lines += [f"- {name}: {libraries}" for name, libraries in versions.items()]
    write_report(
        options.out, "speed_peers", "Runs compared with others", options.runs, lines, {"rows": values, "peers": versions}
    )


if __name__ == "__main__":
    main()
