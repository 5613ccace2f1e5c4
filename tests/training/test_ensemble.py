"""Members of an ensemble: trained one after another from their own seeds, resumed, and merged."""
# ruff: noqa: SIM300 - what is expected stands first, as in every test here

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from training_helpers import OTHERS, PICTURES, PowerCutError, same_weights, stop_after, train_network

from tagger.errors import TrainingError
from tagger.models.config import NetworkConfig
from tagger.models.ensemble import merge
from tagger.models.network import Network
from tagger.training.ensemble import member_checkpoints, train_members
from tagger.training.history import EpochMetrics
from tagger.training.job import CHECKPOINT, TrainingJob
from tagger.training.recipe import Cycle, Recipe

pytestmark = pytest.mark.usefixtures("one_thread")

SMALL = NetworkConfig(widths=(8, 16), pooled=True)
RECIPE = Recipe((Cycle(2, warmup_steps=2),), 16, ensemble=3)


def ensemble(folder: Path, recipe: Recipe = RECIPE, config: NetworkConfig = SMALL, **more: Any) -> TrainingJob:
    """Return the training of an ensemble whose checkpoints are in `folder`."""
    return TrainingJob(recipe, config, PICTURES, OTHERS, folder / CHECKPOINT, **more)


def test_members_are_what_they_would_be_alone(tmp_path: Path) -> None:
    """Each member is the network of its own seed, as if trained alone, and epochs are numbered through all members."""
    reported: list[EpochMetrics] = []
    whole, history = train_members(ensemble(tmp_path, on_epoch=reported.append))
    alone = [
        train_network(replace(RECIPE, seed=seed, ensemble=1), SMALL, PICTURES, OTHERS, tmp_path / "alone.pt")[0]
        for seed in range(3)
    ]
    assert same_weights(merge(alone), whole)
    assert [1, 2, 3, 4, 5, 6] == [metrics.epoch for metrics in history]
    assert [(metrics.epoch, 6) for metrics in history] == [(metrics.epoch, metrics.epochs) for metrics in reported]
    seconds_left = [metrics.seconds_left for metrics in reported]
    assert 0 == seconds_left[-1] < seconds_left[0]


@pytest.mark.parametrize("epoch", [1, 3, 4])
def test_an_interrupted_ensemble_ends_in_the_same_weights(tmp_path: Path, epoch: int) -> None:
    """Wherever it was interrupted, resuming ends in the same weights and the same history."""
    straight, before = train_members(ensemble(tmp_path / "straight"))
    with pytest.raises(PowerCutError):
        train_members(ensemble(tmp_path / "cut", on_epoch=stop_after(epoch)))
    reported: list[int] = []
    resumed, after = train_members(
        ensemble(tmp_path / "cut", resume=True, on_epoch=lambda metrics: reported.append(metrics.epoch))
    )
    assert same_weights(straight, resumed)
    assert list(range(epoch + 1, 7)) == reported
    assert [metrics.loss for metrics in before] == [metrics.loss for metrics in after]


def test_a_single_member_is_an_ordinary_training(tmp_path: Path) -> None:
    """Without an ensemble there is one checkpoint, and a network with a single member."""
    network, _ = train_members(ensemble(tmp_path, replace(RECIPE, ensemble=1)))
    assert ["checkpoint.pt"] == [file.name for file in tmp_path.iterdir()]
    assert SMALL == network.config


def test_members_have_checkpoints_of_their_own(tmp_path: Path) -> None:
    """The first member's checkpoint has the usual name, the others are numbered beside it."""
    names = ["checkpoint.pt", "checkpoint-1.pt", "checkpoint-2.pt"]
    assert [tmp_path / name for name in names] == member_checkpoints(tmp_path / CHECKPOINT, 3)


def test_a_new_training_removes_members_of_an_earlier_one(tmp_path: Path) -> None:
    """Checkpoints of an ensemble's later members do not outlive the start of another training in their folder."""
    stale = member_checkpoints(tmp_path / CHECKPOINT, 4)[3]
    stale.write_bytes(b"of another training")
    (tmp_path / "checkpoint-notes.pt").write_bytes(b"somebody's own")
    train_members(ensemble(tmp_path, replace(RECIPE, ensemble=2)))
    assert not stale.exists()
    assert (tmp_path / "checkpoint-notes.pt").exists()


def test_ensembles_of_ensembles_are_refused(tmp_path: Path) -> None:
    """An ensemble cannot be a member, which one sentence says; it can be trained on."""
    torch.manual_seed(0)
    start = merge([Network(SMALL).eval() for _ in range(3)])
    with pytest.raises(TrainingError, match="--ensemble") as caught:
        train_members(ensemble(tmp_path, config=start.config, start=start))
    assert "\n" not in str(caught.value)
    network, _ = train_members(ensemble(tmp_path, replace(RECIPE, ensemble=1), start.config, start=start))
    assert 3 == network.config.members
