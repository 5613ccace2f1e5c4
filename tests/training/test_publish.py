"""A trained network becomes a bundle unless it is too weak, or worse than the bundle in its folder."""
# ruff: noqa: SIM300 - what is expected stands first, as in every test here

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import save_bundle
from pretrain_helpers import RECIPE, adapted_bundle
from pretrain_helpers import data as data  # a fixture that is used by its name

from tagger.data.labels import LABELS
from tagger.errors import TrainingError
from tagger.models import bundle
from tagger.models.config import NetworkConfig
from tagger.models.history import history
from tagger.models.network import Network
from tagger.training.pretrain import pretrain
from tagger.training.publish import Comparison, check_floor, check_regression
from tagger.training.settings import TrainSettings

SMALL = NetworkConfig((8, 16))
TWO_HEADS = replace(SMALL, photo_classes=11)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a trained bundle."""
    out = tmp_path_factory.mktemp("trained") / "bars"
    pretrain(TrainSettings(out, RECIPE))
    return out


def test_metrics_and_history_lie_beside_the_bundle(trained: Path) -> None:
    """`metrics.json` holds all metrics of both parts, the card the chief ones, `history.csv` a row per epoch."""
    metrics = json.loads((trained / "metrics.json").read_text())
    card = bundle.load(str(trained)).card
    for part in ("held_out", "test"):
        assert metrics[part]["per_class"].keys() == set(LABELS)
        assert card.metrics[part] == {name: metrics[part][name] for name in card.metrics[part]}
    assert [1, 2] == [epoch.epoch for epoch in history(str(trained))]
    assert not list(trained.glob("checkpoint*"))


def test_a_bundle_below_the_floor_is_refused(tmp_path: Path) -> None:
    """Below the floor no bundle is written, one sentence says so, and a lower floor accepts it without training again."""
    with pytest.raises(TrainingError, match=r"below the floor of 1\.0000.*--resume.*--floor") as caught:
        pretrain(TrainSettings(tmp_path, RECIPE, floor=1.0))
    assert "\n" not in str(caught.value)
    assert ["checkpoint.pt"] == [file.name for file in tmp_path.iterdir()]
    epochs: list[int] = []
    pretrain(TrainSettings(tmp_path, RECIPE, resume=True), lambda metrics: epochs.append(metrics.epoch))
    assert [] == epochs
    assert bundle.load(str(tmp_path)).card.name == tmp_path.name


def test_the_floor_itself_is_enough(tmp_path: Path) -> None:
    """An accuracy that equals the floor is accepted."""
    settings = TrainSettings(tmp_path, RECIPE, floor=0.9)
    check_floor(settings, 0.9)
    with pytest.raises(TrainingError):
        check_floor(settings, 0.8999)


def test_a_refused_bundle_leaves_the_old_one(trained: Path, tmp_path: Path) -> None:
    """A training that ends below the floor leaves the bundle that was in the folder as it was."""
    out = Path(shutil.copytree(trained, tmp_path / "copy"))
    before = bundle.load(str(out)).model
    with pytest.raises(TrainingError):
        pretrain(TrainSettings(out, RECIPE, floor=1.0))
    assert before == bundle.load(str(out)).model


def test_a_bundle_that_knows_photos_is_replaced_by_force_alone(tmp_path: Path) -> None:
    """Fashion-MNIST's images do not measure photos, so a bundle trained on photos is not replaced by one that is not."""
    out = save_bundle(tmp_path / "shop", TWO_HEADS)
    settings = TrainSettings(out, RECIPE, start=str(out))
    with pytest.raises(TrainingError, match=r"was trained on photos and the new bundle was not.*--force"):
        pretrain(settings)
    made = pretrain(replace(settings, resume=True, force=True)).bundle
    assert "photos" in made.card.metrics["forced"]


# The comparison with the bundle in the folder


Predictions = list[int]


def compared(out: Path, labels: tuple[str, ...], old: Predictions, new: Predictions, true: Predictions) -> Comparison:
    """Return a comparison on images of these true labels; the old bundle predicts numbers among its own labels."""
    save_bundle(out, SMALL)
    return Comparison(labels, np.array(true), np.array(new), lambda candidate: np.array(old))


def settings_of(out: Path, tolerance: float = 0.02, force: bool = False) -> TrainSettings:
    """Return settings that would replace the bundle in `out`."""
    return TrainSettings(out, RECIPE, tolerance=tolerance, force=force)


TRUE = [0] * 10 + [1] * 10


def test_an_equal_bundle_replaces_the_old_one(tmp_path: Path) -> None:
    """Right as often in all and in each class, by other images, the new bundle takes the old one's place."""
    old, new = [0] * 9 + [1] + [1] * 10, [1] + [0] * 9 + [1] * 10
    assert "" == check_regression(settings_of(tmp_path / "a"), compared(tmp_path / "a", LABELS, old, new, TRUE))


