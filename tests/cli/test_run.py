"""`fmtag run`: its output, its log, its exit codes."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from helpers import Fmtag, Result, RunCli, assert_one_sentence, csv_rows, draw_photo
from PIL import Image

from tagger.catalog.rows import COLUMNS
from tagger.data.labels import LABELS
from tagger.inference.device import may_have_gpu


@dataclass(frozen=True)
class Run:
    """A run in its own process over good, bad and ignored files, with the folder that it wrote to."""

    folder: Path
    done: subprocess.CompletedProcess[str]
    modules: frozenset[str]
    """The modules that it had imported at its end."""

    @property
    def rows(self) -> list[dict[str, str]]:
        """The rows that it wrote."""
        return csv_rows((self.folder / "tags.csv").read_text(encoding="utf-8"))

    @property
    def events(self) -> list[dict[str, Any]]:
        """The lines that it logged, each a JSON object."""
        return [json.loads(line) for line in self.done.stderr.splitlines()]


LISTING_MODULES = """
import pathlib, sys
from tagger.cli.main import main
try:
    main(sys.argv[2:])
finally:
    pathlib.Path(sys.argv[1]).write_text(" ".join(sys.modules))
"""
"""Runs the command line in its second and further arguments, and lists the imported modules in the file of the first."""


@pytest.fixture(scope="module")
def mixed_run(small_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """`fmtag run` over twelve photos, an empty picture, two broken files and two that are no images."""
    folder = tmp_path_factory.mktemp("mixed")
    photos = folder / "photos"
    (photos / "sub").mkdir(parents=True)
    for number in range(12):
        draw_photo(number).save(photos / "sub" / f"{number:02d}.jpg")
    Image.new("RGB", (60, 80), "white").save(photos / "blank.png")
    (photos / "broken.jpg").write_bytes(b"no image")
    (photos / "gone.jpg").symlink_to(folder / "gone.jpg")
    (photos / "notes.txt").write_text("not an image")
    (photos / ".hidden.jpg").write_text("hidden")
    modules = tmp_path_factory.mktemp("modules") / "modules"
    command = [sys.executable, "-c", LISTING_MODULES, modules, "run", photos, "--out", folder / "tags.csv"]
    command += ["--log-format", "json"]
    command += ["--list-ignored", "--debug-garments", folder / "garments"]
    environment = os.environ | {"FMTAG_RUN_MODEL": str(small_bundle), "FMTAG_RUN_TOP_K": "3"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    return Run(folder, done, frozenset(modules.read_text().split()))


def test_photos_that_cannot_be_read_are_exit_3(mixed_run: Run) -> None:
    """A run with unreadable photos is done and exits with 3; standard output stays empty."""
    assert mixed_run.done.returncode == 3
    assert mixed_run.done.stdout == ""
    assert sorted(os.listdir(mixed_run.folder)) == ["garments", "photos", "tags.csv", "tags.ledger"]


def test_every_photo_is_a_row(mixed_run: Run) -> None:
    """Each photo is a row in order, tagged or with the reason why not."""
    paths = ["blank.png", "broken.jpg", "gone.jpg", *(f"sub/{number:02d}.jpg" for number in range(12))]
    assert [row["path"] for row in mixed_run.rows] == paths
    assert [row["reason"] for row in mixed_run.rows[:3]] == ["not_recognised", "not_an_image", "missing"]
    assert [(row["tag"], row["low_confidence"]) for row in mixed_run.rows[:3]] == [("", "true")] * 3
    for row in mixed_run.rows[3:]:
        assert row["tag"] in LABELS
        assert (row["low_confidence"], row["reason"]) in [("true", "low_confidence"), ("false", "")]


def test_environment_variables_are_options(mixed_run: Run) -> None:
    """FMTAG_RUN_TOP_K=3 gives three tags per photo, the most probable first."""
    runners_up = ["tag_2", "confidence_2", "tag_3", "confidence_3"]
    assert list(mixed_run.rows[0]) == [*COLUMNS, *runners_up, "model"]
    for row in mixed_run.rows[3:]:
        assert len({row["tag"], row["tag_2"], row["tag_3"]}) == 3
        assert 1 >= float(row["confidence"]) >= float(row["confidence_2"]) >= float(row["confidence_3"]) >= 0


def test_each_log_line_is_json(mixed_run: Run) -> None:
    """With --log-format json each line of standard error is an object that says what event it is."""
    kinds = Counter(event["event"] for event in mixed_run.events)
    assert kinds == {"started": 1, "ignored": 2, "failed": 2, "done": 1}
    assert mixed_run.events[-1]["event"] == "done"


def test_the_closing_counts_reconcile(mixed_run: Run) -> None:
    """The last line's counts add up and agree with the rows: photos = tagged + flagged + failed."""
    done = mixed_run.events[-1]
    assert done["photos"] == done["tagged"] + sum(done["flagged"].values()) + sum(done["failed"].values()) == 15
    reasons = Counter(row["reason"] for row in mixed_run.rows)
    assert done["failed"] == {"missing": 1, "not_an_image": 1}
    assert done["tagged"] == reasons[""]
    assert {**done["failed"], **done["flagged"]} == {reason: count for reason, count in reasons.items() if reason}
    assert done["tags"] == Counter(row["tag"] for row in mixed_run.rows if row["tag"])
    assert done["ignored"] == 2
    assert done["model"] == mixed_run.rows[0]["model"]


