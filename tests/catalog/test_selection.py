"""Entries of a folder are selected by their names: a built-in list, and patterns by gitignore's rules."""

import os
import shutil
import subprocess
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import pytest
from catalog_helpers import touch

from tagger.catalog.folder import walk_folder
from tagger.catalog.settings import SourceSettings
from tagger.errors import SourceError

FILES = (
    "a.jpg b.png ._a.jpg .images/i.jpg .images/._i.jpg #new/m.jpg @eaDir/h.jpg [sale]/l.jpg lost+found/k.jpg old/c.jpg "
    "old/keep.jpg women/e-back.jpg women/f-front.jpg women/old/d.jpg women/@eaDir/x.jpg"
).split()
PLAIN = sorted(name for name in FILES if not any(part in name for part in ("@eaDir", "lost+found", "._", ".images")))


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A folder with names of all kinds."""
    return touch(tmp_path / "shop", *FILES)


def walked(
    folder: Path, exclude: Sequence[str] = (), include: Sequence[str] = ()
) -> tuple[list[str], dict[str, str], list[str]]:
    """Return the paths of the items, the reasons of the other entries by path, and the warnings."""
    ignored: dict[str, str] = {}
    warnings: list[str] = []
    reading = SourceSettings(exclude=tuple(exclude), include=tuple(include))
    found = [item.path for item in walk_folder(folder, ignored.__setitem__, reading, warnings.append)]
    return found, ignored, warnings


@pytest.mark.parametrize(
    ("exclude", "left"),
    [
        (["old/"], ["old/", "women/old/"]),
        (["old"], ["old/", "women/old/"]),
        (["/old/"], ["old/"]),
        (["./old"], ["old/"]),
        (["women/old"], ["women/old/"]),
        (["old/*", "!old/keep.jpg"], ["old/c.jpg"]),
        (["old/**", "!old/keep.jpg"], ["old/c.jpg"]),
        (["old/", "!old/keep.jpg"], ["old/", "women/old/"]),
        (["*.png", "!b.png"], []),
        (["!b.png", "*.png"], ["b.png"]),
        (["*-back.jpg"], ["women/e-back.jpg"]),
        (["#new"], ["#new/"]),
        (["\\[sale]/"], ["[sale]/"]),
        (["[sale]/"], []),
        (["a.jpg/"], []),
        (["A.JPG"], []),
        (["*", "!*/", "!*-front.jpg"], [name for name in PLAIN if not name.endswith("-front.jpg")]),
    ],
)
def test_patterns_exclude(shop: Path, exclude: list[str], left: list[str]) -> None:
    """The last pattern that matches an entry decides; a `/` anchors, a `/` at the end means folders, `!` is an exception."""
    found, _, warnings = walked(shop, exclude)
    assert found == [
        name for name in PLAIN if not any(name == one or (one[-1] == "/" and name.startswith(one)) for one in left)
    ]
    assert warnings == []


@pytest.mark.parametrize(
    ("include", "exclude", "found"),
    [
        (["*.png"], [], ["b.png"]),
        (["women/"], ["*-back.jpg"], ["women/f-front.jpg", "women/old/d.jpg"]),
        (["women/**"], ["old/"], ["women/e-back.jpg", "women/f-front.jpg"]),
        (["/a.jpg", "*-back.*"], [], ["a.jpg", "women/e-back.jpg"]),
        (["women/", "!*-back.jpg"], [], ["women/f-front.jpg", "women/old/d.jpg"]),
        (["*"], ["*"], []),
        ([".images/"], [], [".images/i.jpg"]),
        (["lost+found"], [], ["lost+found/k.jpg"]),
        (["@eaDir/"], [], ["@eaDir/h.jpg", "women/@eaDir/x.jpg"]),
    ],
)
def test_patterns_include(shop: Path, include: list[str], exclude: list[str], found: list[str]) -> None:
    """Only files are read that match, or lie in a folder that does, and that no pattern excludes."""
    assert walked(shop, exclude, include)[0] == found


def test_wildcards_do_not_bring_back_what_is_never_a_photo(shop: Path) -> None:
    """`*.jpg` means neither a resource fork nor the thumbnails of a NAS; only a name does."""
    for exclude, include in (([], ["*.jpg", "*.png"]), ([], ["*"]), (["*", "!*"], [])):
        assert walked(shop, exclude, include)[0] == PLAIN
    assert walked(shop, ["!@eaDir/", "!.images"])[0] == sorted([*PLAIN, ".images/i.jpg", "@eaDir/h.jpg", "women/@eaDir/x.jpg"])


def test_reasons_name_what_decided(shop: Path) -> None:
    """Each entry that is left out has a reason; a folder stands for all that it holds."""
    _, ignored, _ = walked(shop, ["old/", "*.jpg", "!women/"], ["women/"])
    assert ignored["old"] == "excluded by old/"
    assert ignored["a.jpg"] == "excluded by *.jpg"
    assert ignored["b.png"] == "not matched by --include"
    assert (ignored["@eaDir"], ignored[".images"]) == ("system folder", "hidden")
    assert "old/c.jpg" not in ignored


@pytest.mark.parametrize(
    "name",
    "@eaDir @EADIR #recycle #Recycle #snapshot $RECYCLE.BIN $Recycle.Bin RECYCLER System_Volume_Information lost+found "
    "@Recycle @Recently-Snapshot __MACOSX ~snapshot Network_Trash_Folder Temporary_Items node_modules FOUND.000 files_trashbin "
    "@GMT-2026.11.27-01.00.00 Shop_Previews.lrdata CaptureOne .Trash-1000 .Trashes .snapshot .AppleDouble .thumbnails".split(),
)
def test_folders_of_systems_are_left_out(tmp_path: Path, name: str) -> None:
    """They are left out at any depth, as folders only; given as the source, they are read."""
    name = name.replace("_", " ") if name.startswith(("System_", "Network_", "Temporary_", "Shop_")) else name
    folder = touch(tmp_path / "shop", f"{name}/S-1-5/a.jpg", f"women/{name}/b.jpg", "c.jpg")
    found, ignored, warnings = walked(folder)
    assert found == ["c.jpg"]
    assert ignored == dict.fromkeys([name, f"women/{name}"], "hidden" if name.startswith(".") else "system folder")
    assert warnings == []
    assert walked(folder / name)[0] == ["S-1-5/a.jpg"]


@pytest.mark.parametrize(
    "name", ["Recycled", "trash", "recycle", "@new", "#1", "$5", "tmp", "cache", "eaDir", "lost", "snapshots"]
)
def test_other_folders_are_read(tmp_path: Path, name: str) -> None:
    """A shop may have a category of such a name."""
    assert walked(touch(tmp_path, f"{name}/a.jpg"))[0] == [f"{name}/a.jpg"]


def test_what_is_left_out_is_not_listed(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A `lost+found` without permission, or an excluded folder, does not fail: it is never opened."""
    scandir = os.scandir

    def guarded(folder: str | Path) -> "os._ScandirIterator[str]":
        if Path(folder).name in ("lost+found", "@eaDir", "old"):
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", guarded)
    assert "unreadable" not in walked(shop, ["old/"])[1].values()
    assert walked(shop, ["old/"])[0] == [name for name in PLAIN if "old" not in name]
    assert "old/" in walked(shop)[0]  # not excluded, it is an item that failed


