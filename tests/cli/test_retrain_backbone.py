"""`fmtag retrain --backbone` fuses a network with a backbone; options of a training do not apply, and are refused."""

from pathlib import Path

import pytest
from fusion_helpers import tiny_onnx
from helpers import Result, assert_one_sentence, run_cli
from home_photos import little_data, write_home

from tagger.models.bundle import load

__all__ = ["little_data"]

pytestmark = pytest.mark.usefixtures("one_thread", "little_data")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of labelled photos, beside which lies a backbone."""
    folder = write_home(tmp_path_factory.mktemp("photos"))
    (folder.parent / "tiny.onnx").write_bytes(tiny_onnx())
    return folder


def retrain(home: Path, out: Path, *options: str | Path) -> Result:
    """Run the command with a backbone and further options."""
    return run_cli("retrain", "--out", out, "--backbone", home.parent / "tiny.onnx", *options)


def test_a_bundle_is_written_and_measured(home: Path, photo_bundle: Path, tmp_path: Path) -> None:
    """The last line names the bundle and its accuracy; standard error tells how many pictures were used; `run` uses it."""
    out = tmp_path / "both"
    result = retrain(home, out, "--mix", "catalog", "--photos", home, "--from", photo_bundle, "--name", "mine", "--seed", "3")
    assert result.code == 0, result.err
    assert "pictures to learn from, 54 to calibrate on" in result.err
    loaded = load(out)
    assert result.out.startswith(f"{loaded.model} is written to {out}: macro accuracy ")
    assert result.out.endswith(f" Measure it: fmtag evaluate PHOTOS --model {out}\n")
    assert (loaded.card.name, loaded.card.recipe["backbone"]["seed"]) == ("mine", 3)
    tagged = run_cli("run", home, "--model", out, "--out", tmp_path / "tags.csv")
    assert tagged.code in (0, 3), tagged.err
    assert loaded.model in (tmp_path / "tags.csv").read_text()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ((), "--backbone needs --mix catalog and --photos DIR"),
        (("--mix", "catalog"), "--backbone needs --mix catalog and --photos DIR"),
        (("--photos", "HOME"), "--backbone needs --mix catalog and --photos DIR"),
        (("--mix", "catalog", "--photos", "HOME", "--epochs", "3"), "--epochs does not apply with --backbone"),
        (("--mix", "catalog", "--photos", "HOME", "--lr", "1", "--resume"), "does not apply with --backbone"),
        (("--mix", "catalog", "--photos", "HOME", "--network", "tiny"), "--network does not apply with --backbone"),
        (("--mix", "catalog", "--photos", "HOME", "--recipe", "original"), "--recipe does not apply with --backbone"),
    ],
)
def test_options_that_do_not_apply_are_refused(home: Path, tmp_path: Path, options: tuple[str, ...], reason: str) -> None:
    """In one sentence that names them, before anything is read."""
    given = [str(home) if option == "HOME" else option for option in options]
    assert_one_sentence(retrain(home, tmp_path / "both", *given), 2, reason)
    assert not (tmp_path / "both").exists()


def test_a_file_that_is_no_backbone_is_refused(home: Path, photo_bundle: Path, tmp_path: Path) -> None:
    """One sentence with the remedy."""
    options = ("--mix", "catalog", "--photos", home, "--from", photo_bundle, "--out", tmp_path / "both")
    result = run_cli("retrain", "--backbone", home / "labels.csv", *options)
    assert_one_sentence(result, 1, "is no backbone that fmtag can use", "an ONNX file.")
    assert not (tmp_path / "both").exists()


def test_folders_of_others_are_not_replaced(home: Path, photo_bundle: Path, tmp_path: Path) -> None:
    """A card of another program stays."""
    (tmp_path / "card.json").write_text('{"kind": "recipe card"}')
    result = retrain(home, tmp_path, "--mix", "catalog", "--photos", home, "--from", photo_bundle)
    assert_one_sentence(result, 1, "is no fmtag card and would be replaced")
    assert (tmp_path / "card.json").read_text() == '{"kind": "recipe card"}'
