"""A small run of the benchmark of damaged files, and the files that it makes."""

import random
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import draw_photo
from image_files import encoded, photo_of

from benchmarks.robustness.damage import Count
from benchmarks.robustness.damaged_files import ENCODINGS, PLACES, WHOLE, damaged
from tagger.data.labels import LABELS
from tagger.records import Reason, Tag

PHOTO = encoded(draw_photo(2, (90, 120)), "JPEG")


@pytest.mark.slow
def test_the_command_writes_every_kind(tmp_path: Path, small_bundle: Path) -> None:
    """The report has a row for every format, every damage and every kind of whole file, and the numbers of files add up."""
    rows = "".join(f"{number}.jpg,{LABELS[number]},,{number}\n" for number in range(2))
    (tmp_path / "labels.csv").write_text("path,label,kind,group\n" + rows)
    for number in range(2):
        draw_photo(number, (90, 120)).save(tmp_path / f"{number}.jpg")
    out = tmp_path / "damage.md"
    options = ["--model", small_bundle, "--photos", "1", "--whole", str(2 + len(WHOLE)), "--out", out]
    command = [sys.executable, "-m", "benchmarks.robustness.damage", tmp_path, *options]
    done = subprocess.run([str(part) for part in command], capture_output=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr.decode()
    report = out.read_text(encoding="utf-8")
    assert all(f"| {kind} | 1 |" in report for kind in WHOLE)
    totals = [
        int(n.replace(",", "")) for n in re.findall(r"^\| [^|]+ \| ([\d,]+) \|(?: [\d.]+ % \|){5}$", report, re.MULTILINE)
    ]
    formats, damages = totals[: len(ENCODINGS)], totals[len(ENCODINGS) :]
    assert sum(formats) == sum(damages) > 0.9 * 6 * PLACES * len(ENCODINGS)
    assert f"Of {2 + len(WHOLE)} whole files, 0 (0.00 %) are called damaged." in report


@pytest.mark.parametrize("encode", WHOLE.values(), ids=WHOLE)
def test_whole_files_are_photos(encode: Callable[[bytes], bytes]) -> None:
    """Every kind of whole file is read, upright and in its size."""
    assert photo_of(encode(PHOTO)).pixels.shape == (120, 90, 3)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_damages_are_the_same_each_time(encoding: str) -> None:
    """Damaged files differ from the whole one, and are the same for the same seed."""
    content = ENCODINGS[encoding](PHOTO)
    first, second = ([*damaged(content, encoding, random.Random(seed))] for seed in (3, 3))
    assert first == second
    assert all(file != content for _, file in first)
    assert len({kind for kind, _ in first}) == 6


@pytest.mark.parametrize(
    ("reason", "ranked", "expected"),
    [
        ("", "Coat", (0, 0, 0, 0)),
        ("", "Bag", (0, 0, 1, 1)),
        ("", "Dress", (0, 0, 1, 0)),
        ("low_confidence", "Dress", (0, 1, 0, 0)),
        ("not_recognised", None, (0, 1, 0, 0)),
        ("unreadable", None, (1, 0, 0, 0)),
    ],
)
def test_what_counts_as_wrong(reason: Reason, ranked: str | None, expected: tuple[int, ...]) -> None:
    """A tag is wrong if it is neither flagged nor the label; it is so as whole if the whole file has the same one."""
    count, whole = Count(), Tag((("Bag", 0.9),), False, "")
    count.add(Tag(((ranked, 0.9),) if ranked else (), bool(reason), reason), whole, "Coat")
    assert (count.refused, count.flagged, count.wrong, count.wrong_as_whole) == expected
    assert (count + count).files == 2
