"""Comparisons have a row per family and per ensemble, with the metrics that counting gives."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from compare_helpers import IMAGES, SaveBundle, predicted_right
from sklearn.metrics import precision_recall_fscore_support

from tagger.errors import BundleError
from tagger.evaluation.compare import Comparison, compare
from tagger.evaluation.settings import CompareSettings
from tagger.inference.network_runner import NetworkRunner
from tagger.inference.predictor import Predictor
from tagger.metrics.significance import mcnemar_p_value
from tagger.models import bundle
from tagger.models.summary import count_parameters

pytestmark = pytest.mark.usefixtures("one_thread", "random_fashion_mnist")

SOME_LABELS = tuple("abcdefghij")


def compared(*names: str) -> Comparison:
    return compare(CompareSettings(names), timed=False)


def test_bundles_of_one_recipe_are_a_row(save: SaveBundle) -> None:
    """Bundles that differ in their seed alone share a row with mean and spread, and another as an ensemble; others none."""
    names = [save("one", seed=0), save("two", seed=1), save("wide", (16, 16))]
    rows = {row["name"]: row for row in compared(*names).rows()}
    assert list(rows) == ["one, two", "2 x one", "wide"]
    shares = [predicted_right(name).mean() for name in names]
    assert rows["one, two"]["accuracy"] == pytest.approx(np.mean(shares[:2]), abs=1e-6)
    assert rows["one, two"]["accuracy_deviation"] == pytest.approx(np.std(shares[:2], ddof=1), abs=1e-6)
    assert rows["wide"]["accuracy"] == pytest.approx(shares[2], abs=1e-6)
    assert rows["wide"]["accuracy_deviation"] is None
    for cost in ("parameters", "macs", "bytes"):
        assert rows["2 x one"][cost] == 2 * rows["one, two"][cost]
    assert rows["wide"]["parameters"] == count_parameters(bundle.load(names[2]).network())


def test_older_cards_are_of_the_same_recipe(save: SaveBundle) -> None:
    """A bundle whose card is older than a setting shares a row with one that has the setting's default, and not with others."""
    names = [save("old"), save("new", seed=1, recipe={"seed": 1, "epochs": 3, "optimizer": "muon"})]
    other = save("other", seed=2, recipe={"seed": 2, "epochs": 3, "optimizer": "adam"})
    assert [row["name"] for row in compared(*names, other).rows()] == ["old, new", "2 x old", "other"]


def test_an_ensemble_averages_probabilities(save: SaveBundle) -> None:
    """The ensemble's predictions are those of the mean of the members' probabilities."""
    names = [save("one", seed=0), save("two", seed=1)]
    probabilities = torch.stack([bundle.load(name).network()(IMAGES.pixels).softmax(1) for name in names]).mean(0)
    expected = (probabilities.argmax(1) == IMAGES.labels).float().mean().item()
    assert compared(*names).rows()[1]["accuracy"] == pytest.approx(expected, abs=1e-6)


def test_macro_metrics_are_scikit_learns(save: SaveBundle) -> None:
    """Macro precision, recall and F1 are means over the classes."""
    name = save("one")
    predicted = bundle.load(name).network()(IMAGES.pixels).argmax(1)
    expected = precision_recall_fscore_support(IMAGES.labels, predicted, average="macro", zero_division=0)[:3]
    (row,) = compared(name).rows()
    assert [row[f"macro_{metric}"] for metric in ("precision", "recall", "f1")] == pytest.approx(expected, abs=1e-5)


def test_differences_are_those_of_images(save: SaveBundle) -> None:
    """Every two rows are compared by the images that only one of them predicts right."""
    one, other = save("one"), save("wide", (16, 16))
    (row,) = compared(one, other).differences()
    first, second = predicted_right(one), predicted_right(other)
    counts = int((first & ~second).sum()), int((second & ~first).sum())
    assert tuple(row[key] for key in ("first", "second", "only_first_right", "only_second_right")) == ("one", "wide", *counts)
    assert row["p"] == mcnemar_p_value(first, second)


def test_seconds_of_training_are_those_of_the_cards(save: SaveBundle) -> None:
    """The mean of the seconds on the cards, twice that for an ensemble of two; none where no card has them."""
    names = [save("one", seed=0, metrics={"seconds": 10}), save("two", seed=1, metrics={"seconds": 20}), save("wide", (16, 16))]
    assert [row["training_seconds"] for row in compared(*names).rows()] == [15, 30, None]


def test_other_labels_are_refused(save: SaveBundle) -> None:
    """A bundle with other labels than Fashion-MNIST is refused in one sentence."""
    with pytest.raises(
        BundleError, match=r"^other@.* has other labels .* compare bundles with the labels T-shirt/top, "
    ) as caught:
        compared(save("other", labels=SOME_LABELS, groups=dict.fromkeys(SOME_LABELS, "letters")))
    assert "\n" not in str(caught.value)


def test_other_labels_below_an_adapter_are_refused(save: SaveBundle) -> None:
    """An adapted bundle of the ten labels is refused where its network, which is what is measured, has others."""
    name = save("adapted")
    card = json.loads((Path(name) / "card.json").read_text())
    (Path(name) / "card.json").write_text(json.dumps(card | {"taught_groups": dict.fromkeys(SOME_LABELS, "letters")}))
    with pytest.raises(BundleError, match=r"^The network of adapted@.* has other labels"):
        compared(name)


def test_a_bundle_given_twice_counts_once(save: SaveBundle) -> None:
    """The same bundle given again is neither another seed nor another row."""
    one, two = save("one", seed=0), save("two", seed=1)
    assert compared(one, two, one, two).rows() == compared(one, two).rows()


def test_bundles_of_one_name_are_told_apart(save: SaveBundle, tmp_path: Path) -> None:
    """Different bundles whose cards give them the same name go by their folders, and each is compared with the others."""
    first, other = save("one"), save("wide", (16, 16))
    second = shutil.copytree(save("one", seed=1), tmp_path / "elsewhere")
    save("one")
    comparison = compared(first, str(second), other)
    assert [row["name"] for row in comparison.rows()] == [f"{first}, {second}", f"2 x {first}", "wide"]
    assert len(comparison.differences()) == 3


def test_speed_is_in_images_per_second(save: SaveBundle) -> None:
    """The network is timed at each of the batch sizes."""
    speeds = Predictor(bundle.load(save("one")), "cpu").open().images_per_second((1, 64), seconds=0.01)
    assert set(speeds) == {1, 64}
    assert all(speed > 0 for speed in speeds.values())


def test_speed_stands_in_the_rows(save: SaveBundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each row has the speed of its family, and an ensemble of two half of it."""
    timed: Callable[..., dict[int, float]] = lambda self, batches: dict.fromkeys(batches, 1000.4)  # noqa: E731
    monkeypatch.setattr(NetworkRunner, "images_per_second", timed)
    rows = compare(CompareSettings((save("one", seed=0), save("two", seed=1)))).rows()
    assert [row["pictures_a_second_256"] for row in rows] == [1000, 500]
