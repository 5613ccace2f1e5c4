"""Measure how many bytes of a JPEG its decoding needs, and what it costs to fetch a part of them first.

    python -m benchmarks.speed.partial_jpeg --sets SETS [--runs 3] [--limit 60] [--latencies 0 5 50]

Photos are decoded at the scales of `fmtag run`, 1/4 (1600 pixels) or 1/8 (4000 pixels), by Pillow, which decodes files without
an end as far as they go, where `fmtag run` calls them damaged. A progressive JPEG, saved anew with the quantization tables of
the original, is cut after each of its scans; the bytes that are needed are those up to the first cut with the same pixels as
the whole file. A baseline JPEG has one scan, at whose end the photo's last row is: it is cut at seven percents of its bytes.

Then the photos are fetched from a stand-in of S3 on this machine one after the other, whole in one request, and in two: the
share that progressive ones need, then the rest. *Break-even* is the bandwidth of a connection below which a part of a
progressive JPEG in two requests, the header with the places of its scans and then the part, is faster than the whole in one.
"""

import http.client
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from statistics import mean, median
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import numpy as np
from PIL import Image

from benchmarks.reporting import table
from benchmarks.speed.measuring import alternate, arguments, ratio_cell, write_report
from benchmarks.speed.photo_sets import opened_set
from benchmarks.speed.s3_server import Server, serving

SCALES = {"1600-jpg": 4, "4000-jpg": 8}
"""Sets, and what their photos are divided by."""

END = b"\xff\xd9"

WITHOUT_LENGTH = {0x01, *range(0xD0, 0xDA)}
"""Markers that stand alone."""

CUTS = (10, 25, 50, 75, 90, 95, 99)
"""Percents of the bytes at which a baseline JPEG is cut."""


class Share(NamedTuple):
    """Bytes that a photo needs."""

    size: int
    same: float
    """Share of the bytes up to which the decoded pixels are those of the whole file."""
    half: float
    """Mean difference of the pixels, in levels of 255, where the file is cut at the last scan or percent before its half."""


def scan_ends(content: bytes) -> list[int]:
    """Return where each scan of a JPEG ends; raises `ValueError` where it is none."""
    if content[:2] != b"\xff\xd8":
        raise ValueError("not a JPEG")
    ends, at = [], 2
    while content[at : at + 2] != END:
        if content[at] != 0xFF or at + 4 > len(content):
            raise ValueError(f"no marker at byte {at}")
        marker = content[at + 1]
        at += 2 if marker in WITHOUT_LENGTH else 2 + int.from_bytes(content[at + 2 : at + 4], "big")
        if marker == 0xDA:
            while (at := content.index(b"\xff", at)) and content[at + 1] in (0x00, *range(0xD0, 0xD8)):
                at += 2
            ends.append(at)
    return ends


def to_progressive(content: bytes) -> bytes:
    """Return a JPEG as a progressive one, with the same quantization tables and sampling."""
    stream = BytesIO()
    with Image.open(BytesIO(content)) as photo:
        photo.save(stream, "JPEG", quality="keep", progressive=True, optimize=True)
    return stream.getvalue()


