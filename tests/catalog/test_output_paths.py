"""An output that would replace an input, a photo or another output, or cannot be written, is refused with option and remedy."""

import errno
import os
from pathlib import Path

import pytest
from catalog_helpers import touch
from helpers import draw_photo

from tagger.catalog.output_paths import Input, Kind, Output, check_output_paths, fashion_mnist_files, refusals
from tagger.errors import OutputError


def refused(*outputs: Output, inputs: tuple[Input, ...] = ()) -> dict[str, str]:
    """Return the sentences of the refused outputs by option."""
    return dict(refusals(outputs, inputs))


# Inputs ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["list.csv", "sub/../list.csv", "linked.csv", "hard.csv"])
def test_an_input_is_not_replaced_under_any_name(tmp_path: Path, name: str) -> None:
    """Links, hard links and other spellings are the same file; the sentence says what it is and names the option."""
    touch(tmp_path, "list.csv", "sub/x")
    (tmp_path / "linked.csv").symlink_to("list.csv")
    (tmp_path / "hard.csv").hardlink_to(tmp_path / "list.csv")
    given = f"{tmp_path}/{name}"
    inputs = (Input("the label map", tmp_path / "list.csv"),)
    assert refused(Output("--changes", given), inputs=inputs) == {
        "--changes": f"{given} is the label map and would be replaced; give --changes another name."
    }
    with pytest.raises(OutputError, match="the label map"):
        check_output_paths([Output("--out", tmp_path / "new.csv"), Output("--changes", given)], inputs)


def test_other_files_and_absent_options_are_fine(tmp_path: Path) -> None:
    """An older output is replaced, an option that is not given writes nothing, and standard output always works."""
    touch(tmp_path, "list.csv", "old.csv")
    outputs = [Output("--out", tmp_path / "old.csv"), Output("--report", None), Output("--changes", "-")]
    check_output_paths(outputs, [Input("the source itself", tmp_path / "list.csv")])


def test_an_input_that_does_not_exist_is_no_obstacle(tmp_path: Path) -> None:
    """That it is missing is for its reader to report."""
    assert not refused(Output("--out", tmp_path / "a.csv"), inputs=(Input("the label map", tmp_path / "a.csv"),))


def test_files_of_fashion_mnist_are_inputs(tmp_path: Path) -> None:
    """Packed or not; no folder has none."""
    touch(tmp_path, "t10k-images-idx3-ubyte.gz", "train-labels-idx1-ubyte", "notes.txt")
    names = [Path(one.path).name for one in fashion_mnist_files(tmp_path)]
    assert names == ["t10k-images-idx3-ubyte.gz", "train-labels-idx1-ubyte"]
    assert fashion_mnist_files(None) == []


# Two outputs -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["new.csv", "NEW.csv", "sub/../new.csv"])
def test_of_two_outputs_in_one_place_the_second_is_refused(tmp_path: Path, name: str) -> None:
    """Names that differ only in case are one place too, as they are on many file systems."""
    touch(tmp_path, "sub/x")
    found = refused(Output("--out", tmp_path / "new.csv"), Output("--report", f"{tmp_path}/{name}"))
    assert list(found) == ["--report"]
    assert "is what --out names and would be replaced; give --report another name" in found["--report"]


def test_standard_output_takes_one_output() -> None:
    """Two would be mixed up."""
    assert refused(Output("--out", "-"), Output("--changes", "-")) == {
        "--changes": "--out and --changes cannot both be standard output; give --changes a file."
    }


def test_devices_take_any_number_of_outputs() -> None:
    """A device keeps nothing that could be lost."""
    assert not refused(Output("--out", os.devnull), Output("--report", os.devnull), Output("--chart", os.devnull, "image"))


def test_standard_output_may_not_be_an_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table that the shell appends the output to would be read to no end."""
    table = tmp_path / "list.csv"
    with table.open("ab") as file:
        os.set_inheritable(file.fileno(), True)
        given = f"/dev/fd/{file.fileno()}"
        inputs = (Input("the source itself", table),)
        assert refused(Output("--out", given), inputs=inputs) == {
            "--out": f"{given} is the source itself and would be replaced; give --out another name."
        }
        assert list(refused(Output("--out", table), Output("--report", given))) == ["--report"]


def test_a_ledger_keeps_what_is_written(tmp_path: Path) -> None:
    """A device or a pipe does not, and none of them is opened."""
    os.mkfifo(tmp_path / "pipe")
    for path in ("-", os.devnull, tmp_path / "pipe", "/dev/fd/63"):
        assert "is no file that keeps what is written; give --ledger another one" in refused(
            Output("--ledger", path, "database")
        ).get("--ledger", "")
    assert not refused(Output("--ledger", tmp_path / "new.ledger", "database"))


# Photos ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "kind", "why"),
    [
        ("photos/new.jpg", "file", "lies among the photos"),
        ("photos/deep/new.PNG", "image", "lies among the photos"),
        ("photos/sheet", "images", "whose images are all read as photos"),
        ("photos", "images", "whose images are all read as photos"),
        ("photos/tags.csv", "file", ""),
        ("photos/folder", "folder", ""),
        ("photos2/new.jpg", "image", ""),
        ("photos2", "images", ""),
        ("new.jpg", "file", ""),
        ("old.jpg", "file", "is a picture and would be replaced"),
        ("old.jpg", "image", ""),
    ],
)
def test_no_output_becomes_a_photo_of_the_source(tmp_path: Path, path: str, kind: Kind, why: str) -> None:
    """Images may not be written into a folder that is read; elsewhere an image may be replaced by an image alone."""
    touch(tmp_path, "photos/deep/a.jpg", "photos2/a.jpg", "old.jpg")
    found = refused(Output("--sheet", tmp_path / path, kind), inputs=(Input("the source itself", tmp_path / "photos"),))
    assert bool(found) == bool(why)
    assert why in found.get("--sheet", "")


@pytest.mark.parametrize("suffix", ["jpg", "png", "gif", "bmp", "tif", "webp", "avif"])
def test_photos_are_known_by_their_content(tmp_path: Path, suffix: str) -> None:
    """Every kind of image is one under a name without a suffix, and a table that begins alike is none."""
    draw_photo(1).save(tmp_path / f"a.{suffix}")
    (tmp_path / f"a.{suffix}").rename(tmp_path / "a")
    assert dict(refusals([Output("--out", tmp_path / "a")]))
    for text in ("BMI,path\n", "GIF89,path\n", "RIFFxxxxWEB", ""):
        (tmp_path / "a").write_text(text)
        assert not dict(refusals([Output("--out", tmp_path / "a")]))


@pytest.mark.parametrize("start", [b"\0\0\0\x18ftypcrx ", b"\0\0\0\x18ftypisom"])
def test_raw_photos_and_videos_are_not_replaced(tmp_path: Path, start: bytes) -> None:
    """Although fmtag cannot read them they are a photographer's work."""
    (tmp_path / "a").write_bytes(start + bytes(100))
    assert "is a picture" in refused(Output("--out", tmp_path / "a"))["--out"]


