"""The residual family: stem, stages, and where feature maps are halved."""

import pytest
import torch
from torch import nn

from tagger.models import resnet
from tagger.models.blocks import PooledBlock, ResidualBlock
from tagger.models.config import NetworkConfig
from tagger.models.network import Network

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize(("pooled", "sides"), [(True, (7, 3)), (False, (14, 7))])
def test_stages_halve_the_maps(pooled: bool, sides: tuple[int, int]) -> None:
    """Each stage of a pooled network halves the maps, rounded down; of another one all but the first, rounded up."""
    config = NetworkConfig(widths=(8, 16, 24), blocks=(2, 1, 2), pooled=pooled)
    maps = Network(config).maps(torch.zeros(2, 1, 28, 28, dtype=torch.uint8))
    assert [tuple(stage.shape) for stage in maps] == [(2, 16, sides[0], sides[0]), (2, 24, sides[1], sides[1])]


@pytest.mark.parametrize(("stem", "channels"), [(0, 8), (20, 20)])
def test_the_stem_has_its_own_width_or_that_of_the_first_stage(stem: int, channels: int) -> None:
    """Without a stem width the first convolution has as many channels as the first stage."""
    parts = resnet.build(NetworkConfig(widths=(8, 16), stem=stem))
    assert isinstance(parts.layers[0], nn.Conv2d)
    assert parts.layers[0].out_channels == channels


def test_every_stage_has_its_blocks() -> None:
    """After the stem's three layers come the blocks of each stage; a pooled stage begins with a pooled block."""
    kinds = [type(layer) for layer in resnet.build(NetworkConfig(widths=(8, 16), blocks=(2, 3), pooled=True)).layers[3:]]
    assert kinds == [PooledBlock, ResidualBlock, PooledBlock, ResidualBlock, ResidualBlock]
    parts = resnet.build(NetworkConfig(widths=(8, 16), blocks=(2, 3)))
    assert [type(layer) for layer in parts.layers[3:]] == [ResidualBlock] * 5
    assert (parts.last, parts.width, parts.channels) == (3, 16, (8, 16))


def test_a_single_stage_has_its_stem_before_it() -> None:
    """The maps before the last stage of a network with one stage are those of the stem."""
    parts = resnet.build(NetworkConfig(widths=(8,), stem=12))
    assert parts.channels == (12, 8)
