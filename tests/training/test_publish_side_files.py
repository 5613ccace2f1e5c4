"""Files that fmtag writes beside a bundle are removed with it; the user's own files are never removed or replaced."""
# ruff: noqa: SIM300 - what is expected stands first, as in every test here

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import exit_code, save_bundle, write_photos
from pretrain_helpers import data as data  # a fixture that is used by its name
from training_helpers import folder_of

from tagger.models import bundle
from tagger.models.config import NetworkConfig
from tagger.models.history import history
from tagger.models.side_files import remove_own

TRAINED = {"history.csv", "metrics.json", "test.csv", "report/report.html"}


def files_in(folder: Path) -> set[str]:
    """Return the files of a folder and its subfolders, but for card and weights."""
    names = {str(file.relative_to(folder)) for file in folder.rglob("*") if not file.is_dir()}
    return {name for name in names if name != "card.json" and not name.startswith("weights-")}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of hats and scarves."""
    return folder_of(tmp_path_factory.mktemp("own") / "photos")


@pytest.fixture(scope="module")
def trained(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a bundle that the command trained on them."""
    root = tmp_path_factory.mktemp("trained")
    start = save_bundle(root / "start", NetworkConfig((8, 16)))
    assert not exit_code("retrain", "--data", photos, "--out", root / "new", "--from", start, "--epochs", 2)
    assert files_in(root / "new") >= TRAINED
    return root / "new"


@pytest.fixture
def own(trained: Path, tmp_path: Path) -> Path:
    """A copy of that folder with files of the user's own."""
    folder = Path(shutil.copytree(trained, tmp_path / "shop"))
    (folder / "notes.txt").write_text("mine")
    (folder / "report" / "own.png").write_bytes(b"mine")
    (folder / "old.csv").symlink_to(folder / "history.csv")
    return folder


FOREIGN = {"notes.txt", "report/own.png", "old.csv"}


def test_adapt_removes_files_of_the_old_bundle(own: Path, tmp_path: Path) -> None:
    """A bundle from `adapt` has no history, metrics, test photos or report of the one that it replaces; all else stays."""
    catalog = write_photos(tmp_path / "catalog", 6)
    before = bundle.load(str(own)).model
    assert not exit_code("adapt", catalog, "--out", own, "--from", "base", "--force")
    assert before != bundle.load(str(own)).model
    assert FOREIGN == files_in(own)
    assert [] == history(str(own))


@pytest.mark.slow
def test_retrain_replaces_files_of_the_old_bundle(own: Path) -> None:
    """Fashion-MNIST's bundle has history, metrics and report of its own, and no test photos of the one before."""
    options = "--network tiny --epochs 1 --batch-size 50 --floor 0 --distill-from base --force"
    stale = {name: (own / name).read_bytes() for name in files_in(own) - FOREIGN}
    shutil.copy(own / "report" / "1-confusion.png", own / "report" / "1-right-99.png")  # of more pictures than there are now
    stale["report/1-right-99.png"] = (own / "report" / "1-right-99.png").read_bytes()
    assert not exit_code("retrain", "--out", own, *options.split())
    assert not {"test.csv", "report/1-right-99.png"} & files_in(own)
    assert files_in(own) >= {*FOREIGN, "history.csv", "metrics.json", "report/report.html"}
    assert not [
        name for name in ("history.csv", "metrics.json", "report/report.html") if (own / name).read_bytes() == stale[name]
    ]
    assert bundle.load(str(own)).model in (own / "report" / "report.html").read_text(encoding="utf-8")


def edit_table(folder: Path) -> str:
    """Correct a label in the table of test photos."""
    table = folder / "test.csv"
    table.write_text(table.read_text().replace(",hat,", ",scarf,", 1))
    return "test.csv"


def write_metrics(folder: Path) -> str:
    """Write another program's metrics in the place of the bundle's."""
    (folder / "metrics.json").write_text(json.dumps({"visitors": 7}))
    return "metrics.json"


def write_history(folder: Path) -> str:
    """Write another table in the place of the bundle's history."""
    (folder / "history.csv").write_text("year,event\n1066,Hastings\n")
    return "history.csv"


def write_page(folder: Path) -> str:
    """Write another page in the place of the report."""
    (folder / "report" / "report.html").write_text("<title>Annual report</title>")
    return "report/report.html"


@pytest.mark.parametrize("change", [edit_table, write_metrics, write_history, write_page])
def test_the_users_own_files_are_never_replaced(
    change: Callable[[Path], str], own: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file of such a name that fmtag did not write ends a training before it begins, and stays when a bundle is written."""
    name = change(own)
    content, before = (own / name).read_bytes(), files_in(own)
    assert 1 == exit_code("retrain", "--data", photos, "--out", own, "--from", own, "--epochs", 1)
    lines = capsys.readouterr().err.strip().splitlines()
    assert 1 == len(lines)
    assert str(own / name) in lines[0]
    assert "--out" in lines[0]
    assert before == files_in(own)
    loaded = bundle.load(str(own))
    bundle.save(own, loaded.card, loaded.network())
    assert content == (own / name).read_bytes()


def test_files_without_a_bundle_stay(own: Path) -> None:
    """Where no bundle is replaced nothing is removed, and a folder behind a link is left alone."""
    loaded = bundle.load(str(own))
    (own / "card.json").unlink()
    before = files_in(own)
    bundle.save(own, loaded.card, loaded.network())
    assert before == files_in(own)
    report = own / "report"
    report.rename(own.parent / "elsewhere")
    report.symlink_to(own.parent / "elsewhere")
    remove_own(own)
    assert (own.parent / "elsewhere" / "report.html").is_file()
