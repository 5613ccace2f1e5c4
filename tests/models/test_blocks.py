"""Convolutional blocks keep the shapes and functions that their papers give them."""

import pytest
import torch
from torch import nn

from tagger.models.blocks import NetworkParts, PooledBlock, ResidualBlock, SideBySide, side_by_side

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize(("channels", "stride", "side"), [(8, 1, 7), (8, 2, 4), (12, 1, 7), (12, 2, 4)])
def test_a_residual_block_halves_by_its_stride(channels: int, stride: int, side: int) -> None:
    """Height and width are divided by the stride, rounded up; the shortcut has weights only where shapes differ."""
    block = ResidualBlock(8, channels, stride).eval()
    assert block(torch.randn(2, 8, 7, 7)).shape == (2, channels, side, side)
    assert isinstance(block.shortcut, nn.Identity) == (channels == 8 and stride == 1)


def test_a_residual_block_without_weights_is_its_shortcut() -> None:
    """With the second norm at 0 the block passes its input on, after the ReLU."""
    block = ResidualBlock(8, 8, 1).eval()
    nn.init.zeros_(block.second_norm.weight)
    x = torch.randn(2, 8, 5, 5)
    with torch.no_grad():
        assert torch.equal(block(x), x.relu())


def test_a_pooled_block_halves_by_a_max_pool() -> None:
    """Height and width are halved, rounded down, and the shortcut starts after the pool."""
    block = PooledBlock(8, 12).eval()
    nn.init.zeros_(block.second_norm.weight)
    x = torch.randn(2, 8, 7, 7)
    with torch.no_grad():
        half = block.first_norm(nn.functional.max_pool2d(block.first(x), 2)).relu()
        assert torch.equal(block(x), half)
    assert half.shape == (2, 12, 3, 3)


def test_modules_side_by_side_see_their_shares() -> None:
    """Each module gets its own channels, in order, or all of them if they are shared."""
    modules = [nn.Identity(), nn.Tanh(), nn.Identity()]
    x = torch.randn(2, 6, 3)
    assert torch.equal(SideBySide(modules)(x), torch.cat([x[:, :2], x[:, 2:4].tanh(), x[:, 4:]], 1))
    assert torch.equal(SideBySide(modules, shared=True)(x), torch.cat([x, x.tanh(), x], 1))


def test_networks_side_by_side_give_the_features_of_each() -> None:
    """Parts of several networks become those of one: maps and features are concatenated, widths add up."""
    torch.manual_seed(0)
    members = [
        NetworkParts(
            [nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 6, 3, padding=1)],
            1,
            nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
            6,
            (4, 6),
        )
        for _ in range(3)
    ]
    whole = side_by_side(members)
    x = torch.randn(2, 1, 8, 8)
    with torch.no_grad():
        before, last = whole.layers[0](x), nn.Sequential(*whole.layers)(x)
        features = [member.neck(nn.Sequential(*member.layers)(x)) for member in members]
    assert (whole.width, whole.channels, whole.last) == (18, (12, 18), 1)
    assert (before.shape[1], last.shape[1]) == whole.channels
    assert torch.allclose(whole.neck(last), torch.cat(features, 1), atol=1e-6)
