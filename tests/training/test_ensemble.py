"""Ensembles: several networks of one shape that are one network, from training to tags."""
# ruff: noqa: SIM300 - what is expected stands first, as in every test here

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers import save_bundle
from training_helpers import OTHERS, PICTURES, PowerCutError, same_weights, stop_after

from tagger.errors import TrainingError
from tagger.inference.predictor import fold_norms, pool_maps, pooled_size
from tagger.models import bundle
from tagger.models.config import NetworkConfig
from tagger.models.ensemble import merge
from tagger.models.network import Network
from tagger.models.summary import count_macs, count_parameters, layers
from tagger.training.ensemble import checkpoints, train_members
from tagger.training.recipe import NETWORKS, Cycle, NetworkName, Recipe
from tagger.training.recipes import SHAPES
from tagger.training.trainer import EpochMetrics, train

pytestmark = pytest.mark.usefixtures("one_thread")

SMALL = NetworkConfig(widths=(8, 16), pooled=True)
TWO_HEADS = replace(SMALL, photo_classes=11)
RECIPE = Recipe((Cycle(2, warmup_steps=2),), 16, ensemble=3)


def networks(config: NetworkConfig, count: int = 3) -> list[Network]:
    """Return different networks of one shape with statistics of their own in every norm."""
    made = []
    for seed in range(count):
        torch.manual_seed(seed)
        network = Network(config).train()
        network(PICTURES.pixels[:32])
        made.append(network.eval())
    return made


@pytest.mark.parametrize("config", [SMALL, TWO_HEADS, SHAPES["conv-32-64"], SHAPES["mobilenet-v3"]])
def test_an_ensemble_says_the_mean(config: NetworkConfig) -> None:
    """Joined networks give the mean of their logits, for pictures and for photos, and keep it where norms are folded."""
    members = networks(config)
    pixels = PICTURES.pixels[:20]
    with torch.inference_mode():
        alone = [(member(pixels), member.photo_logits(pixels)) for member in members]
        whole = merge(members)
        assert 3 == whole.config.members
        for folded in (False, True):
            if folded:
                fold_norms(whole)
            for said, each in zip((whole(pixels), whole.photo_logits(pixels)), zip(*alone, strict=True), strict=True):
                assert torch.allclose(torch.stack(each).mean(0), said, rtol=1e-3, atol=1e-4)


def test_an_ensemble_is_a_network_like_another(tmp_path: Path) -> None:
    """It has all parameters and work of its members, maps of all their channels, and comes back from a bundle as it was."""
    members = networks(TWO_HEADS)
    one = members[0]
    whole = merge(members)
    assert count_parameters(whole) == pytest.approx(3 * count_parameters(one), rel=0.01)
    assert count_macs(whole) == 3 * count_macs(one)
    assert any(layer.name.startswith("stages.0.members.2") for layer in layers(whole))
    before, last = whole.maps(PICTURES.pixels[:3])
    assert whole.channels == (before.shape[1], last.shape[1])
    assert (3, pooled_size(whole)) == tuple(pool_maps((before, last)).shape)
    folder = save_bundle(tmp_path / "whole", whole.config)
    card = bundle.load(str(folder)).card
    loaded = bundle.save(folder, card, whole).network()
    assert same_weights(whole, loaded)


def test_members_are_what_they_would_be_alone(tmp_path: Path) -> None:
    """Each member is the network of its own seed, as if it had been trained alone, and epochs are counted on."""
    reported: list[EpochMetrics] = []
    whole, history = train_members(RECIPE, SMALL, PICTURES, OTHERS, tmp_path, report=reported.append)
    alone = [
        train(replace(RECIPE, seed=seed, ensemble=1), SMALL, PICTURES, OTHERS, tmp_path / "alone.pt")[0] for seed in range(3)
    ]
    assert same_weights(merge(alone), whole)
    assert [1, 2, 3, 4, 5, 6] == [figures.epoch for figures in history]
    assert [(figures.epoch, 6) for figures in history] == [(figures.epoch, figures.epochs) for figures in reported]
    lefts = [figures.seconds_left for figures in reported]
    assert 0 == lefts[-1] < lefts[0]


@pytest.mark.parametrize("epoch", [1, 3, 4])
def test_an_interrupted_ensemble_ends_as_if_it_had_not_been(tmp_path: Path, epoch: int) -> None:
    """Wherever it was interrupted, with --resume the same weights and the same history come out."""
    straight, before = train_members(RECIPE, SMALL, PICTURES, OTHERS, tmp_path / "straight")
    with pytest.raises(PowerCutError):
        train_members(RECIPE, SMALL, PICTURES, OTHERS, tmp_path / "cut", report=stop_after(epoch))
    reported: list[int] = []
    resumed, after = train_members(
        RECIPE, SMALL, PICTURES, OTHERS, tmp_path / "cut", True, lambda figures: reported.append(figures.epoch)
    )
    assert same_weights(straight, resumed)
    assert list(range(epoch + 1, 7)) == reported
    assert [figures.loss for figures in before] == [figures.loss for figures in after]


def test_a_single_member_is_an_ordinary_training(tmp_path: Path) -> None:
    """Without an ensemble there is one checkpoint, where it always was, and a network with a single member."""
    recipe = replace(RECIPE, ensemble=1)
    assert [tmp_path / "checkpoint.pt"] == checkpoints(tmp_path, recipe)
    network, _ = train_members(recipe, SMALL, PICTURES, OTHERS, tmp_path)
    assert SMALL == network.config


def test_there_are_no_ensembles_of_ensembles(tmp_path: Path) -> None:
    """An ensemble that is to be a member is refused in one sentence; one that is to be trained on is not."""
    start = merge(networks(SMALL))
    with pytest.raises(TrainingError, match="--ensemble") as caught:
        train_members(RECIPE, start.config, PICTURES, OTHERS, tmp_path, start=start)
    assert "\n" not in str(caught.value)
    on, _ = train_members(replace(RECIPE, ensemble=1), start.config, PICTURES, OTHERS, tmp_path, start=start)
    assert 3 == on.config.members


@pytest.mark.parametrize("members", [0, 33, 10**9])
def test_absurd_numbers_of_members_are_refused(members: int) -> None:
    """A damaged card cannot ask for more members than anybody needs."""
    with pytest.raises(ValueError, match="members"):
        NetworkConfig(members=members)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_can_stand_beside_others(name: NetworkName) -> None:
    """Two of any shape are a network that scores pictures."""
    whole = Network(replace(SHAPES[name], members=2)).eval()
    with torch.inference_mode():
        assert (2, 10) == tuple(whole(PICTURES.pixels[:2]).shape)
