"""No command overwrites its inputs or writes two outputs to one path; an output that cannot be written is refused first."""

import json
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import Fmtag, rows_of, write_photos

from tagger.cli.main import main

Ended = tuple[int, str]
Call = Callable[..., Ended]


@pytest.fixture
def call(small_bundle: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Call:
    """Call the command line in this process, in the folder with the catalog, and return exit code and standard error."""
    monkeypatch.setenv("FMTAG_RUN_MODEL", str(small_bundle))
    monkeypatch.setenv("FMTAG_EVALUATE_MODEL", str(small_bundle))
    monkeypatch.chdir(tmp_path)

    def ended(command: str) -> Ended:
        with pytest.raises(SystemExit) as caught:
            main(shlex.split(command))
        return int(caught.value.code or 0), capfd.readouterr().err

    return ended


Refused = Callable[[str], str]


@pytest.fixture
def refused(call: Call, tmp_path: Path) -> Refused:
    """Hold that a command is refused in one sentence, with every file as it was and no new one, and return the sentence."""

    def content() -> dict[Path, bytes]:
        return {path: path.read_bytes() if path.is_file() else b"" for path in tmp_path.rglob("*")}

    def sentence(command: str) -> str:
        before = content()
        code, error = call(command)
        assert (code, error.count("\n")) == (1, 1), error
        assert error.startswith("Error: ")
        assert content() == before
        return error

    return sentence


@pytest.fixture(autouse=True)
def catalog(tmp_path: Path, small_bundle: Path) -> None:
    """Three photos in a folder and by classes, tables of them, a label map, bundle, recipe, weights, and links to some."""
    photos = write_photos(tmp_path / "photos", 3)
    for name in ("Bag", "Coat"):
        (tmp_path / "shop" / name).mkdir(parents=True)
        shutil.copy(photos / "0001.jpg", tmp_path / "shop" / name / "one.jpg")
    (tmp_path / "list.csv").write_text("path,label\nphotos/0000.jpg,Bag\n")
    (tmp_path / "map.csv").write_text("label,name\n")
    (tmp_path / "old.csv").write_text("old\n")
    (tmp_path / "linked.csv").symlink_to("list.csv")
    (tmp_path / "hard.csv").hardlink_to(tmp_path / "list.csv")
    (tmp_path / "photo.csv").symlink_to("photos/0002.jpg")
    (tmp_path / "raw").write_bytes((photos / "0002.jpg").read_bytes())
    shutil.copytree(small_bundle, tmp_path / "model")
    (tmp_path / "own").mkdir()
    shutil.copy(tmp_path / "list.csv", tmp_path / "own" / "test.csv")
    (tmp_path / "folder.csv").mkdir()


# What is read ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "why"),
    [
        ("list.csv", "list.csv is the source itself"),
        ("linked.csv", "linked.csv is the source itself"),
        ("hard.csv", "hard.csv is the source itself"),
        ("out.csv", "out.csv is what --out names"),
        ("out.ledger", "out.ledger is what --ledger names"),
        ("out.ledger.lock", "out.ledger.lock is what --ledger names"),
        ("map.csv", "map.csv is the label map"),
        ("photos/0001.jpg", "photos/0001.jpg is a picture"),
        ("raw", "raw is a picture"),
        ("model/card.json", "model/card.json is a file of the bundle"),
        ("none/run.json", "there is no folder"),
    ],
)
def test_a_refused_report_is_not_written(refused: Refused, place: str, why: str) -> None:
    """A refused report is not written to its path either, as that would overwrite what the refusal protects."""
    more = " --label-map map.csv" if place == "map.csv" else ""
    sentence = refused(f"run list.csv --out out.csv --model ./model --report {place}{more}")
    assert why in sentence
    assert "--report" in sentence


