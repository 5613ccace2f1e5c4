"""Files beside a bundle are recognized by their content: fmtag's own are removed, all others stay."""

import base64
import json
from pathlib import Path

import pytest

from tagger.errors import OutputError
from tagger.models.side_files import WRITTEN, check_own, remove_own

PNG = b"\x89PNG\r\n\x1a\n chart"
METRICS = {"test": {"accuracy": 1.0, "n": 3, "per_class": {"hat": {"n": 2}, "bag": {"n": 0}, "scarf": {"n": 1}}}}
TABLE = "image,label,group\na.jpg,hat,\nb.jpg,hat,\nc.jpg,scarf,\n"
PAGE = '<title>mine: report</title><img src="data:image/png;base64,{}">'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one file of each kind, as fmtag writes them."""
    (tmp_path / "report").mkdir()
    (tmp_path / "history.csv").write_text("epoch,loss,held_out_accuracy,held_out_loss,seconds\n1,1,,,1\n")
    (tmp_path / "metrics.json").write_text(json.dumps(METRICS))
    (tmp_path / "test.csv").write_text(TABLE)
    (tmp_path / "report" / "report.html").write_text(PAGE.format(base64.b64encode(PNG).decode()))
    (tmp_path / "report" / "1-confusion.png").write_bytes(PNG)
    return tmp_path


def names(folder: Path) -> set[str]:
    """Return the files of a folder and its subfolders."""
    return {str(file.relative_to(folder)) for file in folder.rglob("*") if not file.is_dir()}


def test_own_files_are_removed_with_their_folder(folder: Path) -> None:
    """Nothing of what fmtag wrote stays, and the report's folder goes when it is empty."""
    check_own(folder, [*WRITTEN, "test.csv"])
    remove_own(folder)
    assert list(folder.iterdir()) == []


def test_other_files_stay(folder: Path) -> None:
    """Files of other names, a chart that the report does not show, and links stay, with the report's folder."""
    (folder / "notes.txt").write_text("mine")
    (folder / "report" / "own.png").write_bytes(b"mine")
    (folder / "link.csv").symlink_to(folder / "history.csv")
    remove_own(folder)
    assert names(folder) == {"notes.txt", "report/own.png", "link.csv"}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("history.csv", "year,event\n1066,Hastings\n"),
        ("history.csv", "epoch,loss,held_out_accuracy,held_out_loss,seconds,note\n"),
        ("metrics.json", json.dumps({"visitors": 7})),
        ("metrics.json", json.dumps({"test": {"accuracy": 1.0}})),
        ("metrics.json", json.dumps({"test": {"accuracy": 1.0, "per_class": {}}, "other": {}})),
        ("metrics.json", json.dumps([1])),
        ("test.csv", TABLE.replace("a.jpg,hat", "a.jpg,scarf")),
        ("test.csv", TABLE + "d.jpg,hat,\n"),
        ("test.csv", TABLE.replace("group", "sender")),
        ("test.csv", TABLE + "d.jpg\n"),
        ("test.csv", ""),
        ("report/report.html", "<title>Annual report</title>"),
        ("report/report.html", " " * 4096 + "<title>mine: report</title>"),
    ],
)
def test_a_file_that_fmtag_did_not_write_is_refused_and_kept(name: str, content: str, folder: Path) -> None:
    """A file of such a name with another content, or other labels, is refused by name with the remedy, and never removed."""
    (folder / name).write_text(content)
    with pytest.raises(OutputError, match=r"is not as fmtag wrote it.*--out") as caught:
        check_own(folder, [name])
    assert str(folder / name) in str(caught.value)
    remove_own(folder)
    assert (folder / name).read_text() == content


def test_the_test_table_belongs_to_its_metrics(folder: Path) -> None:
    """Without the metrics whose photos it lists, nothing says that fmtag wrote the table."""
    (folder / "metrics.json").unlink()
    with pytest.raises(OutputError, match=r"test\.csv"):
        check_own(folder, ["test.csv"])


def test_a_report_behind_a_link_is_left_alone(folder: Path) -> None:
    """A linked folder is somebody's, and its files are not removed through the link."""
    (folder / "report").rename(folder / "elsewhere")
    (folder / "report").symlink_to(folder / "elsewhere")
    remove_own(folder)
    assert names(folder) >= {"elsewhere/report.html", "elsewhere/1-confusion.png"}


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe", b"[" * 100_000, b'{"test": 3}', b'{"test": null}', b'image,label,group\n"']
)
def test_odd_content_is_never_fmtags(content: bytes, tmp_path: Path) -> None:
    """Whatever bytes a file of such a name holds, it is refused in one sentence and kept."""
    for name in ("history.csv", "metrics.json", "test.csv"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(OutputError, match=name):
            check_own(tmp_path, [name])
    remove_own(tmp_path)
    assert names(tmp_path) == {"history.csv", "metrics.json", "test.csv"}


def test_missing_files_are_no_obstacle(tmp_path: Path) -> None:
    """A folder without any of them passes the check, and so does one that does not exist; removing does nothing."""
    check_own(tmp_path)
    check_own(tmp_path / "nothing")
    remove_own(tmp_path / "nothing")
