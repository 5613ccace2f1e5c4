"""A training goes on only with the labels and the pictures that it began with."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers import save_bundle
from training_helpers import CONFIG, OTHERS, PICTURES, RECIPE, drawn, folder_of, interrupted, trained

from tagger.cli.main import main
from tagger.data.images import Images
from tagger.errors import TrainingError
from tagger.models.config import NetworkConfig
from tagger.training.ensemble import checkpoints, train_members
from tagger.training.recipe import Recipe
from tagger.training.trainer import train

pytestmark = pytest.mark.usefixtures("one_thread")


def refusal(file: Path, pictures: Images, held_out: Images | None) -> str:
    """Return the sentence with which going on with these pictures is refused."""
    with pytest.raises(TrainingError) as caught:
        train(RECIPE, CONFIG, pictures, held_out, file, resume=True)
    assert "\n" not in str(caught.value)
    assert "--resume" in str(caught.value)
    assert str(file) in str(caught.value)
    return str(caught.value)


def test_other_data_is_refused(tmp_path: Path) -> None:
    """Renamed labels, other labels of the pictures, another picture or order, and other held-out ones are each refused."""
    file = tmp_path / "checkpoint.pt"
    interrupted(file)
    renamed = replace(PICTURES, names=tuple("abcdefghij"))
    assert "the labels T-shirt/top, Trouser" in refusal(file, renamed, OTHERS)
    pixels = PICTURES.pixels.clone()
    pixels[0, 0, 0, 0] += 1
    for pictures in (
        replace(PICTURES, labels=PICTURES.labels.roll(1)),
        replace(PICTURES, pixels=pixels),
        PICTURES.take(torch.arange(len(PICTURES)).flip(0)),
        replace(PICTURES, photo=torch.ones(len(PICTURES), dtype=torch.bool)),
    ):
        assert "other photos" in refusal(file, pictures, OTHERS)
    for held_out in (OTHERS.take(torch.arange(len(OTHERS) - 1)), None):
        assert "other photos" in refusal(file, PICTURES, held_out)
    trained(file, resume=True)


@pytest.mark.parametrize("format", [6, 7])
def test_checkpoints_of_before_are_refused(tmp_path: Path, format: int) -> None:
    """A checkpoint of an earlier format, which does not tell its data, is refused in a sentence that says what to do."""
    file = tmp_path / "checkpoint.pt"
    interrupted(file)
    state = torch.load(file, weights_only=True)
    for name in ("labels", "pictures", "held_out"):
        del state[name]
    torch.save(state | {"format": format}, file)
    assert "no checkpoint of this fmtag" in refusal(file, PICTURES, OTHERS)


def test_a_new_training_forgets_the_members_of_an_earlier_one(tmp_path: Path) -> None:
    """Checkpoints of an ensemble's later members do not outlive the start of another training in their folder."""
    recipe: Recipe = replace(RECIPE, ensemble=2)
    stale = checkpoints(tmp_path, replace(recipe, ensemble=4))[3]
    stale.write_bytes(b"of another training")
    (tmp_path / "checkpoint-notes.pt").write_bytes(b"somebody's own")
    train_members(recipe, CONFIG, PICTURES, OTHERS, tmp_path)
    assert not stale.exists()
    assert (tmp_path / "checkpoint-notes.pt").exists()


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with labelled `photos`, a bundle `start`, and the checkpoint of a training in `new` that missed its floor."""
    root = tmp_path_factory.mktemp("stopped")
    folder_of(root / "photos")
    save_bundle(root / "start", NetworkConfig((8, 16)))
    assert "below the floor" in command(root, floor=1)
    return root


def command(root: Path, *more: str, floor: int = 0) -> str:
    """Return what the command says on going on in `new`, or the empty string where it goes well."""
    options = f"--data {root / 'photos'} --out {root / 'new'} --from {root / 'start'} --epochs 1 --lr 0.000001 --floor {floor}"
    said: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("click.echo", lambda text="", **_: said.append(str(text)))
        with pytest.raises(SystemExit) as caught:
            main(["retrain", *options.split(), *more])
    return said[-1] if caught.value.code else ""


@pytest.mark.parametrize("change", ["renamed", "swapped", "added"])
def test_resume_refuses_other_photos(stopped: Path, tmp_path: Path, change: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`retrain --data --resume` after a class was renamed, two were swapped or photos were added ends in one sentence."""
    root = Path(shutil.copytree(stopped, tmp_path / "copy"))
    photos = root / "photos"
    if change == "renamed":
        (photos / "hat").rename(photos / "zylinder")
    elif change == "swapped":
        (photos / "hat").rename(photos / "x")
        (photos / "scarf").rename(photos / "hat")
        (photos / "x").rename(photos / "scarf")
    else:
        for number in range(5):
            drawn("hat", 9000 + number).save(photos / "hat" / f"new-{number}.png")
    said = command(root, "--resume") + capsys.readouterr().err
    assert {
        "renamed": "was begun with the labels hat, scarf, not scarf, zylinder",
        "swapped": "other photos",
        "added": "other photos",
    }[change] in said
    assert "Traceback" not in said
    assert not (root / "new" / "card.json").exists()
