"""The shipped bundle with a backbone: another head re-tags the examples from the ledger, and rows are the same to the byte."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import ROOT, Call
from people import SKINS, Person, draw_figure
from PIL import Image
from run_helpers import age, query

from benchmarks.speed.retag import two_heads
from tagger.adaptation.adapt import adapt
from tagger.adaptation.settings import AdaptSettings
from tagger.run.pipeline import run
from tagger.run.settings import RunSettings

MODEL = "catalog"

BROKEN = {"half an upload.jpg", "not a photo.jpg"}

PEOPLE = 3

Spoil = Callable[[], None]


def write_examples(folder: Path) -> Path:
    """Write the example catalog, and figures from head to foot, of which a part is the product; all files are old."""
    shutil.copytree(ROOT / "examples" / "catalog", folder)
    for number, skin in enumerate([*SKINS.values()][:PEOPLE]):
        figure = Image.fromarray(draw_figure(Person(skin=skin, top=(40, 80 * number, 160))).pixels)
        figure.resize((480, 1024)).save(folder / f"person {number}.png")
    age(*photos_in(folder))
    return folder


def photos_in(folder: Path) -> list[Path]:
    """Return all files below a folder."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The examples, which no test changes."""
    return write_examples(tmp_path_factory.mktemp("examples") / "shop")