def needed_share(content: bytes, scale: int) -> Share:
    """Return which share of a JPEG's bytes its decoding at `1 / scale` needs."""
    whole = _pixels(content, scale)
    ends = scan_ends(content)
    cuts = ends if len(ends) > 1 else [len(content) * percent // 100 for percent in CUTS] + ends
    decoded = [(cut, _pixels(content[:cut] + END, scale)) for cut in cuts]
    same = next(cut for cut, pixels in decoded if pixels is not None and np.array_equal(pixels, whole))
    halves = [pixels for cut, pixels in decoded if pixels is not None and cut <= len(content) / 2]
    difference = np.abs(halves[-1].astype(np.int16) - whole).mean() if halves and whole is not None else float("nan")
    return Share(len(content), min(1.0, (same + len(END)) / len(content)), float(difference))


def _pixels(content: bytes, scale: int) -> Any:
    """Return the pixels of a JPEG at `1 / scale`; None where it has none yet."""
    try:
        with Image.open(BytesIO(content)) as photo:
            photo.draft("RGB", (photo.width // scale, photo.height // scale))
            return np.asarray(photo)
    except OSError:
        return None


def fetch_seconds(server: Server, keys: list[str], sizes: list[int], first_share: float | None) -> float:
    """Return the seconds per object, fetched one after the other, whole or as a part of `first_share` and then the rest."""
    connection = http.client.HTTPConnection(urlsplit(server.endpoint).netloc)
    started = time.perf_counter()
    for key, size in zip(keys, sizes, strict=True):
        first = size if first_share is None else int(size * first_share)
        for begin, end in [(0, size)] if first_share is None else [(0, first), (first, size)]:
            connection.request("GET", f"/{server.bucket}/{key}", headers={"Range": f"bytes={begin}-{end - 1}"})
            received = len(connection.getresponse().read())
            if received != end - begin:
                raise SystemExit(f"{key} has {received} bytes in place of {end - begin}")
    seconds = (time.perf_counter() - started) / len(keys)
    connection.close()
    return seconds


def measure_shares(files: list[Path], scale: int) -> Iterator[dict[str, Any]]:
    """Yield what baseline and progressive JPEGs of the same photos need."""
    for kind in ("baseline", "progressive"):
        shares = [
            needed_share(content if kind == "baseline" else to_progressive(content), scale)
            for content in (file.read_bytes() for file in files)
        ]
        yield {
            "kind": kind,
            "n": len(shares),
            "mean_bytes": mean(share.size for share in shares),
            "same": mean(share.same for share in shares),
            "most": max(share.same for share in shares),
            "half_difference": mean(share.half for share in shares),
        }


def main() -> None:
    """Measure and write the report."""
    parser = arguments(__doc__)
    parser.add_argument("--latencies", type=float, nargs="+", default=[0, 5, 50], help="of a request, in milliseconds")
    options = parser.parse_args()
    shares, fetches = [], []
    for name, scale in SCALES.items():
        with opened_set(options.sets, name, options.limit) as (folder, _):
            files = sorted((folder / "all").iterdir())
            rows = [{"set": name} | row for row in measure_shares(files, scale)]
            shares += rows
            sizes, part = [file.stat().st_size for file in files], rows[1]["same"]
            with serving(folder / "all") as server:
                for latency in options.latencies:
                    server.latency(latency)
                    keys = [file.name for file in files]
                    measures = {
                        "whole": lambda to=server, at=keys, of=sizes: fetch_seconds(to, at, of, None),
                        "two": lambda to=server, at=keys, of=sizes, share=part: fetch_seconds(to, at, of, share),
                    }
                    seconds = alternate(measures, options.runs)
                    fetches.append(_fetch(name, latency, seconds, rows[1]))
    titles = ("set", "JPEG", "n", "kB", "bytes needed", "most", "difference at half of the bytes, levels")
    lines = table(titles, [_share_cells(row) for row in shares])
    titles = ("set", "latency, ms", "whole, ms", "in two, ms", "two over one (range)", "break-even, MB/s")
    lines += table(titles, [_fetch_cells(row) for row in fetches])
    lines += [conclusion(shares, fetches), ""]
    write_report(
        options.out, "speed_partial_jpeg", "Parts of JPEGs", options.runs, lines, {"shares": shares, "fetches": fetches}
    )


def _fetch(name: str, latency: float, seconds: dict[str, list[float]], progressive: dict[str, Any]) -> dict[str, Any]:
    """Return what fetching took, and the bandwidth below which a part of a progressive JPEG is faster."""
    saved = progressive["mean_bytes"] * (1 - progressive["same"])
    more = median(two - one for two, one in zip(seconds["two"], seconds["whole"], strict=True))
    return {
        "set": name,
        "latency_ms": latency,
        "whole_ms": median(seconds["whole"]) * 1000,
        "two_ms": median(seconds["two"]) * 1000,
        "ratio": ratio_cell(seconds["two"], seconds["whole"]),
        "break_even_mb_per_s": saved / more / 1e6 if more > 0 else None,
    }


def conclusion(shares: list[dict[str, Any]], fetches: list[dict[str, Any]]) -> str:
    """Return in a sentence whether objects should be fetched whole."""
    whole = min(row["same"] for row in shares if row["kind"] == "baseline")
    bounds = [
        f"{row['break_even_mb_per_s']:.0f} MB/s at {row['latency_ms']:g} ms ({row['set']})"
        for row in fetches
        if row["latency_ms"] > 0 and (row["break_even_mb_per_s"] or 0) > 0
    ]
    slow = f"only on connections slower than {', '.join(bounds)} while requests follow each other" if bounds else "nowhere"
    return (
        f"Objects are best fetched whole: a baseline JPEG needs {whole:.0%} of its bytes, a progressive one in parts is faster "
        f"{slow}, and the sha256 of an object, by which photos are known, needs all of its bytes."
    )


def _share_cells(row: dict[str, Any]) -> list[str]:
    shown = [f"{row['mean_bytes'] / 1000:,.0f}", f"{row['same']:.1%}", f"{row['most']:.1%}"]
    return [row["set"], row["kind"], f"{row['n']}", *shown, f"{row['half_difference']:.2f}"]


def _fetch_cells(row: dict[str, Any]) -> list[str]:
    bound = row["break_even_mb_per_s"]
    times = [f"{row['whole_ms']:.2f}", f"{row['two_ms']:.2f}", row["ratio"]]
    return [row["set"], f"{row['latency_ms']:g}", *times, "-" if bound is None else f"{bound:.1f}"]


if __name__ == "__main__":
    main()
