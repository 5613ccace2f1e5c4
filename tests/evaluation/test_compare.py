"""Bundles held against each other: rows, spreads, ensembles, differences, and the files that say so."""
# ruff: noqa: SIM300 - what is expected stands first, as in every test here

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from sklearn.metrics import precision_recall_fscore_support

from tagger.cli.main import main
from tagger.data import fashion_mnist, splits
from tagger.data.images import Images
from tagger.data.labels import GROUPS, LABELS
from tagger.errors import BundleError
from tagger.evaluation.charts import costs
from tagger.evaluation.compare import Comparison, compare
from tagger.evaluation.comparison_report import comparison_as_csv, comparison_as_json, comparison_as_markdown
from tagger.evaluation.settings import CompareSettings
from tagger.inference.predictor import Predictor
from tagger.metrics.significance import mcnemar_p_value
from tagger.models import bundle
from tagger.models.card import Card
from tagger.models.config import NetworkConfig
from tagger.models.network import Network
from tagger.models.summary import count_parameters
from tagger.photos import product

pytestmark = pytest.mark.usefixtures("one_thread")

DRAWN = torch.from_numpy(np.random.default_rng(1).integers(0, 256, (60, 1, 28, 28), np.uint8))
TEST = Images(DRAWN, torch.arange(60) % 10)


@pytest.fixture(autouse=True)
def drawn_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fashion-MNIST is sixty drawn pictures, all of them held out."""
    monkeypatch.setattr(fashion_mnist, "load_fashion_mnist", lambda split, folder=None: TEST)
    monkeypatch.setattr(splits, "validation_split", lambda pictures: (pictures, pictures))


@pytest.fixture
def saved(tmp_path: Path) -> Callable[..., str]:
    """Return what writes a bundle and returns its folder."""

    def save(name: str, widths: tuple[int, ...] = (8, 16), seed: int = 0, **more: object) -> str:
        torch.manual_seed(seed + 100)
        config = NetworkConfig(widths=widths)
        options = {"recipe": {"seed": seed, "epochs": 3}, "labels": LABELS, "groups": GROUPS} | more
        card = Card(name=name, network=config, garment_version=product.VERSION, temperature=1.0, min_confidence=0.5, **options)
        bundle.save(tmp_path / name, card, Network(config).eval())
        return str(tmp_path / name)

    return save


def right(name: str) -> np.ndarray:
    """Return which of the pictures a bundle gets right."""
    return (bundle.load(name).network()(DRAWN).argmax(1) == TEST.labels).numpy()


def compared(*names: str) -> Comparison:
    return compare(CompareSettings(names), timed=False)


def test_bundles_of_one_recipe_are_a_row(saved: Callable[..., str]) -> None:
    """Bundles that differ in their seed alone share a row with mean and spread, and another as an ensemble; others none."""
    names = [saved("one", seed=0), saved("two", seed=1), saved("wide", (16, 16))]
    rows = {row["name"]: row for row in compared(*names).rows()}
    assert ["one, two", "2 x one", "wide"] == list(rows)
    shares = [right(name).mean() for name in names]
    assert np.mean(shares[:2]) == pytest.approx(rows["one, two"]["accuracy"], abs=1e-6)
    assert np.std(shares[:2], ddof=1) == pytest.approx(rows["one, two"]["accuracy_deviation"], abs=1e-6)
    assert shares[2] == pytest.approx(rows["wide"]["accuracy"], abs=1e-6)
    assert rows["wide"]["accuracy_deviation"] is None
    for cost in ("parameters", "macs", "bytes"):
        assert 2 * rows["one, two"][cost] == rows["2 x one"][cost]
    assert count_parameters(bundle.load(names[2]).network()) == rows["wide"]["parameters"]


def test_older_cards_are_of_the_same_recipe(saved: Callable[..., str]) -> None:
    """A bundle whose card is older than a setting shares a row with one that has the setting's default, and not with others."""
    names = [saved("old"), saved("new", seed=1, recipe={"seed": 1, "epochs": 3, "optimizer": "muon"})]
    other = saved("other", seed=2, recipe={"seed": 2, "epochs": 3, "optimizer": "adam"})
    assert ["old, new", "2 x old", "other"] == [row["name"] for row in compared(*names, other).rows()]


def test_an_ensemble_is_the_mean_of_what_its_members_say(saved: Callable[..., str]) -> None:
    """What the ensemble gets right is what the mean of the members' probabilities does."""
    names = [saved("one", seed=0), saved("two", seed=1)]
    said = torch.stack([bundle.load(name).network()(DRAWN).softmax(1) for name in names]).mean(0)
    expected = (said.argmax(1) == TEST.labels).float().mean().item()
    assert expected == pytest.approx(compared(*names).rows()[1]["accuracy"], abs=1e-6)


def test_macro_figures_are_scikit_learns(saved: Callable[..., str]) -> None:
    """Macro precision, recall and F1 are means over the classes."""
    name = saved("one")
    predicted = bundle.load(name).network()(DRAWN).argmax(1)
    expected = precision_recall_fscore_support(TEST.labels, predicted, average="macro", zero_division=0)[:3]
    (row,) = compared(name).rows()
    assert expected == pytest.approx([row[f"macro_{figure}"] for figure in ("precision", "recall", "f1")], abs=1e-5)