@pytest.fixture(scope="module")
def mine(template: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The shipped bundle, adapted to the examples with labels of their own beside its own ones."""
    folder = tmp_path_factory.mktemp("adapted")
    photos = [path for path in template.glob("*/*.*") if path.name not in BROKEN]
    rows = [f'"{path}",{path.parent.name}' for path in photos]
    (folder / "labels.csv").write_text("\n".join(["path,label", *rows]), encoding="utf-8")
    settings = AdaptSettings(
        str(template), str(folder / "mine"), start=MODEL, labels=str(folder / "labels.csv"), force=True, device="cpu"
    )
    adapt(settings)
    return str(folder / "mine")


@pytest.fixture
def shop(template: Path, tmp_path: Path) -> Path:
    """A copy of the examples with the same times."""
    return Path(shutil.copytree(template, tmp_path / "shop"))


@pytest.fixture
def spoil(shop: Path) -> Spoil:
    """Replace the bytes of all photos that can be read, keeping size and time: a run that opened one would fail it."""

    def now() -> None:
        for photo in photos_in(shop):
            if photo.name not in BROKEN:
                photo.write_bytes(bytes(photo.stat().st_size))
                age(photo)

    return now


@pytest.fixture
def fresh_rows(template: Path, tmp_path: Path) -> Callable[..., bytes]:
    """Return the output of a run over the examples with an empty ledger."""

    def output(**more: Any) -> bytes:
        folder = tmp_path / f"fresh-{len([*tmp_path.iterdir()])}"
        folder.mkdir()
        settings = {"source": str(template), "out": str(folder / "t.csv"), "top_k": 10, "device": "cpu"} | more
        run(RunSettings(**settings))
        return (folder / "t.csv").read_bytes()

    return output


@pytest.mark.slow
def test_rows_are_the_same_at_any_batch_size_and_number_of_workers(fresh_rows: Callable[..., bytes]) -> None:
    """All confidences of all labels, of photos and of parts of people, are the same bytes."""
    sizes = [(256, 3), (1, 1), (1, 3), (7, 1), (7, 3), (256, 1)]
    assert len({fresh_rows(model=MODEL, batch_size=size, workers=workers) for size, workers in sizes}) == 1


@pytest.mark.slow
def test_an_adapted_bundle_opens_no_photo(
    without_torch: Call, shop: Path, spoil: Spoil, mine: str, fresh_rows: Callable[..., bytes], tmp_path: Path
) -> None:
    """The commands, without torch: run, then with other labels and thresholds, on photos that could not be read any more.

    Rows are those of a run that reads the photos; only the two broken files are tried again.
    """
    out, report = tmp_path / "tags.csv", tmp_path / "run.json"
    photos = len(photos_in(shop))
    expected = [fresh_rows(model=model, min_confidence=least) for model, least in ((mine, None), (mine, 1.0), (MODEL, 0.2))]
    assert len(set(expected)) == len(expected)

    def night(*options: str) -> dict[str, int]:
        arguments = ("--out", out, "--report", report, "--top-k", "10", "--device", "cpu")
        without_torch("-m", "tagger", "run", shop, *arguments, *options, codes=(3,))
        counts: dict[str, int] = json.loads(report.read_text())["counts"]
        return {name: counts[name] for name in ("looked_at", "scored", "retagged")}

    assert night("--model", MODEL) == {"looked_at": photos, "scored": photos - len(BROKEN), "retagged": 0}
    spoil()
    retagged = {"looked_at": len(BROKEN), "scored": 0, "retagged": photos - len(BROKEN)}
    assert night("--model", mine) == retagged
    assert out.read_bytes() == expected[0]
    assert night("--model", mine, "--min-confidence", "1.0") == retagged | {"retagged": 0}
    assert out.read_bytes() == expected[1]
    assert night("--model", MODEL, "--min-confidence", "0.2") == retagged
    assert out.read_bytes() == expected[2]

    ledger = ("--ledger", out.with_suffix(".ledger"), "--json")
    known = json.loads(without_torch("-m", "tagger", "explain", "person 0.png", *ledger))
    assert known["networks"]["part"] in ("upper", "lower", "whole")
    assert known["networks"]["together"] == pytest.approx(known["probabilities"], abs=1e-4)
    assert known["embedded"]["run"] == 1


@pytest.mark.slow
def test_another_fusion_opens_no_photo(shop: Path, spoil: Spoil, fresh_rows: Callable[..., bytes], tmp_path: Path) -> None:
    """Whatever the head answers, the part of a person that was embedded is the one that a new head's run would take."""
    heads, _ = two_heads(MODEL, tmp_path)
    expected = [fresh_rows(model=str(head.folder)) for head in heads]
    assert len({*expected, fresh_rows(model=MODEL)}) == 3
    out = tmp_path / "tags.csv"
    run(RunSettings(str(shop), str(out), model=MODEL, top_k=10, device="cpu"))
    spoil()
    for head, rows in zip(heads, expected, strict=True):
        done = run(RunSettings(str(shop), str(out), model=str(head.folder), top_k=10, device="cpu"))
        assert (done.files_read, done.scored) == (len(BROKEN), 0)
        assert out.read_bytes() == rows


def test_a_night_with_the_small_bundle_keeps_the_embeddings(shop: Path, spoil: Spoil, tmp_path: Path) -> None:
    """`catalog-small` reads every photo; after it the shipped bundle opens none, and its rows are as before."""
    photos = len(photos_in(shop)) - len(BROKEN)

    def night(model: str) -> tuple[int, int, bytes]:
        done = run(RunSettings(str(shop), str(tmp_path / "tags.csv"), model=model, top_k=10, device="cpu"))
        return done.scored, done.retagged, (tmp_path / "tags.csv").read_bytes()

    first = night(MODEL)
    assert first[:2] == (photos, 0)
    small = night("catalog-small")
    assert small[:2] == (photos, 0)
    assert small[2] != first[2]
    spoil()
    assert night(MODEL) == (0, photos, first[2])


KILLED_RUN = """
import os, signal, sys
from tagger.inference.tagger import Tagger
from tagger.run import pipeline
from tagger.run.settings import RunSettings

probabilities_of, batches = Tagger.probabilities_of, []

def killed(self, embeddings):
    batches.append(len(embeddings))
    if len(batches) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return probabilities_of(self, embeddings)

pipeline.EMBEDDINGS_PER_BATCH = 8
Tagger.probabilities_of = killed
pipeline.run(RunSettings(sys.argv[1], sys.argv[2], model=sys.argv[3], top_k=10, device="cpu"))
"""
"""A run that is killed at its third batch of eight embeddings."""


@pytest.mark.slow
def test_a_killed_run_is_continued_from_the_embeddings(
    shop: Path, spoil: Spoil, mine: str, fresh_rows: Callable[..., bytes], tmp_path: Path
) -> None:
    """After kill -9 the output is as before; the next run tags the others, and opens no photo either."""
    out = tmp_path / "tags.csv"
    run(RunSettings(str(shop), str(out), model=MODEL, top_k=10, device="cpu"))
    before, expected = out.read_bytes(), fresh_rows(model=mine)
    spoil()
    arguments = [sys.executable, "-c", KILLED_RUN, shop, out, mine]
    killed = subprocess.run(arguments, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert out.read_bytes() == before
    assert query(out.with_suffix(".ledger"), "SELECT count(*) FROM contents JOIN runs ON runs.id = run WHERE run = 2") == [
        (16,)
    ]
    summary = run(RunSettings(str(shop), str(out), model=mine, top_k=10, device="cpu"))
    assert (summary.files_read, summary.scored) == (len(BROKEN), 0)
    assert out.read_bytes() == expected