# Places that cannot be written -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("path", "kind"), [("shut/out.csv", "file"), ("shut", "folder"), ("shut/new/deep", "folder")])
def test_a_folder_that_may_not_be_written_is_known_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, kind: Kind
) -> None:
    """The nearest existing folder decides, and the sentence names it."""
    (tmp_path / "shut").mkdir()
    monkeypatch.setattr(os, "access", lambda place, mode: Path(place).name != "shut")  # root may write anywhere
    ((_, sentence),) = refusals([Output("--out", tmp_path / path, kind)])
    assert f"{tmp_path / 'shut'} may not be written" in sentence
    assert "give --out another place" in sentence


def test_a_file_in_a_shut_folder_is_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If it may be written itself; nothing new can be made there."""
    touch(tmp_path, "shut/old.csv", "shut/fixed.csv")
    monkeypatch.setattr(os, "access", lambda place, mode: Path(place).name not in ("shut", "fixed.csv"))
    found = refused(*(Output(f"--{name}", tmp_path / "shut" / f"{name}.csv") for name in ("old", "fixed", "new")))
    assert "may not be overwritten either; give --fixed another place." in found["--fixed"]
    assert "may not be written; give --new another place." in found["--new"]
    assert list(found) == ["--fixed", "--new"]


def test_a_path_that_the_system_refuses_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where a folder on the way may not be entered; the sentence has the system's reason."""

    def forbidden(self: Path, **_: object) -> os.stat_result:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "stat", forbidden)
    ((_, sentence),) = refusals([Output("--out", tmp_path / "out.csv")])
    assert "(Permission denied); give --out another place" in sentence


@pytest.mark.parametrize("error", [OSError("it is gone"), ValueError("it is gone"), OSError(errno.EIO, "it is gone")])
def test_a_reason_is_found_for_every_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """The error's own text stands in where the system gave no reason."""

    def failing(self: Path, **_: object) -> os.stat_result:
        raise error

    monkeypatch.setattr(Path, "stat", failing)
    sentence = refused(Output("--out", tmp_path / "out.csv"))["--out"]
    assert "cannot be written (it is gone); give --out another place." in sentence


@pytest.mark.parametrize(
    ("path", "kind", "why"),
    [
        ("none/out.csv", "file", "there is no folder {0}/none; make it first"),
        ("file/out.csv", "file", "{0}/file is no folder"),
        ("file/out", "folder", "{0}/file is no folder"),
        ("file/deep/er", "images", "{0}/file is no folder"),
        ("folder", "file", "it is a folder; give --out the name of a file"),
        ("folder", "folder", ""),
        ("new/deep/er", "folder", ""),
        ("loop", "file", "cannot be written (Too many levels of symbolic links)"),
        ("to_nothing", "file", "there is no folder {0}/none"),
        ("to_new", "file", ""),
    ],
)
def test_what_cannot_be_written_is_known_beforehand(tmp_path: Path, path: str, kind: Kind, why: str) -> None:
    """A file's folder has to exist, a folder's nearest existing one to be a folder; links are followed."""
    touch(tmp_path, "file", "folder/x")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "to_nothing").symlink_to("none/x")
    (tmp_path / "to_new").symlink_to("folder/new")
    sentence = refused(Output("--out", tmp_path / path, kind)).get("--out", "")
    assert bool(sentence) == bool(why), sentence
    assert why.format(tmp_path) in sentence
    if why:
        assert "give --out " in sentence


def test_a_relative_folder_is_looked_for_where_the_command_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its nearest existing folder is found from the current folder on, and refused where that may not be written."""
    monkeypatch.chdir(tmp_path)
    assert not refused(Output("--out", "new/deep", "folder"), Output("--report", "", "folder"))
    monkeypatch.setattr(os, "access", lambda place, mode: Path(place).resolve() != tmp_path)
    assert "may not be written" in refused(Output("--out", "new/deep", "folder"))["--out"]