def test_names_in_other_encodings_match(tmp_path: Path) -> None:
    """A name that is not UTF-8 matches its own bytes, and a decomposed one the composed name that a keyboard writes."""
    latin, decomposed = os.fsdecode(b"caf\xe9.jpg"), unicodedata.normalize("NFD", "Mäntel")
    try:
        touch(tmp_path, latin, f"{decomposed}/a.jpg", "z.jpg")
    except OSError:
        pytest.skip("this file system holds UTF-8 names alone")
    assert walked(tmp_path, [latin])[0] == [f"{decomposed}/a.jpg", "z.jpg"]
    assert walked(tmp_path, ["caf?.jpg", "Mäntel/"])[0] == ["z.jpg"]
    assert walked(tmp_path, [], [f"{decomposed}/"])[0] == [f"{decomposed}/a.jpg"]


@pytest.mark.parametrize("pattern", ["", "!", "/", "!/", " ", "[a", "a\\", "[z-a].jpg", "[[:alpha:]]", "women\\old"])
@pytest.mark.parametrize("option", ["exclude", "include"])
def test_a_bad_pattern_is_refused(shop: Path, option: str, pattern: str) -> None:
    """What can match no name is one sentence with the option, the pattern and what to write, before anything is read."""
    with pytest.raises(SourceError) as caught:
        walked(shop, **{option: [pattern]})
    sentence = str(caught.value)
    assert sentence.startswith(f"--{option} ")
    assert repr(pattern) in sentence or pattern in sentence
    assert "write" in sentence
    assert "\n" not in sentence


def test_a_path_from_elsewhere_is_said(shop: Path) -> None:
    """A pattern that begins with a folder above the source matches nothing, which would not be seen in the output."""
    found, _, [warning] = walked(shop, ["shop/old/", "drafts/", "*.gif", "women/none"])
    assert found == PLAIN
    assert warning == f"--exclude shop/old/ matches nothing: patterns start within {shop}, which has no 'shop'."
    [warning] = walked(shop, include=[str(shop / "women")])[2]
    assert warning.startswith(f"--include {shop}/women matches nothing")


@pytest.mark.skipif(shutil.which("git") is None, reason="git is the oracle")
@pytest.mark.parametrize(
    "patterns",
    [
        ["*", "!*/", "!*.png"],
        ["/*", "!/women/"],
        ["*", "!women/"],
        ["women/**", "!women/old/", "!women/old/**"],
        ["**/old", "!women/old"],
        ["w*n/*-[ab]*.jpg", "?.jpg"],
        ["old/**/", "/a.jpg", "!**/old/k*"],
    ],
)
def test_git_selects_the_same(tmp_path: Path, patterns: list[str]) -> None:
    """The same patterns in an exclude file select the same files for git."""
    folder = touch(tmp_path / "shop", *PLAIN)
    (tmp_path / "patterns").write_text("\n".join(patterns) + "\n")
    subprocess.run(["git", "init", "-q", folder], check=True)
    command = ["git", "-C", folder, "ls-files", "-z", "--others", f"--exclude-from={tmp_path / 'patterns'}"]
    expected = subprocess.run(command, check=True, capture_output=True).stdout.decode().split("\0")[:-1]
    assert sorted(walked(folder, patterns)[0]) == sorted(expected)