def test_ignored_entries_are_listed(mixed_run: Run) -> None:
    """--list-ignored names each entry of the folder that is no photo, and why."""
    ignored = {event["path"]: event["why"] for event in mixed_run.events if event["event"] == "ignored"}
    assert ignored == {"notes.txt": "not an image", ".hidden.jpg": "hidden"}


def test_failed_photos_are_named_in_the_log(mixed_run: Run) -> None:
    """Each unreadable photo is named with its reason."""
    failures = {event["reason"]: event["detail"] for event in mixed_run.events if event["event"] == "failed"}
    assert "broken.jpg" in failures["not_an_image"]
    assert "gone.jpg" in failures["missing"]


def test_garments_are_written_for_each_photo(mixed_run: Run) -> None:
    """--debug-garments leaves a 28x28 grey PNG for every photo that could be read, named by row and photo."""
    written = sorted((mixed_run.folder / "garments").iterdir())
    assert [path.name for path in written] == ["000001-blank.png", *(f"{at:06d}-{at - 4:02d}.png" for at in range(4, 16))]
    for path in written:
        with Image.open(path) as garment:
            assert (garment.format, garment.size, garment.mode) == ("PNG", (28, 28), "L")
            assert (garment.getextrema() == (0, 0)) == (path.name == "000001-blank.png")


def test_rows_alone_go_to_stdout(fmtag: Fmtag, photos: Callable[[int], Path]) -> None:
    """With --out - standard output holds the rows and nothing else, for paths on standard input; all tagged is exit 0."""
    folder = photos(2)
    paths = [f"{folder}/0000.jpg", f"{folder}/0001.jpg"]
    done = fmtag("run", "-", "--out", "-", stdin="\r\n".join(paths).encode())
    assert done.returncode == 0
    assert [row["path"] for row in csv_rows(done.stdout)] == paths
    assert "2 photos = " in done.stderr.splitlines()[-1]


def test_format_may_be_given(cli: RunCli, photos: Callable[[int], Path], tmp_path: Path) -> None:
    """--format decides on standard output and wins over the suffix; --quiet says nothing of a run that went well."""
    folder = photos(2)
    result = cli("run", folder, "--out", "-", "--format", "jsonl", "--quiet")
    assert (result.code, result.err) == (0, "")
    assert [json.loads(line)["path"] for line in result.out.splitlines()] == ["0000.jpg", "0001.jpg"]
    result = cli("run", folder, "--out", tmp_path / "tags.txt", "--format", "json", "--quiet")
    assert result == Result(0, "", "")
    assert list(json.loads((tmp_path / "tags.txt").read_text())) == ["format", "model", "rows"]


def test_thresholds_0_and_1(cli: RunCli, photos: Callable[[int], Path]) -> None:
    """At --min-confidence 0 no tag is flagged, at 1 all below certainty are, and the tags are the same."""
    folder = photos(3)
    none, every = (csv_rows(cli("run", folder, "--out", "-", "--min-confidence", at).out) for at in ("0", "1"))
    assert {(row["low_confidence"], row["reason"]) for row in none} == {("false", "")}
    unsure = [row for row in every if float(row["confidence"]) < 1]
    assert {(row["low_confidence"], row["reason"]) for row in unsure} <= {("true", "low_confidence")}
    assert [row["tag"] for row in none] == [row["tag"] for row in every]


