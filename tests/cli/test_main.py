"""The command in its own process: what it prints and where, how it ends, and that nothing is ever half-written."""

import csv
import io
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from helpers import Fmtag, draw_photo
from PIL import Image

from tagger.catalog.rows import COLUMNS
from tagger.cli.main import main
from tagger.data.labels import LABELS

AS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


@dataclass(frozen=True)
class Ended:
    """How a command that was called in this process ended."""

    code: int
    out: str
    err: str


Call = Callable[..., Ended]


@pytest.fixture
def call(small_bundle: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Call:
    """Call the command line in this process, with the small bundle: quick, for what needs no process of its own."""
    monkeypatch.setenv("FMTAG_RUN_MODEL", str(small_bundle))
    monkeypatch.setenv("FMTAG_EVALUATE_MODEL", str(small_bundle))

    def ended(*arguments: str | Path) -> Ended:
        capfd.readouterr()
        with pytest.raises(SystemExit) as caught:
            main([*map(str, arguments)])
        return Ended(int(caught.value.code or 0), *capfd.readouterr())

    return ended


def rows(text: str) -> list[dict[str, str]]:
    """Return the rows of a CSV text."""
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def assert_one_sentence(ended: Ended, code: int, *parts: str) -> None:
    """Hold that a command failed with that exit code, in one sentence on standard error that has these parts in it."""
    assert ended.code == code
    assert ended.out == ""
    assert "Traceback" not in ended.err
    sentence = ended.err.strip().splitlines()[-1]
    assert sentence.startswith("Error: ")
    assert sentence.endswith((".", ")", *parts))  # Click before 8.4 ends with an unknown option's name
    for part in parts:
        assert part in sentence
    if code == 1:
        assert len(ended.err.splitlines()) == 1


# A whole run, looked at from all sides -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Run:
    """A run in its own process over good, bad and ignored files, with what it left."""

    folder: Path
    done: subprocess.CompletedProcess[str]

    @property
    def rows(self) -> list[dict[str, str]]:
        """The rows that it wrote."""
        return rows((self.folder / "tags.csv").read_text(encoding="utf-8"))

    @property
    def events(self) -> list[dict[str, Any]]:
        """The lines that it logged, each a JSON object."""
        return [json.loads(line) for line in self.done.stderr.splitlines()]


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
    command = [sys.executable, "-m", "tagger", "run", photos, "--out", folder / "tags.csv", "--log-format", "json"]
    command += ["--list-ignored", "--debug-garments", folder / "garments"]
    environment = os.environ | {"FMTAG_RUN_MODEL": str(small_bundle), "FMTAG_RUN_TOP_K": "3"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    return Run(folder, done)


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
    """FMTAG_RUN_TOP_K=3 gives three tags a photo, the likeliest first."""
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


def test_the_closing_error_is_json_too(call: Call, tmp_path: Path) -> None:
    """With --log-format json the sentence that ends a run which could not be done is an object as well."""
    ended = call("run", tmp_path / "nowhere", "--out", tmp_path / "tags.csv", "--log-format", "json")
    assert (ended.code, ended.out) == (1, "")
    (event,) = [json.loads(line) for line in ended.err.splitlines()]
    assert event["event"] == "error"
    assert "nowhere" in event["message"]


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


# Output ------------------------------------------------------------------------------------------------------------


def test_rows_alone_go_to_stdout(fmtag: Fmtag, photos: Callable[[int], Path]) -> None:
    """With --out - standard output holds the rows and nothing else, for paths on standard input; all tagged is exit 0."""
    folder = photos(2)
    paths = [f"{folder}/0000.jpg", f"{folder}/0001.jpg"]
    done = fmtag("run", "-", "--out", "-", stdin="\r\n".join(paths).encode())
    assert done.returncode == 0
    assert [row["path"] for row in rows(done.stdout)] == paths
    assert "2 photos = " in done.stderr.splitlines()[-1]


def test_format_may_be_given(call: Call, photos: Callable[[int], Path], tmp_path: Path) -> None:
    """--format decides on standard output and wins over the suffix; --quiet says nothing of a run that went well."""
    folder = photos(2)
    ended = call("run", folder, "--out", "-", "--format", "jsonl", "--quiet")
    assert (ended.code, ended.err) == (0, "")
    assert [json.loads(line)["path"] for line in ended.out.splitlines()] == ["0000.jpg", "0001.jpg"]
    ended = call("run", folder, "--out", tmp_path / "tags.txt", "--format", "json", "--quiet")
    assert ended == Ended(0, "", "")
    assert list(json.loads((tmp_path / "tags.txt").read_text())) == ["format", "model", "rows"]


def test_thresholds_0_and_1(call: Call, photos: Callable[[int], Path]) -> None:
    """At --min-confidence 0 no tag is flagged, at 1 all below certainty are, and the tags are the same."""
    folder = photos(3)
    none, every = (rows(call("run", folder, "--out", "-", "--min-confidence", at).out) for at in ("0", "1"))
    assert {(row["low_confidence"], row["reason"]) for row in none} == {("false", "")}
    unsure = [row for row in every if float(row["confidence"]) < 1]
    assert {(row["low_confidence"], row["reason"]) for row in unsure} <= {("true", "low_confidence")}
    assert [row["tag"] for row in none] == [row["tag"] for row in every]


def test_a_precision_picks_the_threshold(call: Call, photos: Callable[[int], Path], photo_bundle: Path, tmp_path: Path) -> None:
    """--precision flags as the threshold that the card has for it does; --min-confidence comes before it."""
    folder = photos(12)

    def tagged(*options: str) -> list[dict[str, str]]:
        out = tmp_path / "tags.csv"
        assert call("run", folder, "--model", photo_bundle, "--out", out, *options).code == 0
        return rows(out.read_text(encoding="utf-8"))

    for precision, threshold in (("0.8", "0.31"), ("0.95", "0.62")):
        assert tagged("--precision", precision) == tagged("--min-confidence", threshold)
    assert tagged() == tagged("--min-confidence", "0.5")
    assert tagged("--precision", "0.95", "--min-confidence", "0") == tagged("--min-confidence", "0")
    flagged = [sum(row["low_confidence"] == "true" for row in tagged("--precision", share)) for share in ("0.8", "0.95")]
    assert flagged[0] <= flagged[1]


def test_a_precision_that_the_bundle_lacks_is_said(
    call: Call, photos: Callable[[int], Path], small_bundle: Path, photo_bundle: Path, tmp_path: Path
) -> None:
    """A precision that the card has no threshold for is one sentence that says which there are; nothing is written."""
    folder, out = photos(1), tmp_path / "tags.csv"
    for model, there in ((photo_bundle, "it has: 0.8, 0.95."), (small_bundle, "it has: none.")):
        assert_one_sentence(call("run", folder, "--model", model, "--precision", "0.9", "--out", out), 1, "0.9", there)
    assert not out.exists()


def test_top_k_beyond_the_labels_gives_all(call: Call, photos: Callable[[int], Path]) -> None:
    """More tags than there are labels cannot be had: then each label stands there once."""
    [row] = rows(call("run", photos(1) / "0000.jpg", "--out", "-", "--top-k", "99").out)
    assert list(row)[-2:] == ["confidence_10", "model"]
    assert {row["tag"], *(row[f"tag_{rank}"] for rank in range(2, 11))} == set(LABELS)


def test_table_columns_come_first(call: Call, photos: Callable[[int], Path], tmp_path: Path) -> None:
    """A table's own columns lead each row unchanged, and a row that cannot be tagged keeps them too."""
    photos(1)
    (tmp_path / "t.csv").write_text("sku,image,tag\n007,photos/0000.jpg,old\n008,,NA\n", encoding="utf-8")
    ended = call("run", tmp_path / "t.csv", "--out", tmp_path / "tags.csv")
    assert ended.code == 3
    tagged, bad = rows((tmp_path / "tags.csv").read_text(encoding="utf-8"))
    assert list(tagged) == ["sku", "image", "source_tag", *COLUMNS, "model"]
    assert list(tagged.values())[:4] == ["007", "photos/0000.jpg", "old", "photos/0000.jpg"]
    assert (bad["sku"], bad["source_tag"]) == ("008", "NA")
    assert (bad["tag"], bad["reason"], bad["low_confidence"]) == ("", "bad_row", "true")


def test_a_reader_that_leaves_is_no_error(small_bundle: Path, tmp_path: Path) -> None:
    """When whoever reads our output leaves early, as head does, there is no traceback."""
    paths = "".join(f"{number}.jpg\n" for number in range(5_000))
    (tmp_path / "paths").write_text(paths)
    program = f"{sys.executable} -m tagger run - --out - --quiet <paths | head -1"
    environment = os.environ | {"FMTAG_RUN_MODEL": str(small_bundle)}
    done = subprocess.run(program, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert done.stdout.startswith("path,tag,")
    assert done.stderr == ""


# Endings -----------------------------------------------------------------------------------------------------------


def test_failure_in_a_process_of_its_own(fmtag: Fmtag, tmp_path: Path) -> None:
    """The real process too ends with one sentence and exit 1."""
    done = fmtag("run", tmp_path / "none", "--out", tmp_path / "tags.csv")
    assert_one_sentence(Ended(done.returncode, done.stdout, done.stderr), 1, f"There is no {tmp_path / 'none'}")
    assert os.listdir(tmp_path) == []


# What is wrong is said in one sentence -----------------------------------------------------------------------------


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """An output of an earlier run."""
    path = tmp_path / "out" / "tags.csv"
    path.parent.mkdir()
    path.write_bytes(b"the old one\n")
    return path


@pytest.fixture
def untouched(old: Path) -> Callable[[], None]:
    """Hold that the output of the earlier run is as it was, with nothing beside it."""

    def check() -> None:
        assert old.read_bytes() == b"the old one\n"
        assert os.listdir(old.parent) == [old.name]

    return check


@pytest.mark.parametrize(
    ("name", "content", "parts"),
    [
        ("nowhere", None, ["There is no ", "nowhere"]),
        ("empty", "", ["holds no photos"]),
        ("no_image.csv", "sku,colour\n1,red\n", ["no_image.csv", "sku, colour", "--image-column"]),
        ("twice.csv", "path,sku,sku\na.jpg,1,2\n", ["more than one column named 'sku'"]),
        ("nothing.csv", "", ["nothing.csv is empty"]),
        ("header_alone.csv", "path,sku\n", ["header_alone.csv holds no photos"]),
        ("latin.csv", "path,sku\na.jpg,1\n\udcfc.jpg,2\n", ["latin.csv is not UTF-8"]),
        ("damaged.parquet", "PAR1 but nothing else", ["damaged.parquet is damaged"]),
    ],
)
def test_bad_sources_are_said(
    call: Call, tmp_path: Path, old: Path, untouched: Callable[[], None], name: str, content: str | None, parts: Sequence[str]
) -> None:
    """A source that cannot be used is one sentence that names it and what to do, exit 1, and the old output stays."""
    if name == "empty":
        (tmp_path / name).mkdir()
    elif content is not None:
        (tmp_path / name).write_bytes(content.encode(errors="surrogateescape"))
    assert_one_sentence(call("run", tmp_path / name, "--out", old), 1, *parts)
    untouched()


def test_bad_outputs_are_said(call: Call, photos: Callable[[int], Path], tmp_path: Path) -> None:
    """An output that cannot be written, or names no format, is one sentence and exit 1."""
    folder = photos(1)
    assert_one_sentence(call("run", folder, "--out", tmp_path / "none" / "t.csv"), 1, str(tmp_path / "none" / "t.csv"))
    (tmp_path / "dir.csv").mkdir()
    assert_one_sentence(call("run", folder, "--out", tmp_path / "dir.csv"), 1, "dir.csv")
    assert_one_sentence(call("run", folder, "--out", tmp_path / "t.xlsx"), 1, "t.xlsx", ".parquet", "--format")
    assert sorted(os.listdir(tmp_path)) == ["dir.csv", "photos"]


def test_the_source_is_never_replaced(call: Call, photos: Callable[[int], Path], tmp_path: Path) -> None:
    """The output may not be the source table, under whatever name: it is refused and the table stays."""
    photos(1)
    table = tmp_path / "t.csv"
    table.write_text("path\nphotos/0000.jpg\n")
    (tmp_path / "link.csv").symlink_to(table)
    for out in (table, tmp_path / "link.csv", tmp_path / "photos" / ".." / "t.csv"):
        assert_one_sentence(call("run", table, "--out", out), 1, "is the source itself")
    assert table.read_text() == "path\nphotos/0000.jpg\n"


def test_unknown_model_lists_those_there_are(
    call: Call, photos: Callable[[int], Path], old: Path, untouched: Callable[[], None], tmp_path: Path
) -> None:
    """A model that is not there is one sentence with those that are shipped, for every command that takes one."""
    folder = photos(1)
    for command in (["run", folder, "--out", old, "--model", "nix"], ["models", "show", "nix"]):
        assert_one_sentence(call(*command), 1, "There is no bundle 'nix'", "shipped with fmtag: ")
    assert_one_sentence(call("run", folder, "--out", old, "--model", folder), 1, "is no bundle")
    assert_one_sentence(call("evaluate", folder, "--model", "nix"), 1, "There is no bundle 'nix'")
    untouched()


@pytest.mark.parametrize(
    "wrong",
    [
        ["--top-k", "0"],
        ["--top-k", "many"],
        ["--min-confidence", "1.5"],
        ["--min-confidence", "nan"],
        ["--precision", "1.5"],
        ["--precision", "nan"],
        ["--precision", "high"],
        ["--format", "xlsx"],
        ["--device", "abacus"],
        ["--batch-size", "0"],
        ["--workers", "-1"],
        ["--log-format", "xml"],
        ["--no-such-option"],
        ["another.jpg"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_exit_2(call: Call, old: Path, untouched: Callable[[], None], wrong: list[str]) -> None:
    """An option or a value that is not known is exit 2, with a sentence that names it, before anything is done."""
    assert_one_sentence(call("run", old.parent, "--out", old, *wrong), 2, wrong[0])
    untouched()


def test_missing_arguments_are_exit_2(call: Call) -> None:
    """A command that lacks what it needs, or is none, says so."""
    assert_one_sentence(call("run", "somewhere"), 2, "--out")
    assert_one_sentence(call("run", "--out", "t.csv"), 2, "SOURCE")
    assert_one_sentence(call("no-such-command"), 2, "no-such-command")


def test_debug_shows_the_traceback(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """With --debug on the command line the traceback stands before the sentence."""
    arguments = ["fmtag", "run", str(tmp_path / "none"), "--out", str(tmp_path / "t.csv")]
    for asked in ([], ["--debug"]):
        monkeypatch.setattr(sys, "argv", [*arguments, *asked])
        with pytest.raises(SystemExit) as caught:
            main()
        said = capfd.readouterr().err
        assert caught.value.code == 1
        assert said.startswith("Traceback") == bool(asked)
        assert ("SourceError" in said) == bool(asked)
        assert said.splitlines()[-1].startswith("Error: There is no")


def test_debug_may_be_asked_for_in_any_way(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--debug counts too where the arguments are handed over, and FMTAG_RUN_DEBUG=1 as a variable does for every option."""
    arguments = ["run", str(tmp_path / "none"), "--out", str(tmp_path / "t.csv")]
    shown = [call(*arguments, "--debug").err]
    monkeypatch.setenv("FMTAG_RUN_DEBUG", "1")
    shown.append(call(*arguments).err)
    assert [said.startswith("Traceback") for said in shown] == [True, True]


# Help and models ---------------------------------------------------------------------------------------------------


HEAVY = """
import sys
from tagger.cli.main import main
try:
    main(["--help"])
except SystemExit as end:
    assert not end.code
heavy = ("torch", "torchvision", "pandas", "cv2", "pyarrow", "matplotlib", "optuna")
sys.stderr.write(" ".join(name for name in heavy if name in sys.modules))
"""


def test_help_is_light() -> None:
    """`fmtag --help` lists the commands without importing torch, torchvision, pandas or Optuna."""
    done = subprocess.run([sys.executable, "-c", HEAVY], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    for command in ("run", "retrain", "tune", "evaluate", "models"):
        assert f"  {command} " in done.stdout


DRAWS = """
import sys
from tagger.cli.main import main
try:
    main(["run", *sys.argv[1:]])
except SystemExit as end:
    assert not end.code, end.code
print(" ".join(name for name in sys.modules if name.split(".")[0] in ("matplotlib", "torchmetrics")))
"""


def test_a_run_loads_nothing_that_draws(photos: Callable[[int], Path], small_bundle: Path, tmp_path: Path) -> None:
    """`fmtag run` tags photos without importing what only reports and tests need."""
    arguments = [photos(2), "--out", tmp_path / "tags.csv", "--model", small_bundle]
    done = subprocess.run([sys.executable, "-c", DRAWS, *map(str, arguments)], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr
    assert (tmp_path / "tags.csv").exists()


@pytest.mark.parametrize(
    "command", [[], ["run"], ["evaluate"], ["retrain"], ["tune"], ["models"], ["models", "show"]], ids=" ".join
)
def test_every_command_has_help(call: Call, command: list[str]) -> None:
    """--help and -h answer with exit 0 on standard output, and every option says what it is for."""
    ended = call(*command, "--help")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("Usage: fmtag")
    assert call(*command, "-h").out == ended.out


def test_exit_codes_stand_in_the_help(call: Call) -> None:
    """`fmtag run --help` says what the exit codes mean."""
    text = " ".join(call("run", "--help").out.split())
    assert "Exit codes: 0 every photo tagged or flagged; 1 " in text
    assert "2 wrong usage; 3 " in text


def test_version(call: Call) -> None:
    """--version names the installed version."""
    assert call("--version") == Ended(0, f"fmtag {version('fmtag')}\n", "")


def test_models(call: Call, small_bundle: Path) -> None:
    """`models` lists a line for each shipped bundle; `models show` prints a bundle's card as JSON, then its layers."""
    ended = call("models")
    assert (ended.code, ended.err) == (0, "")
    assert all("+g" in line for line in ended.out.splitlines())
    shown = call("models", "show", small_bundle)
    assert (shown.code, shown.err) == (0, "")
    card, end = json.JSONDecoder().raw_decode(shown.out)
    assert card["model"].startswith("small@")
    assert card["labels"] == list(LABELS)
    rows = [line.split() for line in shown.out[end:].splitlines() if line.strip()]
    assert rows[0] == ["layer", "kind", "output", "parameters", "MACs"]
    assert ["head", "Linear", "10", "170", "160"] in rows
    assert rows[-1][0] == "all"


# Evaluation --------------------------------------------------------------------------------------------------------

FIGURES = ["accuracy", "macro_accuracy", "n", "calibration_error", "per_class", "confusion", "reliability", "coverage"]


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """Photos sorted into subfolders named by class in the ways that people spell them, one of them broken."""
    for number, folder in enumerate(["bag", "Ankle_Boot", "t-shirt top", "Dress", "Dress", "Scarf"]):
        (tmp_path / "sorted" / folder).mkdir(parents=True, exist_ok=True)
        draw_photo(number).save(tmp_path / "sorted" / folder / f"{number}.jpg")
    (tmp_path / "sorted" / "Dress" / "broken.jpg").write_bytes(b"no image")
    return tmp_path / "sorted"


def assert_figures(path: Path, count: int) -> dict[str, Any]:
    """Hold that a file has the figures of that many photos at its top, and return them."""
    figures: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    assert list(figures)[: len(FIGURES)] == FIGURES
    assert figures["n"] == count == sum(map(sum, figures["confusion"]["counts"]))
    assert all(0 <= figures[name] <= 1 for name in ("accuracy", "macro_accuracy", "calibration_error"))
    assert list(figures["per_class"]) == list(LABELS)
    return figures


def test_evaluate_a_folder_of_classes(fmtag: Fmtag, labelled: Path, tmp_path: Path) -> None:
    """A subfolder a class is measured: broken photos and unknown labels are counted apart, the figures printed."""
    done = fmtag("evaluate", labelled, "--out", tmp_path / "metrics.json")
    assert (done.returncode, done.stderr) == (0, "")
    figures = assert_figures(tmp_path / "metrics.json", 5)
    assert figures["failed"] == {"not_an_image": 1}
    assert figures["other_labels"] == {"Scarf": 1}
    assert [figures["per_class"][name]["n"] for name in ("Bag", "Ankle boot", "T-shirt/top", "Dress")] == [1, 1, 1, 2]
    assert f"accuracy {figures['accuracy']:.4f}" in done.stdout


@pytest.mark.skipif(AS_ROOT, reason="root may read every folder")
def test_evaluate_counts_a_forbidden_class(call: Call, labelled: Path, tmp_path: Path) -> None:
    """A subfolder without permission counts as a failed photo among the others, which are measured."""
    (labelled / "bag").chmod(0)
    try:
        assert call("evaluate", labelled, "--out", tmp_path / "metrics.json").code == 0
    finally:
        (labelled / "bag").chmod(0o700)
    assert assert_figures(tmp_path / "metrics.json", 4)["failed"] == {"not_an_image": 1, "unreadable": 1}


def test_evaluate_a_table_with_labels(call: Call, labelled: Path, tmp_path: Path) -> None:
    """A table with an image and a label column is measured alike; the label column may be given."""
    lines = "sorted/bag/0.jpg,Bag,Dress\nsorted/Dress/3.jpg,Dress,Dress\n"
    (tmp_path / "t.csv").write_text(f"path,label,second\n{lines}", encoding="utf-8")
    assert call("evaluate", tmp_path / "t.csv", "--out", tmp_path / "metrics.json").code == 0
    first = assert_figures(tmp_path / "metrics.json", 2)
    assert (first["per_class"]["Bag"]["n"], first["per_class"]["Dress"]["n"]) == (1, 1)
    assert call("evaluate", tmp_path / "t.csv", "--label-column", "second", "--out", tmp_path / "metrics.json").code == 0
    assert assert_figures(tmp_path / "metrics.json", 2)["per_class"]["Dress"]["n"] == 2


def test_evaluate_says_what_is_wrong(call: Call, photos: Callable[[int], Path], labelled: Path, tmp_path: Path) -> None:
    """Photos outside subfolders, labels that are all unknown and a table without labels are one sentence each."""
    metrics = tmp_path / "metrics.json"
    assert_one_sentence(call("evaluate", photos(1), "--out", metrics), 1, "0000.jpg outside any subfolder")
    (tmp_path / "t.csv").write_text("path,label\nsorted/bag/0.jpg,Sock\nsorted/bag/0.jpg,Glove\n")
    assert_one_sentence(call("evaluate", tmp_path / "t.csv", "--out", metrics), 1, "Glove, Sock", "T-shirt/top")
    (tmp_path / "t.csv").write_text("path,sku\nsorted/bag/0.jpg,1\n")
    assert_one_sentence(call("evaluate", tmp_path / "t.csv", "--out", metrics), 1, "path, sku", "--label-column")
    assert_one_sentence(call("evaluate", tmp_path / "none", "--out", metrics), 1, "There is no ")
    assert not metrics.exists()


def test_evaluate_several_sources(call: Call, labelled: Path, tmp_path: Path) -> None:
    """Several sources print a row each; --out holds each one's figures, --report and --sheet are files beside."""
    (tmp_path / "t.csv").write_text("path,label\nsorted/bag/0.jpg,Bag\nsorted/Dress/3.jpg,Scarf\nnone.jpg,Bag\n")
    report, sheet, metrics = (tmp_path / name for name in ("photos.md", "errors.png", "metrics.json"))
    arguments = ["evaluate", labelled, tmp_path / "t.csv", "--report", report, "--sheet", sheet, "--out", metrics]
    ended = call(*arguments)
    assert (ended.code, ended.err) == (0, "")
    sources = json.loads(metrics.read_text())["sources"]
    assert {name: figures["n"] for name, figures in sources.items()} == {"sorted": 5, "t.csv": 1}
    for name, figures in sources.items():
        [row] = [line.split() for line in ended.out.splitlines() if line.startswith(f" {name} ")]
        assert row[1:3] == [str(figures["n"]), f"{figures['macro_accuracy']:.3f}"]
    assert "t.csv: left out, could not be read: {'missing': 1}" in ended.out
    lines = report.read_text().splitlines()
    assert lines[0] == f"# Real photos, {sources['sorted']['model']}"
    assert lines[1] == f"`fmtag {' '.join(map(str, arguments))}`"
    with Image.open(sheet) as picture:
        assert picture.format == "PNG"


def test_evaluate_says_what_is_wrong_with_a_source(call: Call, labelled: Path, tmp_path: Path) -> None:
    """One bad source among good ones ends it all in one sentence that names it, and nothing is written."""
    out = tmp_path / "out"
    out.mkdir()
    files = ["--report", out / "photos.md", "--sheet", out / "errors.png", "--out", out / "metrics.json"]
    (tmp_path / "sku.csv").write_text("path,sku\nsorted/bag/0.jpg,1\n")
    (tmp_path / "gone.csv").write_text("path,label\nnone.jpg,Bag\n")
    (tmp_path / "empty").mkdir()
    assert_one_sentence(call("evaluate", labelled, tmp_path / "sku.csv", *files), 1, "sku.csv has no label column")
    assert_one_sentence(
        call("evaluate", labelled, tmp_path / "gone.csv", *files), 1, "gone.csv holds no photo that can be read"
    )
    assert_one_sentence(call("evaluate", tmp_path / "empty", labelled, *files), 1, "empty holds no photo that can be read")
    assert_one_sentence(call("evaluate", labelled, labelled, *files), 1, "sorted is given more than once")
    assert os.listdir(out) == []


def test_evaluate_writes_a_folder(call: Call, labelled: Path, tmp_path: Path) -> None:
    """Any other name than one of a Markdown file is a folder with report.html and its pictures; what lies there stays."""
    folder = tmp_path / "new" / "run-0.2"
    arguments = ["evaluate", labelled, "--report", folder]
    ended = call(*arguments)
    assert (ended.code, ended.err) == (0, "")
    assert f"<code>fmtag {' '.join(map(str, arguments))}</code>" in (folder / "report.html").read_text(encoding="utf-8")
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    assert {"1-confusion.png", "1-reliability.png", "1-coverage.png", "1-classes.png"} < set(before)
    (folder / "notes.txt").write_text("mine")
    assert call(*arguments).code == 0
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before | {"notes.txt": b"mine"}


def test_evaluate_refuses_a_report_of_another_kind(call: Call, labelled: Path, tmp_path: Path) -> None:
    """Names of other files, and names that are taken, are one sentence before anything is measured; nothing is lost."""
    for name in ("report.html", "report.PDF", "report.txt"):
        assert_one_sentence(call("evaluate", labelled, "--report", tmp_path / name), 2, name, "give a folder")
    (tmp_path / "folder.md").mkdir()
    assert_one_sentence(call("evaluate", labelled, "--report", tmp_path / "folder.md"), 2, "folder.md is a folder")
    (tmp_path / "taken").write_text("kept")
    for place in ("taken", "taken/below"):
        assert_one_sentence(call("evaluate", tmp_path / "none", "--report", tmp_path / place), 1, "taken is no folder")
    assert (tmp_path / "taken").read_text() == "kept"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder.md", "sorted", "taken"]


def test_the_sheet_is_said_to_show_photos(call: Call) -> None:
    """Who asks for help learns that the sheet shows the photos themselves."""
    assert "It shows the photos" in " ".join(call("evaluate", "--help").out.split())


def test_metrics_that_cannot_be_written_are_said(call: Call, labelled: Path, tmp_path: Path) -> None:
    """Figures for a folder that is not there end in one sentence."""
    ended = call("evaluate", labelled, "--out", tmp_path / "none" / "metrics.json")
    assert ended.code == 1
    assert ended.err.startswith(f"Error: {tmp_path / 'none' / 'metrics.json'} cannot be written")
    assert len(ended.err.splitlines()) == 1
