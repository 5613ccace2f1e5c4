"""`fmtag retrain` on Fashion-MNIST: what the command prints, writes and refuses."""
# ruff: noqa: SIM300 - what is expected stands first, as in every test here

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers import save_bundle
from pretrain_helpers import bars, product_images
from pretrain_helpers import data as data  # a fixture that is used by its name

from tagger.cli.main import main
from tagger.inference.predictor import Predictor
from tagger.models import bundle
from tagger.models.config import NetworkConfig
from tagger.training.recipes import SHAPES


def test_the_command_reports_each_epoch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command prints metrics and time left after each epoch, and the bundle's test accuracy at the end."""
    options = "--network linear-conv --epochs 2 --batch-size 50 --seed 5 --floor 0"
    with pytest.raises(SystemExit) as caught:
        main(["retrain", "--out", str(tmp_path / "new"), *options.split()])
    assert not caught.value.code
    printed = "".join(capsys.readouterr())
    assert "epoch 1/2" in printed
    assert "epoch 2/2" in printed
    assert "left" in printed
    card = json.loads((tmp_path / "new" / "card.json").read_text())
    assert 5 == card["recipe"]["seed"]
    assert f"{card['figures']['test']['accuracy']:.4f}" in printed


@pytest.mark.slow
def test_the_command_trains_an_ensemble(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--ensemble` writes one bundle of several networks, `--augment` sets the augmentations, and a report lies beside it."""
    options = "--network tiny --distill-from base --epochs 1 --batch-size 50 --floor 0 --ensemble 2 --augment flip,cutout"
    with pytest.raises(SystemExit) as caught:
        main(["retrain", "--out", str(tmp_path / "new"), *options.split()])
    assert not caught.value.code
    made = bundle.load(str(tmp_path / "new"))
    recipe = made.card.recipe
    assert (2, replace(SHAPES["tiny"], members=2)) == (recipe["ensemble"], made.card.network)
    assert (True, 0, 0.5) == (recipe["alternating_flip"], recipe["shift"], recipe["cycles"][0]["cutout_probability"])
    assert np.allclose(1, Predictor(made, "cpu")(product_images(bars(10))).sum(axis=1), atol=1e-5)
    report = tmp_path / "new" / "report" / "report.html"
    assert str(report) in capsys.readouterr().out
    assert made.model in report.read_text()
    assert [] == list((tmp_path / "new").glob("checkpoint*"))
    with (tmp_path / "new" / "history.csv").open() as file:
        assert ["1", "2"] == [row["epoch"] for row in csv.DictReader(file)]


def test_a_folder_named_like_the_test_set_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The report is of the test set, also where a folder of its name lies in the working folder."""
    (tmp_path / "fashion-mnist").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as caught:
        main(["retrain", "--out", "new", *"--network linear-conv --epochs 1 --batch-size 50 --floor 0".split()])
    assert not caught.value.code
    assert (tmp_path / "new" / "report" / "report.html").exists()


def test_another_network_by_its_own_recipe(tmp_path: Path) -> None:
    """A network of another project, trained by that project's recipe, is a bundle that predicts probabilities."""
    options = "--network linear-conv --recipe original --epochs 1 --batch-size 20 --lr 0.002 --floor 0"
    with pytest.raises(SystemExit) as caught:
        main(["retrain", "--out", str(tmp_path / "new"), *options.split()])
    assert not caught.value.code
    made = bundle.load(str(tmp_path / "new"))
    assert ("plain", 0.002, "adam", 20) == (
        made.card.network.family,
        *(made.card.recipe[name] for name in ("sgd_lr", "optimizer", "batch_size")),
    )
    printed = Predictor(made, "cpu")(product_images(bars(5)))
    assert np.allclose(1, printed.sum(1), atol=1e-4)


def test_the_command_trains_a_named_network_from_teachers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--network` trains that shape, distilling the bundles named; the card names them, and an unknown one is refused."""
    teachers = [str(save_bundle(tmp_path / name, NetworkConfig(widths=(8, 16)))) for name in ("one", "other")]
    options = ["--network", "tiny", "--epochs", "1", "--batch-size", "50", "--floor", "0"]
    arguments = ["retrain", "--out", str(tmp_path / "new"), *options, "--distill-from", teachers[0], "--distill-from"]
    with pytest.raises(SystemExit) as caught:
        main([*arguments, str(tmp_path / "nobody")])
    assert 1 == caught.value.code
    assert "nobody" in capsys.readouterr().err
    with pytest.raises(SystemExit) as caught:
        main([*arguments, teachers[1]])
    assert not caught.value.code
    card = bundle.load(str(tmp_path / "new")).card
    assert SHAPES["tiny"] == card.network
    assert ("tiny", [bundle.load(name).model for name in teachers]) == (card.recipe["network"], card.recipe["teachers"])


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["--photos", "."], "--photos"),
        (["--photos", ".", "--mix", "fashion-mnist"], "--mix catalog"),
        (["--photos", "nowhere", "--mix", "catalog"], "--photos"),
        (["--mix", "everything"], "--mix"),
        (["--network", "huge"], "'base', 'tiny', 'residual'"),
        (["--network", "tiny", "--start", "base"], "--network"),
        (["--network", "tiny", "--mix", "catalog"], "--network"),
        (["--distill-from", "base", "--mix", "catalog"], "--distill-from"),
        (["--ensemble", "2", "--mix", "catalog"], "--ensemble"),
        (["--ensemble", "0"], "--ensemble"),
        (["--augment", "flip,twist"], "'twist'"),
        (["--pretrained", "nowhere.pth", "--network", "resnet18"], "--pretrained"),
        (["--pretrained", __file__, "--network", "tiny"], "resnet18, mobilenet-v3, efficientnet-b0"),
        (["--pretrained", __file__], "resnet18, mobilenet-v3, efficientnet-b0"),
    ],
)
def test_wrong_usage_is_exit_2(tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], part: str) -> None:
    """Options that contradict each other, and unknown mixes or networks, are exit 2, and nothing is written."""
    with pytest.raises(SystemExit) as caught:
        main(["retrain", "--out", str(tmp_path / "new"), *options])
    assert 2 == caught.value.code
    assert part in capsys.readouterr().err.strip().splitlines()[-1]
    assert not (tmp_path / "new").exists()
