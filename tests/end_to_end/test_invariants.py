"""The four invariants of the program, on real files through all stages."""

import csv
import hashlib
import io
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers import ROOT, draw_photo, rows_of
from PIL import Image

from tagger.cli.main import main
from tagger.data.labels import LABELS
from tagger.evaluation.evaluate import evaluate, metrics_of
from tagger.evaluation.settings import EvaluateSettings
from tagger.inference.tagger import Tagger
from tagger.photos.loader import READ_AHEAD
from tagger.photos.settings import DecodeSettings
from tagger.records import ProductImage
from tagger.run.ledger import Ledger
from tagger.run.pipeline import RunCallbacks, run
from tagger.run.settings import RunSettings


def damaged_files(folder: Path) -> list[str]:
    """Write one file of every kind of damage into `folder` and return their names."""
    whole = folder / "whole.tmp"
    draw_photo(99).save(whole, "JPEG")
    content = whole.read_bytes()
    whole.unlink()
    kinds = {
        "cut.jpg": content[: len(content) // 2],
        "head.jpg": content[:20],
        "empty.png": b"",
        "text.webp": b"no picture at all",
        "noise.jpg": random.Random(1).randbytes(3000),
        "broken.png": b"\x89PNG\r\n\x1a\n" + bytes(100),
    }
    for name, broken in kinds.items():
        (folder / name).write_bytes(broken)
    return list(kinds)


def test_a_damaged_photo_never_changes_its_neighbours(
    photos: Callable[[int], Path], small_bundle: Path, tmp_path: Path
) -> None:
    """Good photos get the same tags alone and shuffled among damaged ones, one tag per photo, in their order."""
    folder = photos(40)
    good = [str(path) for path in sorted(folder.iterdir())]
    alone = dict(zip(good, Tagger(str(small_bundle)).tag(good), strict=True))
    broken = [str(folder / name) for name in damaged_files(folder)] + [str(folder / "missing.jpg")]
    order = good + broken * 3
    random.Random(5).shuffle(order)

    together = list(Tagger(str(small_bundle), batch_size=7).tag(order))

    assert len(order) == len(together)
    for path, tag in zip(order, together, strict=True):
        if path in alone:
            assert alone[path] == tag
        else:
            assert tag.ranked == ()
            assert tag.low_confidence
            assert tag.reason in ("truncated", "unreadable", "not_an_image", "missing")


def test_batch_size_and_workers_never_change_a_byte(photos: Callable[[int], Path], small_bundle: Path, tmp_path: Path) -> None:
    """The output is the same bytes at any batch size and with any number of workers."""
    folder = photos(70)
    damaged_files(folder)
    outputs = set()
    for number, (batch_size, workers) in enumerate([(32, 3), (1, 1), (7, 2), (64, 5), (256, 2)]):
        out = tmp_path / str(number) / "tags.csv"  # each with a ledger of its own
        out.parent.mkdir()
        run(RunSettings(str(folder), str(out), top_k=10, model=str(small_bundle), batch_size=batch_size, workers=workers))
        outputs.add(out.read_bytes())

    assert len(outputs) == 1


def test_the_counts_of_a_run_reconcile(photos: Callable[[int], Path], small_bundle: Path, tmp_path: Path) -> None:
    """Photos = tagged + flagged + failed, and each agrees with the rows; ignored entries are counted apart."""
    folder = photos(12)
    broken = damaged_files(folder)
    (folder / "notes.txt").write_text("x")
    (folder / ".hidden.jpg").write_text("x")
    Image.new("RGB", (200, 200), "white").save(folder / "blank.png")
    out = tmp_path / "tags.csv"

    summary = run(RunSettings(str(folder), str(out), model=str(small_bundle)))

    rows = rows_of(out)
    assert len(rows) == summary.photos == summary.tagged + summary.flagged.total() + summary.failed.total()
    assert summary.failed.total() == len(broken)
    assert summary.tagged == sum(row["low_confidence"] == "false" for row in rows)
    assert summary.flagged["not_recognised"] == 1
    assert summary.ignored == {"hidden": 1, "not an image": 1}
    blank = next(row for row in rows if row["path"] == "blank.png")
    assert (blank["tag"], blank["low_confidence"], blank["reason"]) == ("", "true", "not_recognised")


def test_an_error_in_mid_run_leaves_the_old_output(photos: Callable[[int], Path], small_bundle: Path, tmp_path: Path) -> None:
    """A run that ends early leaves the old output and no temporary file."""
    folder, out = photos(20), tmp_path / "out" / "tags.csv"
    out.parent.mkdir()
    out.write_text("yesterday's\n")

    def stop(done: int, total: int) -> None:
        assert total == 20
        if done == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(RunSettings(str(folder), str(out), model=str(small_bundle), batch_size=4), callbacks=RunCallbacks(scored=stop))

    assert out.read_text() == "yesterday's\n"
    assert sorted(path.name for path in out.parent.iterdir()) == ["tags.csv", "tags.ledger"]


def test_no_loader_thread_outlives_the_ledger(
    photos: Callable[[int], Path], small_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that ends early waits for the loader threads before it closes the ledger, which they query."""
    has_result, leave = Ledger.has_result, Ledger.__exit__
    stopped, closed, late = threading.Event(), threading.Event(), []
    ahead = 2 * READ_AHEAD + 3  # photos that are read before the fourth is given
    folder = photos(ahead + 20)
    places = {hashlib.sha256(file.read_bytes()).digest(): place for place, file in enumerate(sorted(folder.iterdir()))}

    def slow(memory: Ledger, sha256: bytes) -> bool:
        if threading.current_thread() is not threading.main_thread():
            if places[sha256] >= ahead:  # the first batch is loaded; what is read from here on takes until the run has ended
                stopped.wait(30)
                time.sleep(0.2)
            late.append(closed.is_set())
        return False if closed.is_set() else has_result(memory, sha256)

    def close(memory: Ledger, *error: object) -> None:
        closed.set()
        leave(memory, *error)

    def stop(done: int, total: int) -> None:
        stopped.set()
        raise KeyboardInterrupt

    monkeypatch.setattr(Ledger, "has_result", slow)
    monkeypatch.setattr(Ledger, "__exit__", close)
    settings = RunSettings(str(folder), str(tmp_path / "tags.csv"), model=str(small_bundle), batch_size=4, workers=2)
    with pytest.raises(KeyboardInterrupt):
        run(settings, callbacks=RunCallbacks(scored=stop))
    time.sleep(0.5)
    assert closed.is_set()
    assert len(late) > ahead
    assert not any(late)


def test_truncated_photos_are_tagged_on_request_and_always_flagged(
    photos: Callable[[int], Path], small_bundle: Path, tmp_path: Path
) -> None:
    """--allow-truncated gives half a photo a tag, which is always flagged."""
    folder, out = photos(3), tmp_path / "tags.csv"
    damaged_files(folder)

    run(
        RunSettings(
            str(folder), str(out), model=str(small_bundle), min_confidence=0.0, decoding=DecodeSettings(allow_truncated=True)
        )
    )

    cut = next(row for row in rows_of(out) if row["path"] == "cut.jpg")
    assert cut["tag"] in LABELS
    assert (cut["low_confidence"], cut["reason"]) == ("true", "truncated")


def test_fashion_mnist_as_pngs_scores_like_its_pixels(tmp_path: Path) -> None:
    """Images already in Fashion-MNIST's form reach the network unchanged, through files and all stages."""
    with np.load(ROOT / "tests" / "fixtures" / "fashion-mnist-test-200.npz") as part:
        slice_ = dict(part)
    for number, (pixels, label) in enumerate(zip(slice_["pixels"], slice_["labels"], strict=True)):
        folder = tmp_path / LABELS[label].replace("/", "-")
        folder.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(folder / f"{number:03d}.png")

    metrics = metrics_of(evaluate(EvaluateSettings((str(tmp_path),))))

    product_images = [ProductImage(picture, found=True, native=True) for picture in slice_["pixels"]]
    probabilities = Tagger()._predict(product_images)
    assert metrics["accuracy"] == pytest.approx((probabilities.argmax(1) == slice_["labels"]).mean(), abs=1e-6)
    assert metrics["n"] == 200
    assert metrics["accuracy"] > 0.9


@pytest.mark.slow
def test_memory_stays_flat_over_100_000_files(small_bundle: Path, tmp_path: Path) -> None:
    """A hundred times more files take no more memory, as the operating system measures it."""
    peaks = []
    for count in (1_000, 100_000):
        folder = tmp_path / str(count)
        folder.mkdir()
        for number in range(count):
            (folder / f"{number:06d}.jpg").touch()
        script = (
            "import resource, sys; from tagger.run.pipeline import run; from tagger.run.settings import RunSettings;"
            "run(RunSettings(sys.argv[1], sys.argv[2], model=sys.argv[3]));"
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
        )
        arguments = [sys.executable, "-c", script, folder, tmp_path / f"{count}.csv", small_bundle]
        peaks.append(int(subprocess.run(arguments, capture_output=True, check=True, text=True).stdout))
        assert len((tmp_path / f"{count}.csv").read_bytes().splitlines()) == count + 1

    kilobytes_more = (peaks[1] - peaks[0]) * (1 if sys.platform == "linux" else 1 / 1024)
    assert kilobytes_more < 60_000  # the sorted names of one folder of 100,000 take about 30 MB


def test_a_list_on_stdin_gives_a_row_per_line(
    small_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Each line of stdin is a row, in their order, an empty line too."""
    draw_photo(1).save(tmp_path / "a.jpg")
    listed = f"{tmp_path / 'a.jpg'}\n\n{tmp_path / 'nowhere.jpg'}\r\n".encode()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(listed)))

    with pytest.raises(SystemExit) as caught:
        main(["run", "-", "--out", "-", "--model", str(small_bundle)])

    assert caught.value.code == 3
    reasons = [row["reason"] for row in csv.DictReader(capfd.readouterr().out.splitlines())]
    assert reasons[1:] == ["no_image", "missing"]
