"""Bundles that a training starts from or distils: labels and heads are checked before any work."""
# ruff: noqa: SIM300 - what is expected stands first, as in every test here

from dataclasses import replace
from pathlib import Path

import pytest
from helpers import save_bundle
from pretrain_helpers import adapted_bundle
from training_helpers import folder_of

from tagger.cli.main import main
from tagger.data import fashion_mnist, photo_dataset
from tagger.data.labels import LABELS
from tagger.errors import TrainingError
from tagger.models import bundle
from tagger.models.card import read
from tagger.models.config import NetworkConfig
from tagger.models.network import Network
from tagger.training.compatibility import check_start, check_teacher, listed

SMALL = NetworkConfig((8, 16))
SHUFFLED = (*LABELS[1:], LABELS[0])


def relabelled(folder: Path, labels: tuple[str, ...], config: NetworkConfig = SMALL) -> Path:
    """Save a small bundle with labels of its own, and return its folder."""
    card = bundle.load(str(save_bundle(folder, SMALL))).card
    network = Network(replace(config, classes=len(labels)))
    named = replace(card, labels=labels, groups=dict.fromkeys(labels, "other"), network=network.config)
    bundle.save(folder, named, network)
    return folder


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """Return the one sentence with which the command ends before it opens any data."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fashion_mnist, "load_fashion_mnist", None)
        patch.setattr(photo_dataset, "load_photos", None)
        with pytest.raises(SystemExit) as caught:
            main([*map(str, arguments)])
    message = capsys.readouterr().err.strip()
    assert 1 == caught.value.code, message
    assert 1 == len(message.splitlines())
    return message


@pytest.mark.parametrize("option", ["--from", "--distill-from", "--mix catalog --from"])
@pytest.mark.parametrize("labels", [("hat", "scarf"), SHUFFLED, tuple("abcdefghij")])
def test_other_labels_are_refused(
    option: str, labels: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Training on Fashion-MNIST neither starts from a bundle of other labels, or another order of them, nor distils one."""
    other = relabelled(tmp_path / "other", labels)
    message = refusal(capsys, "retrain", "--out", tmp_path / "new", "--epochs", 1, *option.split(), other)
    assert "other@" in message
    assert option.split()[-1] in message
    assert ("another order" in message) == (labels == SHUFFLED)
    assert not (tmp_path / "new").exists()


def test_tune_refuses_a_teacher_of_other_labels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A search does not begin with a teacher of other labels."""
    other = relabelled(tmp_path / "other", SHUFFLED)
    message = refusal(capsys, "tune", "--out", tmp_path / "recipe.json", "--distill-from", other)
    assert "another order" in message
    assert not (tmp_path / "recipe.sqlite").exists()


def test_teachers_are_refused_before_photos_are_opened(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For labelled photos, too, a teacher of other labels, or with a head for photos, is refused at once."""
    photos = folder_of(tmp_path / "photos", 3)
    for teacher, part in (
        (relabelled(tmp_path / "other", ("scarf", "hat")), "another order"),
        (relabelled(tmp_path / "two", ("hat", "scarf"), replace(SMALL, classes=2, photo_classes=3)), "a head of its own"),
        ("catalog", "its labels are"),
    ):
        message = refusal(capsys, "retrain", "--data", photos, "--out", tmp_path / "new", "--distill-from", teacher)
        assert part in message
        assert "cannot teach hat, scarf" in message


def test_adapted_bundles_are_no_teachers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A bundle from `adapt` predicts by more than its network, which alone would be distilled, so it is refused."""
    adapted = adapted_bundle(tmp_path / "adapted")
    message = refusal(capsys, "retrain", "--out", tmp_path / "new", "--epochs", 1, "--distill-from", adapted)
    assert "it is adapted to a shop" in message


def test_the_mix_needs_a_class_for_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A start whose head for photos lacks the class "none of these" is refused before the mix is made."""
    start = save_bundle(tmp_path / "ten", replace(SMALL, photo_classes=10))
    message = refusal(capsys, "retrain", "--out", tmp_path / "new", "--mix", "catalog", "--from", start)
    assert "its head for photos" in message


def test_fitting_bundles_are_accepted(tmp_path: Path) -> None:
    """A bundle of the same labels may start and teach; one with a head for photos may start the mix."""
    one = read(save_bundle(tmp_path / "one", SMALL))
    two = read(save_bundle(tmp_path / "two", replace(SMALL, photo_classes=11)))
    check_start(one, LABELS)
    check_start(one, LABELS, 11)
    check_start(two, LABELS)
    check_start(two, LABELS, 11)
    check_teacher(one.model, one.card, LABELS, of_photos=True)
    check_teacher(two.model, two.card, LABELS)
    with pytest.raises(TrainingError, match="a head of its own"):
        check_teacher(two.model, two.card, LABELS, of_photos=True)


def test_long_lists_of_labels_are_cut() -> None:
    """An error message names twenty labels."""
    assert "1, 2, 3" == listed("123")
    names = [str(number) for number in range(21)]
    assert ", ".join(names[:20]) == listed(names[:20])
    assert listed(names[:20]) + ", ..." == listed(names)