def test_the_source_survives_in_a_real_process(fmtag: Fmtag, tmp_path: Path) -> None:
    """The real command refuses it too."""
    table = tmp_path / "list.csv"
    before = table.read_bytes()
    done = fmtag("run", table, "--out", tmp_path / "out.csv", "--report", table)
    assert done.returncode == 1
    assert "give --report another name" in done.stderr
    assert table.read_bytes() == before


@pytest.mark.parametrize(
    "command",
    [
        "run list.csv --out list.csv",
        "run list.csv --out hard.csv",
        "run list.csv --out new.csv --changes linked.csv",
        "run list.csv --out new.csv --ledger list.csv",
        "run list.csv --out new.csv --label-map map.csv --changes map.csv",
        "run photos --out photos/0000.jpg --format csv",
        "run photos --out photos/new.jpg --format csv",
        "run photos --out photo.csv",
        "run photos --out new.csv --changes photo.csv",
        "run photos/0000.jpg --out photos/0000.jpg --format csv",
        "run list.csv --out raw --format csv",
        "run photos --out new.csv --debug-garments photos",
        "run photos --out new.csv --debug-garments photos/seen",
        "run photos --out new.csv --model ./model --ledger model/card.json",
        "pick list.csv --out list.csv",
        "pick list.csv --out linked.csv",
        "pick photos --out photo.csv",
        "pick photos --out model/card.json --from ./model",
        "evaluate list.csv --out hard.csv",
        "evaluate list.csv --sheet list.csv",
        "evaluate list.csv --sheet photos/0000.jpg",
        "evaluate shop --sheet shop/Bag/one.jpg",
        "evaluate shop --report shop/report",
        "evaluate list.csv --model ./model --out model/card.json",
        "compare ./model --report model/card.json",
        "compare ./model --chart model/history.csv",
        "export ./model --to onnx --out model/card.json",
        "retrain --data own/test.csv --out own",
        "retrain --data shop --out shop/Bag",
        "tune --out model/card.json --distill-from ./model",
    ],
)
def test_inputs_are_not_overwritten(refused: Refused, tmp_path: Path, command: str) -> None:
    """Every command refuses an output path that leads to an input, before its work, in a sentence that names the option."""
    (tmp_path / "model" / "history.csv").write_text("epoch\n")
    sentence = refused(command)
    assert any(f"give {option} " in sentence for option in command.split() if option.startswith("--"))


@pytest.mark.parametrize(
    "command",
    [
        "run photos --out new.csv --changes new.csv",
        "run photos --out new.csv --report NEW.csv",
        "run photos --out old.csv --report ./photos/../old.csv",
        "run photos --out new.ledger --format csv",
        "run photos --out new.csv --changes new.ledger-wal.csv --ledger new.ledger-wal.csv",
        "run photos --out - --changes -",
        "evaluate list.csv --out new --report new",
        "evaluate list.csv --out new.md --report new.md",
        "compare ./model --out new.csv --chart new.csv",
        "tune --out recipe.json --study recipe.json",
        "tune --out recipe.sqlite.lock --study recipe.sqlite",
    ],
)
def test_two_outputs_have_two_paths(refused: Refused, command: str) -> None:
    """One of them would be lost, or both would be unreadable."""
    sentence = refused(command)
    assert "names and would be replaced" in sentence or "cannot both be standard output" in sentence


# What is in order --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        "run . --out tags.csv --report run.json --changes changes.jsonl",
        "run photos --out photos/tags.csv --debug-garments seen",
        "run list.csv --out old.csv --report photos/run.json",
        "run photos --out /dev/null --format csv --report /dev/null",
    ],
)
def test_outputs_beside_photos_are_accepted(call: Call, command: str) -> None:
    """Files of other kinds may be in the folder of the photos, an older output is replaced, and devices are accepted."""
    for _ in range(2):
        code, error = call(command)
        assert code in (0, 3), error


def test_an_older_sheet_is_replaced(call: Call, tmp_path: Path) -> None:
    """The same command, run again, does not take its own sheet for a photo of the source."""
    for _ in range(2):
        assert call("evaluate list.csv --sheet errors.png --out new.json")[0] == 0
    assert (tmp_path / "errors.png").read_bytes().startswith(b"\x89PNG")


