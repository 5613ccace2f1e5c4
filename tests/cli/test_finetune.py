"""`fmtag finetune` and its alias `fmtag retrain --data`: one code path, the same bundle, refusals in one sentence."""

import json
from pathlib import Path
from typing import Any

import pytest
from helpers import Result, RunCli, assert_one_sentence, rows_of, save_bundle
from training_helpers import folder_of

from tagger.models import bundle
from tagger.models.config import NetworkConfig

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with `photos` of hats and scarves, and with a small untrained bundle `start`."""
    root = tmp_path_factory.mktemp("shop")
    folder_of(root / "photos")
    save_bundle(root / "start", NetworkConfig((8, 16)))
    return root


def trained(cli: RunCli, shop: Path, out: Path, *command: str | Path) -> tuple[Result, dict[str, Any]]:
    """Run a training with the same options, and return how it ended and the card without the seconds that it took."""
    result = cli(
        *command, "--out", out, "--name", "hats", "--from", shop / "start", "--epochs", "2", "--seed", "3", "--lr", "0.05"
    )
    assert result.code == 0, result.err
    card = json.loads((out / "card.json").read_text(encoding="utf-8"))
    assert card["figures"].pop("seconds") >= 0
    return result, card


@pytest.mark.slow
def test_the_command_and_its_alias_write_the_same_bundle(cli: RunCli, shop: Path, tmp_path: Path) -> None:
    """`fmtag finetune PHOTOS` and `fmtag retrain --data PHOTOS` write the same weights, card and list of test photos."""
    first, card = trained(cli, shop, tmp_path / "first", "finetune", shop / "photos")
    second, twin = trained(cli, shop, tmp_path / "second", "retrain", "--data", shop / "photos")
    assert card == twin
    for pattern in ("weights-*.safetensors", "test.csv", "metrics.json"):
        (one,), (other,) = (list((tmp_path / name).glob(pattern)) for name in ("first", "second"))
        assert (one.name, one.read_bytes()) == (other.name, other.read_bytes())
    assert first.out.replace("/first/", "/second/") == second.out
    assert "held_out  accuracy" in first.out
    page = (tmp_path / "first" / "report" / "report.html").read_text(encoding="utf-8")
    assert f"fmtag finetune {shop / 'photos'}" in page


def test_the_bundle_has_the_labels_and_the_options(cli: RunCli, shop: Path, tmp_path: Path) -> None:
    """The card holds the labels of the photos and the recipe of the options; the test photos are a table beside it."""
    options = ["--epochs", "1", "--patience", "4", "--augment", "flip", "--batch-size", "8", "--no-class-weights"]
    result = cli("finetune", shop / "photos", "--out", tmp_path / "new", "--network", "linear-conv", *options)
    assert result.code == 0, result.err
    card = bundle.load(str(tmp_path / "new")).card
    assert card.labels == ("hat", "scarf")
    assert card.recipe["network"] == "linear-conv"
    assert card.recipe["patience"] == 4
    assert card.recipe["batch_size"] == 8
    assert card.recipe["class_weighted"] is False
    assert {row["label"] for row in rows_of(tmp_path / "new" / "test.csv")} == {"hat", "scarf"}


@pytest.mark.parametrize(
    ("options", "code", "parts"),
    [
        (["--network", "tiny", "--from", "base"], 2, ["--network", "--from"]),
        (["--pretrained", "{photos}/hat/000.png"], 2, ["--pretrained", "--network", "resnet18"]),
        (["--network", "tiny", "--pretrained", "{photos}/hat/000.png"], 2, ["--pretrained", "resnet18"]),
        (["--mix", "catalog"], 2, ["--mix"]),
        (["--recipe", "original"], 2, ["--recipe"]),
        (["--calibrated-by", "base"], 2, ["--calibrated-by"]),
        (["--augment", "rotate"], 2, ["--augment", "'rotate'", "flip, shift, cutout"]),
        (["--epochs", "0"], 2, ["--epochs"]),
        (["--lr", "nan"], 2, ["--lr", "nan"]),
        (["--from", "nobody"], 1, ["There is no bundle 'nobody'"]),
        (["--name", "default"], 1, ["name"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_uses_are_one_sentence(
    cli: RunCli, shop: Path, tmp_path: Path, options: list[str], code: int, parts: list[str]
) -> None:
    """Contradictory, unknown and impossible options are named before any photo is read, and nothing is written."""
    given = [option.format(photos=shop / "photos") for option in options]
    assert_one_sentence(cli("finetune", shop / "photos", "--out", tmp_path / "new", *given), code, *parts)
    assert not (tmp_path / "new").exists()


def test_photos_that_cannot_be_used(cli: RunCli, shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing source, a folder without classes and Fashion-MNIST's own files are one sentence with the remedy."""
    out = ("--out", tmp_path / "new")
    assert_one_sentence(cli("finetune", *out), 2, "PHOTOS")
    assert_one_sentence(cli("finetune", shop / "photos"), 2, "--out")
    assert_one_sentence(cli("finetune", tmp_path / "none", *out), 1, "There is no ")
    assert_one_sentence(cli("finetune", shop / "photos" / "hat", *out), 1, "subfolder")
    monkeypatch.setattr("tagger.data.fashion_mnist.contains_fashion_mnist", lambda folder: True)
    assert_one_sentence(cli("finetune", tmp_path, *out), 2, "`fmtag retrain --data`")
    assert not (tmp_path / "new").exists()
