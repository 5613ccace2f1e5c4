"""Several networks merged into one that averages their logits."""
# ruff: noqa: SIM300 - what is expected stands first, as in every test here

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers import save_bundle
from training_helpers import PICTURES, same_weights

from tagger.inference.torch_network import fold_norms, pool_maps, pooled_size
from tagger.models import bundle
from tagger.models.config import NetworkConfig
from tagger.models.ensemble import merge
from tagger.models.network import Network
from tagger.models.summary import count_macs, count_parameters, layers
from tagger.training.recipe import NETWORKS, NetworkName
from tagger.training.recipes import SHAPES

pytestmark = pytest.mark.usefixtures("one_thread")

SMALL = NetworkConfig(widths=(8, 16), pooled=True)

TWO_HEADS = replace(SMALL, photo_classes=11)


def networks(config: NetworkConfig, count: int = 3) -> list[Network]:
    """Return different networks of one shape, each with its own statistics in every norm."""
    made = []
    for seed in range(count):
        torch.manual_seed(seed)
        network = Network(config).train()
        network(PICTURES.pixels[:32])
        made.append(network.eval())
    return made


@pytest.mark.parametrize("config", [SMALL, TWO_HEADS, SHAPES["conv-32-64"], SHAPES["mobilenet-v3"]])
def test_an_ensemble_averages_logits(config: NetworkConfig) -> None:
    """Merged networks give the mean of their logits, of both heads, also after norms are folded."""
    members = networks(config)
    pixels = PICTURES.pixels[:20]
    with torch.inference_mode():
        alone = [(member(pixels), member.photo_logits(pixels)) for member in members]
        whole = merge(members)
        assert 3 == whole.config.members
        for folded in (False, True):
            if folded:
                fold_norms(whole)
            for predicted, each in zip((whole(pixels), whole.photo_logits(pixels)), zip(*alone, strict=True), strict=True):
                assert torch.allclose(torch.stack(each).mean(0), predicted, rtol=1e-3, atol=1e-4)


def test_an_ensemble_is_one_network(tmp_path: Path) -> None:
    """It has all parameters and work of its members and maps of all their channels, and a bundle stores and restores it."""
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


@pytest.mark.parametrize("members", [0, 33, 10**9])
def test_absurd_numbers_of_members_are_refused(members: int) -> None:
    """A damaged card cannot name more members than anybody needs."""
    with pytest.raises(ValueError, match="members"):
        NetworkConfig(members=members)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_can_be_a_member(name: NetworkName) -> None:
    """An ensemble of two networks of any shape scores images."""
    whole = Network(replace(SHAPES[name], members=2)).eval()
    with torch.inference_mode():
        assert (2, 10) == tuple(whole(PICTURES.pixels[:2]).shape)
