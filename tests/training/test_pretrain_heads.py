"""Bundles that a training begins with or learns from: their labels and heads are checked before any work."""
# ruff: noqa: SIM300 - what is expected stands first, as in every test here

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers import save_bundle
from pretrain_helpers import RECIPE
from pretrain_helpers import data as data  # a fixture that is used by its name
from training_helpers import folder_of

from tagger.cli.main import main
from tagger.data import fashion_mnist, photo_dataset
from tagger.data.labels import LABELS
from tagger.errors import TrainingError
from tagger.models import bundle
from tagger.models.adapter import ShopAdapter
from tagger.models.config import NetworkConfig
from tagger.models.network import Network
from tagger.training.pretrain import pretrain
from tagger.training.settings import TrainSettings

SMALL = NetworkConfig((8, 16))
TWO_HEADS = replace(SMALL, photo_classes=11)
SHUFFLED = (*LABELS[1:], LABELS[0])


def relabelled(folder: Path, labels: tuple[str, ...], config: NetworkConfig = SMALL) -> Path:
    """Save a small bundle with labels of its own, and return its folder."""
    card = bundle.load(str(save_bundle(folder, SMALL))).card
    network = Network(replace(config, classes=len(labels)))
    named = replace(card, labels=labels, groups=dict.fromkeys(labels, "other"), network=network.config)
    bundle.save(folder, named, network)
    return folder


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """Return the one sentence with which the command ends, having done nothing; the data must not even be opened."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fashion_mnist, "load_fashion_mnist", None)
        patch.setattr(photo_dataset, "load_photos", None)
        with pytest.raises(SystemExit) as caught:
            main([*map(str, arguments)])
    said = capsys.readouterr().err.strip()
    assert 1 == caught.value.code, said
    assert 1 == len(said.splitlines())
    return said


@pytest.mark.parametrize("option", ["--from", "--distill-from", "--mix catalog --from"])
@pytest.mark.parametrize("labels", [("hat", "scarf"), SHUFFLED, tuple("abcdefghij")])
def test_other_labels_are_refused(
    option: str, labels: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Training on Fashion-MNIST neither begins with a bundle of other labels, or another order of them, nor learns from one."""
    other = relabelled(tmp_path / "other", labels)
    said = refusal(capsys, "retrain", "--out", tmp_path / "new", "--epochs", 1, *option.split(), other)
    assert "other@" in said
    assert option.split()[-1] in said
    assert ("another order" in said) == (labels == SHUFFLED)
    assert not (tmp_path / "new").exists()


def test_tune_refuses_a_teacher_of_other_labels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A search does not begin with a teacher of other labels."""
    other = relabelled(tmp_path / "other", SHUFFLED)
    said = refusal(capsys, "tune", "--out", tmp_path / "recipe.json", "--distill-from", other)
    assert "another order" in said
    assert not (tmp_path / "recipe.sqlite").exists()


def test_own_photos_refuse_a_teacher_before_they_are_opened(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For labelled photos of one's own, too, a teacher of other labels, or with a head for photos, is refused at once."""
    photos = folder_of(tmp_path / "photos", 3)
    for teacher, part in (
        (relabelled(tmp_path / "other", ("scarf", "hat")), "another order"),
        (relabelled(tmp_path / "two", ("hat", "scarf"), replace(SMALL, classes=2, photo_classes=3)), "a head of its own"),
        ("catalog", "its labels are"),
    ):
        said = refusal(capsys, "retrain", "--data", photos, "--out", tmp_path / "new", "--distill-from", teacher)
        assert part in said
        assert "cannot teach hat, scarf" in said


def test_what_a_shop_has_taught_teaches_nobody(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A bundle from `adapt` answers by more than its network, which alone would teach, so it is refused."""
    taught = taught_by_a_shop(tmp_path / "taught")
    said = refusal(capsys, "retrain", "--out", tmp_path / "new", "--epochs", 1, "--distill-from", taught)
    assert "a shop has taught it" in said


def test_the_mix_needs_a_head_that_knows_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A start whose head for photos lacks the class "none of these" is refused before any work, not after the mix is made."""
    start = save_bundle(tmp_path / "ten", replace(SMALL, photo_classes=10))
    said = refusal(capsys, "retrain", "--out", tmp_path / "new", "--mix", "catalog", "--from", start)
    assert "its head for photos" in said


def test_fashion_mnist_alone_leaves_no_head_for_photos(tmp_path: Path) -> None:
    """A bundle that begins with one for photos has after Fashion-MNIST alone just the head that was trained."""
    start = save_bundle(tmp_path / "start", TWO_HEADS, photo_temperature=2.0)
    made = pretrain(TrainSettings(tmp_path / "new", RECIPE, start=str(start))).bundle
    assert (SMALL, 1.0) == (made.card.network, made.card.photo_temperature)
    assert not [name for name in made.weights if name.startswith("photo_head")]
    gentle = replace(RECIPE, muon_lr=1e-9, sgd_lr=1e-9, ema_decay=0.0)
    kept = pretrain(TrainSettings(tmp_path / "same", gentle, start=str(start))).bundle
    assert torch.allclose(bundle.load(str(start)).weights["head.weight"], kept.weights["head.weight"], atol=1e-3)


def test_a_bundle_that_knows_photos_is_not_replaced_unasked(tmp_path: Path) -> None:
    """Fashion-MNIST's held-out pictures tell nothing of photos, so a bundle that knows these is replaced by force alone."""
    out = save_bundle(tmp_path / "shop", TWO_HEADS)
    settings = TrainSettings(out, RECIPE, start=str(out))
    with pytest.raises(TrainingError, match="has learnt photos and the new bundle has not"):
        pretrain(settings)
    made = pretrain(replace(settings, resume=True, force=True)).bundle
    assert "photos" in made.card.metrics["forced"]


def test_a_shops_bundle_is_judged_by_its_own_labels(tmp_path: Path) -> None:
    """A bundle with the ten labels in a shop's order is not taken for one that says the wrong ones."""
    out = taught_by_a_shop(tmp_path / "taught", SHUFFLED)
    network = Network(SMALL)
    with torch.no_grad():
        network.head.weight.zero_()
        network.head.bias.copy_(torch.eye(10)[3] * 9)  # always the fourth label, a tenth of the pictures
    old = bundle.load(str(out))
    bundle.save(out, old.card, network, old.shop)
    with pytest.raises(TrainingError, match="worse than") as caught:
        pretrain(TrainSettings(out, replace(RECIPE, muon_lr=1e-9, sgd_lr=1e-9), tolerance=0.5))
    assert "instead of 1.000 of Dress" in str(caught.value)


def taught_by_a_shop(folder: Path, labels: tuple[str, ...] = LABELS) -> Path:
    """Save a bundle to which a shop has taught labels that mean what the network's own of these names do."""
    loaded = bundle.load(str(save_bundle(folder, SMALL)))
    order = torch.tensor([LABELS.index(label) for label in labels] + [10])
    d, ends = 16 * 4 + 8 * 9, len(labels) + 1
    shop = ShopAdapter(
        centre=torch.zeros(d),
        spread=torch.ones(d),
        translation=torch.eye(11)[:, order],
        weight=torch.zeros(d, ends),
        bias=torch.zeros(ends),
        memory=torch.zeros(1, d, dtype=torch.float16),
        said=torch.full((1, ends), 1 / ends, dtype=torch.float16),
    )
    card = replace(loaded.card, labels=labels, taught_groups=loaded.card.network_groups, parent="small@0+g1")
    bundle.save(folder, card, loaded.network(), shop)
    return folder