def test_a_precision_picks_the_threshold(
    cli: RunCli, photos: Callable[[int], Path], photo_bundle: Path, tmp_path: Path
) -> None:
    """--precision flags as the threshold that the card has for it does; --min-confidence comes before it."""
    folder = photos(12)

    def tagged(*options: str) -> list[dict[str, str]]:
        out = tmp_path / "tags.csv"
        assert cli("run", folder, "--model", photo_bundle, "--out", out, *options).code == 0
        return csv_rows(out.read_text(encoding="utf-8"))

    for precision, threshold in (("0.8", "0.31"), ("0.95", "0.62")):
        assert tagged("--precision", precision) == tagged("--min-confidence", threshold)
    assert tagged() == tagged("--min-confidence", "0.5")
    assert tagged("--precision", "0.95", "--min-confidence", "0") == tagged("--min-confidence", "0")
    flagged = [sum(row["low_confidence"] == "true" for row in tagged("--precision", share)) for share in ("0.8", "0.95")]
    assert flagged[0] <= flagged[1]


def test_an_unknown_precision_is_refused(
    cli: RunCli, photos: Callable[[int], Path], small_bundle: Path, photo_bundle: Path, tmp_path: Path
) -> None:
    """A precision that the card has no threshold for is one sentence that names the known ones; nothing is written."""
    folder, out = photos(1), tmp_path / "tags.csv"
    for model, there in ((photo_bundle, "it has: 0.8, 0.95."), (small_bundle, "it has: none.")):
        assert_one_sentence(cli("run", folder, "--model", model, "--precision", "0.9", "--out", out), 1, "0.9", there)
    assert not out.exists()


def test_top_k_beyond_the_labels_gives_all(cli: RunCli, photos: Callable[[int], Path]) -> None:
    """With a --top-k above the number of labels each label is named once."""
    [row] = csv_rows(cli("run", photos(1) / "0000.jpg", "--out", "-", "--top-k", "99").out)
    assert list(row)[-2:] == ["confidence_10", "model"]
    assert {row["tag"], *(row[f"tag_{rank}"] for rank in range(2, 11))} == set(LABELS)


def test_table_columns_come_first(cli: RunCli, photos: Callable[[int], Path], tmp_path: Path) -> None:
    """A table's own columns lead each row unchanged, and a row without an image keeps them too."""
    photos(1)
    (tmp_path / "t.csv").write_text("sku,image,tag\n007,photos/0000.jpg,old\n008,,NA\n", encoding="utf-8")
    result = cli("run", tmp_path / "t.csv", "--out", tmp_path / "tags.csv")
    assert result.code == 0
    tagged, bad = csv_rows((tmp_path / "tags.csv").read_text(encoding="utf-8"))
    assert list(tagged) == ["sku", "image", "source_tag", *COLUMNS, "model"]
    assert list(tagged.values())[:4] == ["007", "photos/0000.jpg", "old", "photos/0000.jpg"]
    assert (bad["sku"], bad["source_tag"]) == ("008", "NA")
    assert (bad["tag"], bad["reason"], bad["low_confidence"]) == ("", "no_image", "true")


def test_a_reader_that_leaves_is_no_error(small_bundle: Path, tmp_path: Path) -> None:
    """When whoever reads our output leaves early, as head does, there is no traceback."""
    paths = "".join(f"{number}.jpg\n" for number in range(5_000))
    (tmp_path / "paths").write_text(paths)
    program = f"{sys.executable} -m tagger run - --out - --quiet <paths | head -1"
    environment = os.environ | {"FMTAG_RUN_MODEL": str(small_bundle)}
    done = subprocess.run(program, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert done.stdout.startswith("path,tag,")
    assert done.stderr == ""


def test_a_run_loads_nothing_that_it_does_not_need(mixed_run: Run) -> None:
    """`fmtag run` tags photos without importing what only reports, adaptation and tests need."""
    assert {"onnxruntime", "tagger.run.pipeline"} <= mixed_run.modules
    unneeded = {"onnx", "matplotlib", "scipy", "sklearn", "torchmetrics", "tagger.evaluation"}
    assert (unneeded if may_have_gpu() else unneeded | {"torch"}) & mixed_run.modules == set()


def test_the_help_names_the_exit_codes(cli: RunCli) -> None:
    """`fmtag run --help` explains the exit codes."""
    text = " ".join(cli("run", "--help").out.split())
    assert "Exit codes: 0 every photo tagged or flagged; 1 " in text
    assert "2 wrong usage; 3 " in text