def test_a_refused_run_has_a_report(call: Call, tmp_path: Path) -> None:
    """A run that is refused for another reason than its report writes the report."""
    code, _ = call("run list.csv --out none/out.csv --report run.json")
    assert code == 1
    report = json.loads((tmp_path / "run.json").read_text())
    assert report["status"] == "failed"
    assert "there is no folder" in report["error"]


def test_a_failing_report_does_not_hide_the_runs_error(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last line is the error of the run, after a line about the report."""
    from tagger.errors import OutputError
    from tagger.run import report

    def fails(*_: object) -> None:
        raise OutputError("run.json cannot be written (No space left on device).")

    monkeypatch.setattr(report, "write_destination", fails)
    (tmp_path / "list.csv").write_text("nothing\n1\n")
    code, error = call("run list.csv --out out.csv --report run.json")
    assert code == 1
    first, last = error.splitlines()
    assert "No space left on device" in first
    assert last.startswith("Error: ")
    assert "no image column" in last


# What cannot be written --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["", "none/out.csv", "old.csv/out.csv", "folder.csv", "n" * 300 + ".csv", "loop.csv"])
@pytest.mark.parametrize(
    "command",
    [
        "run list.csv --out {}",
        "run list.csv --out new.csv --changes {}",
        "run list.csv --out new.csv --report {}",
        "run list.csv --out new.csv --ledger {}",
        "pick list.csv --out {}",
        "evaluate list.csv --out {}",
        "evaluate list.csv --sheet {}",
        "compare ./model --out {}",
        "compare ./model --report {}",
        "export ./model --to onnx --out {}",
        "tune --study {} --out new.json",
    ],
)
def test_a_file_that_cannot_be_written_is_refused_first(call: Call, tmp_path: Path, command: str, place: str) -> None:
    """A missing folder, a file in place of a folder or the reverse, a long name: one sentence with option and remedy."""
    (tmp_path / "loop.csv").symlink_to("loop.csv")
    code, error = call(command.format(place or "''"))
    assert place in error
    assert "Traceback" not in error
    if code == 2:  # click knows folders, and compare the names that it can write
        assert "is a directory" in error or "ends neither" in error
    else:
        assert (code, error.count("\n")) == (1, 1)
        option = command[: command.index(" {}")].rpartition(" ")[2]
        assert f"give {option} " in error
    assert not (tmp_path / "new.csv").exists()


@pytest.mark.parametrize(
    "command",
    [
        "adapt photos --out {} --from ./model",
        "retrain --out {}",
        "evaluate list.csv --report {}",
        "run list.csv --out n.csv --debug-garments {}",
    ],
)
def test_a_folder_that_cannot_be_made_is_refused_first(refused: Refused, command: str) -> None:
    """A folder below a file is refused, however deep below it."""
    Path("old").write_text("no folder")
    for place in ("./old", "./old/below", "./old/below/deep")["retrain" in command :]:  # click knows files
        sentence = refused(command.format(place))
        assert "old is no folder" in sentence
        assert f"give {command[: command.index(' {}')].rpartition(' ')[2]} another place" in sentence


@pytest.mark.parametrize("command", ["adapt photos --out own --from ./model", "retrain --out own"])
def test_a_card_of_another_program_is_not_overwritten(refused: Refused, tmp_path: Path, command: str) -> None:
    """A folder with a card.json that fmtag has not written is refused for a bundle."""
    (tmp_path / "own" / "card.json").write_text('{"kind": "of trump"}')
    assert "give --out another folder" in refused(command.replace("own", "./own"))


def test_the_old_output_is_still_replaced(call: Call, tmp_path: Path) -> None:
    """An accepted run replaces the old output."""
    assert call("run list.csv --out old.csv")[0] == 0
    assert [row["path"] for row in rows_of(tmp_path / "old.csv")] == ["photos/0000.jpg"]
