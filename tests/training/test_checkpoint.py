"""Checkpoints: only a whole one, of the same recipe, network, labels and images, is resumed."""
# ruff: noqa: SIM300 - what is expected stands first, as in every test here

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers import save_bundle
from training_helpers import (
    CONFIG,
    CYCLES,
    OTHERS,
    PICTURES,
    RECIPE,
    drawn,
    folder_of,
    interrupted,
    train_network,
    trained,
)

from tagger.cli.main import main
from tagger.data.images import Images
from tagger.errors import TrainingError
from tagger.models.config import NetworkConfig
from tagger.training.recipe import Cycle, Recipe

pytestmark = pytest.mark.usefixtures("one_thread")


def refusal(
    checkpoint: Path,
    recipe: Recipe = RECIPE,
    config: NetworkConfig = CONFIG,
    images: Images = PICTURES,
    held_out: Images | None = OTHERS,
) -> str:
    """Return the one sentence, which names the file and the option, with which resuming is refused."""
    with pytest.raises(TrainingError) as caught:
        train_network(recipe, config, images, held_out, checkpoint, resume=True)
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(".")
    assert str(checkpoint) in message
    assert "--resume" in message
    return message


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """The checkpoint of a training interrupted after its first epoch."""
    interrupted(tmp_path / "checkpoint.pt")
    return tmp_path / "checkpoint.pt"


def test_other_data_is_refused(checkpoint: Path) -> None:
    """Renamed labels, other labels of the images, another image or order, and other held-out ones are each refused."""
    renamed = replace(PICTURES, names=tuple("abcdefghij"))
    assert "the labels T-shirt/top, Trouser" in refusal(checkpoint, images=renamed)
    pixels = PICTURES.pixels.clone()
    pixels[0, 0, 0, 0] += 1
    for images in (
        replace(PICTURES, labels=PICTURES.labels.roll(1)),
        replace(PICTURES, pixels=pixels),
        PICTURES.take(torch.arange(len(PICTURES)).flip(0)),
        replace(PICTURES, photo=torch.ones(len(PICTURES), dtype=torch.bool)),
    ):
        assert "other photos" in refusal(checkpoint, images=images)
    for held_out in (OTHERS.take(torch.arange(len(OTHERS) - 1)), None):
        assert "other photos" in refusal(checkpoint, held_out=held_out)
    trained(checkpoint, resume=True)


@pytest.mark.parametrize("format", [6, 7])
def test_earlier_formats_are_refused(checkpoint: Path, format: int) -> None:
    """A checkpoint of an earlier format, which does not identify its data, is refused."""
    state = torch.load(checkpoint, weights_only=True)
    for name in ("labels", "pictures", "held_out"):
        del state[name]
    torch.save(state | {"format": format}, checkpoint)
    assert "no checkpoint of this version" in refusal(checkpoint)


def test_a_missing_checkpoint_is_refused(tmp_path: Path) -> None:
    """Resuming without a checkpoint is refused."""
    assert "There is no" in refusal(tmp_path / "none.pt")


@pytest.mark.parametrize(
    ("recipe", "config"),
    [
        (replace(RECIPE, cycles=(*CYCLES, Cycle(epochs=1))), CONFIG),
        (replace(RECIPE, cycles=(CYCLES[0], replace(CYCLES[1], label_smoothing=0.4))), CONFIG),
        (replace(RECIPE, seed=1), CONFIG),
        (replace(RECIPE, batch_size=8), CONFIG),
        (RECIPE, replace(CONFIG, widths=(8, 8))),
        (RECIPE, replace(CONFIG, blocks=2)),
    ],
)
def test_other_settings_are_refused(checkpoint: Path, recipe: Recipe, config: NetworkConfig) -> None:
    """Resuming with another recipe or network is refused because of the settings."""
    assert "other settings" in refusal(checkpoint, recipe, config)


def test_damaged_checkpoints_are_refused(checkpoint: Path) -> None:
    """A checkpoint cut anywhere, emptied or overwritten is refused."""
    whole = checkpoint.read_bytes()
    cuts = [whole[: len(whole) * percent // 100] for percent in (0, 1, 10, 50, 90, 99)]
    for content in [*cuts, b"no checkpoint", bytes(1000), b"PK\3\4" + bytes(500), b"\x80\x02}q\x00.", b"\x80\x04", whole[::-1]]:
        checkpoint.write_bytes(content)
        refusal(checkpoint)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    """A folder in the checkpoint's place is refused."""
    refusal(tmp_path)


@pytest.mark.parametrize("state", [[], {}, {"format": 999}, {"format": 2}, {"format": 2, "recipe": {}, "config": {}}, "text"])
def test_files_of_other_programs_are_refused(tmp_path: Path, state: object) -> None:
    """A file that torch wrote for something else is refused."""
    torch.save(state, tmp_path / "checkpoint.pt")
    refusal(tmp_path / "checkpoint.pt")


@pytest.mark.parametrize("missing", ["network", "average", "optimizers", "history", "ends", "best", "recipe", "labels"])
def test_incomplete_checkpoints_are_refused(checkpoint: Path, missing: str) -> None:
    """A checkpoint without one of its parts is refused."""
    state = torch.load(checkpoint, weights_only=True)
    del state[missing]
    torch.save(state, checkpoint)
    refusal(checkpoint)


class Trap:
    """Makes a file when unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.file,)


def test_a_checkpoint_runs_no_code(tmp_path: Path) -> None:
    """A checkpoint that would run code when unpickled is refused, and the code does not run."""
    torch.save({"format": 2, "recipe": Trap(tmp_path / "sprung")}, tmp_path / "checkpoint.pt")
    refusal(tmp_path / "checkpoint.pt")
    assert not (tmp_path / "sprung").exists()


def test_a_checkpoint_is_replaced_whole(tmp_path: Path) -> None:
    """After a training its folder holds the checkpoint alone, no half-written one beside it."""
    trained(tmp_path / "runs" / "checkpoint.pt")
    assert ["checkpoint.pt"] == [file.name for file in (tmp_path / "runs").iterdir()]


# Through the command


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with labelled `photos`, a bundle `start`, and in `new` the checkpoint of a training that missed its floor."""
    root = tmp_path_factory.mktemp("stopped")
    folder_of(root / "photos")
    save_bundle(root / "start", NetworkConfig((8, 16)))
    assert "below the floor" in command(root, floor=1)
    return root


def command(root: Path, *more: str, floor: int = 0) -> str:
    """Train in `new` by the command and return its last message, or the empty string where it succeeds."""
    options = f"--data {root / 'photos'} --out {root / 'new'} --from {root / 'start'} --epochs 1 --lr 0.000001 --floor {floor}"
    messages: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("click.echo", lambda text="", **_: messages.append(str(text)))
        with pytest.raises(SystemExit) as caught:
            main(["retrain", *options.split(), *more])
    return messages[-1] if caught.value.code else ""


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
    message = command(root, "--resume") + capsys.readouterr().err
    assert {
        "renamed": "was begun with the labels hat, scarf, not scarf, zylinder",
        "swapped": "other photos",
        "added": "other photos",
    }[change] in message
    assert "Traceback" not in message
    assert not (root / "new" / "card.json").exists()