def test_one_image_less_is_worse(tmp_path: Path) -> None:
    """Right less often in all, the new bundle is refused with both accuracies, whatever the tolerance per class."""
    comparison = compared(tmp_path / "a", LABELS, TRUE, [1, *TRUE[1:]], TRUE)
    with pytest.raises(TrainingError, match=r"right are 0\.9500 instead of 1\.0000 of all") as caught:
        check_regression(settings_of(tmp_path / "a", tolerance=0.5), comparison)
    assert "--force" in str(caught.value)


@pytest.mark.parametrize(("tolerance", "refused"), [(0.0999, True), (0.1, False), (0.11, False)])
def test_a_class_may_lose_the_tolerance(tmp_path: Path, tolerance: float, refused: bool) -> None:
    """A class may be right less often by just the tolerance, where all in all nothing is lost."""
    old, new = [0] * 10 + [1] * 9 + [0], [0] * 9 + [1] + [1] * 10
    comparison = compared(tmp_path / "a", LABELS, old, new, TRUE)
    if refused:
        with pytest.raises(TrainingError, match=rf"0\.900 instead of 1\.000 of {LABELS[0]}"):
            check_regression(settings_of(tmp_path / "a", tolerance), comparison)
    else:
        assert "" == check_regression(settings_of(tmp_path / "a", tolerance), comparison)


def test_force_overrules_and_returns_the_reason(tmp_path: Path) -> None:
    """With `force` the reason is returned for the card instead of refused."""
    comparison = compared(tmp_path / "a", LABELS, TRUE, [1, *TRUE[1:]], TRUE)
    assert "instead of" in check_regression(settings_of(tmp_path / "a", force=True), comparison)


def test_an_old_bundle_is_judged_by_its_own_labels(tmp_path: Path) -> None:
    """Where the old bundle has the labels in another order, its predictions are compared by label, not by number."""
    shuffled = (*LABELS[1:], LABELS[0])
    number = {label: at for at, label in enumerate(shuffled)}
    true = [number[LABELS[at]] for at in TRUE]
    comparison = compared(tmp_path / "a", shuffled, TRUE, true, true)
    assert "" == check_regression(settings_of(tmp_path / "a"), comparison)


def remove_weights(out: Path) -> None:
    """Damage a bundle."""
    for file in out.glob("weights-*"):
        file.unlink()


@pytest.mark.parametrize(
    ("labels", "damage", "reason"),
    [
        (tuple("abcdefghij"), lambda out: None, "has other labels"),
        (LABELS, remove_weights, "So it cannot be compared"),
    ],
)
def test_what_cannot_be_compared_is_not_replaced(
    tmp_path: Path, labels: tuple[str, ...], damage: Callable[[Path], None], reason: str
) -> None:
    """A bundle of other labels, or a damaged one, is replaced by force alone."""
    comparison = compared(tmp_path / "a", labels, TRUE, TRUE, TRUE)
    damage(tmp_path / "a")
    with pytest.raises(TrainingError, match=reason):
        check_regression(settings_of(tmp_path / "a"), comparison)
    assert reason in check_regression(settings_of(tmp_path / "a", force=True), comparison)


def test_without_held_out_images_nothing_is_replaced(tmp_path: Path) -> None:
    """A network trained on everything replaces no bundle; in an empty folder it needs no comparison."""
    save_bundle(tmp_path / "a", SMALL)
    with pytest.raises(TrainingError, match="No images are held out"):
        check_regression(settings_of(tmp_path / "a"), None)
    assert "" == check_regression(settings_of(tmp_path / "b"), None)


def test_a_bundle_trained_on_everything_is_not_compared(tmp_path: Path) -> None:
    """The held-out images were training images of a bundle `--calibrated-by` another, so they do not measure it."""
    comparison = compared(tmp_path / "a", LABELS, TRUE, TRUE, TRUE)
    save_bundle(tmp_path / "a", SMALL, recipe={"calibrated_by": "bars@1+g2"})
    with pytest.raises(TrainingError, match="No images are held out"):
        check_regression(settings_of(tmp_path / "a"), comparison)


def test_an_adapted_bundle_is_judged_by_its_shops_labels(tmp_path: Path) -> None:
    """A bundle adapted to a shop, with the ten labels in another order, is compared by what it predicts as a whole."""
    out = adapted_bundle(tmp_path / "adapted", (*LABELS[1:], LABELS[0]))
    network = Network(SMALL)
    with torch.no_grad():
        network.head.weight.zero_()
        network.head.bias.copy_(torch.eye(10)[3] * 9)  # always the fourth label, a tenth of the images
    old = bundle.load(str(out))
    bundle.save(out, old.card, network, old.adapter)
    with pytest.raises(TrainingError, match="worse than") as caught:
        pretrain(TrainSettings(out, replace(RECIPE, muon_lr=1e-9, sgd_lr=1e-9), tolerance=0.5))
    assert "instead of 1.000 of Dress" in str(caught.value)