def test_differences_are_those_of_pictures(saved: Callable[..., str]) -> None:
    """Every two rows are held against each other by the pictures that only one of them gets right."""
    one, other = saved("one"), saved("wide", (16, 16))
    (row,) = compared(one, other).differences()
    first, second = right(one), right(other)
    counts = int((first & ~second).sum()), int((second & ~first).sum())
    assert ("one", "wide", *counts) == tuple(row[key] for key in ("first", "second", "only_first_right", "only_second_right"))
    assert mcnemar_p_value(first, second) == row["p"]


def test_mcnemar_is_exact() -> None:
    """Six pictures to none are twice a half to the sixth power; the same pictures are no difference."""
    first, second = np.ones(20, bool), np.ones(20, bool)
    assert 1.0 == mcnemar_p_value(first, second)
    second[:6] = False
    assert 2 * 0.5**6 == pytest.approx(mcnemar_p_value(first, second))
    assert mcnemar_p_value(first, second) == mcnemar_p_value(second, first)


def test_seconds_of_training_are_those_of_the_cards(saved: Callable[..., str]) -> None:
    """The mean of the seconds that the cards tell; none where they tell none, as older ones."""
    names = [
        saved("one", seed=0, metrics={"seconds": 10}),
        saved("two", seed=1, metrics={"seconds": 20}),
        saved("wide", (16, 16)),
    ]
    assert [15, 30, None] == [row["training_seconds"] for row in compared(*names).rows()]


def test_other_labels_are_refused(saved: Callable[..., str]) -> None:
    """A bundle with other labels than Fashion-MNIST is refused in one sentence."""
    labels = tuple("abcdefghij")
    name = saved("other", labels=labels, groups=dict.fromkeys(labels, "letters"))
    with pytest.raises(BundleError, match="other labels") as caught:
        compared(name)
    assert "\n" not in str(caught.value)


def test_a_bundle_given_twice_counts_once(saved: Callable[..., str]) -> None:
    """The same bundle given again is neither another seed nor another row."""
    one, two = saved("one", seed=0), saved("two", seed=1)
    assert compared(one, two).rows() == compared(one, two, one, two).rows()


def test_bundles_of_one_name_are_told_apart(saved: Callable[..., str], tmp_path: Path) -> None:
    """Different bundles whose cards give them the same name go by where they lie, and each is held against the others."""
    first, other = saved("one"), saved("wide", (16, 16))
    second = shutil.copytree(saved("one", seed=1), tmp_path / "elsewhere")
    saved("one")
    said = compared(first, str(second), other)
    assert [f"{first}, {second}", f"2 x {first}", "wide"] == [row["name"] for row in said.rows()]
    assert 3 == len(said.differences())


def test_speed_is_in_pictures_a_second(saved: Callable[..., str]) -> None:
    """The network is timed at each size of batches that is asked for."""
    speeds = Predictor(bundle.load(saved("one")), "cpu").images_per_second((1, 64), seconds=0.01)
    assert {1, 64} == set(speeds)
    assert all(speed > 0 for speed in speeds.values())


def test_files_say_the_same(saved: Callable[..., str]) -> None:
    """CSV, JSON and Markdown have a row a row; the chart is a picture, and the same bytes each time."""
    comparison = compared(saved("one", seed=0), saved("two", seed=1), saved("wide", (16, 16)))
    rows = comparison.rows()
    assert [row["accuracy"] for row in rows] == list(pd.read_csv(io.BytesIO(comparison_as_csv(comparison)))["accuracy"])
    assert {"rows": rows, "differences": comparison.differences()} == json.loads(comparison_as_json(comparison))
    lines = comparison_as_markdown(comparison, "fmtag compare one").splitlines()
    assert "`fmtag compare one`" in lines
    for row in rows:
        assert any(line.startswith(f"| {row['name']} |") and f"{100 * row['accuracy']:.2f}" in line for line in lines)
    drawn = costs(comparison.rows())
    assert drawn == costs(comparison.rows())
    assert "PNG" == Image.open(io.BytesIO(drawn)).format


def test_the_command(saved: Callable[..., str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`fmtag compare` prints the rows and writes what it is asked for; a file of another kind is exit 2 before any work."""
    names = [saved("one"), saved("wide", (16, 16))]
    files = {"--out": tmp_path / "rows.json", "--report": tmp_path / "rows.md", "--chart": tmp_path / "rows.png"}
    with pytest.raises(SystemExit) as caught:
        main(["compare", *names, *(str(part) for pair in files.items() for part in pair)])
    assert not caught.value.code
    assert "wide" in capsys.readouterr().out
    assert all(file.stat().st_size for file in files.values())
    speeds = [row["pictures_a_second_256"] for row in json.loads(files["--out"].read_text())["rows"]]
    assert all(speed > 0 for speed in speeds)
    with pytest.raises(SystemExit) as caught:
        main(["compare", *names, "--out", str(tmp_path / "rows.xlsx")])
    assert 2 == caught.value.code
    assert ".csv" in capsys.readouterr().err
