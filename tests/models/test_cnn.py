"""The plain family: convolutions, downsampling, and dense layers of the right sizes."""

import pytest
import torch
from torch import nn

from tagger.models import cnn
from tagger.models.config import NetworkConfig
from tagger.models.network import Network

pytestmark = pytest.mark.usefixtures("one_thread")


def layers_of(config: NetworkConfig) -> list[nn.Module]:
    """Return the layers that are no containers, in order."""
    parts = cnn.build(config)
    return [module for layer in [*parts.layers, parts.neck] for module in layer.modules() if not list(module.children())]


@pytest.mark.parametrize(
    ("pooled", "blocks", "widths", "sides"),
    [(True, 1, (4, 6), (14, 7)), (False, 1, (4, 6), (14, 7)), (True, 2, (4, 6, 8), (7, 3)), (False, 2, (4, 6, 8), (7, 4))],
)
def test_every_stage_halves(pooled: bool, blocks: int, widths: tuple[int, ...], sides: tuple[int, int]) -> None:
    """Pools round down, strides round up, and the flattened features fit the head."""
    network = Network(NetworkConfig(widths=widths, blocks=blocks, pooled=pooled, family="plain")).eval()
    pixels = torch.zeros(2, 1, 28, 28, dtype=torch.uint8)
    assert tuple(stage.shape[2] for stage in network.maps(pixels)) == sides
    assert network(pixels).shape == (2, 10)


def test_the_last_convolution_of_a_stage_has_the_stride() -> None:
    """Without pools the last of a stage's convolutions downsamples, the others keep height and width."""
    strides = [
        layer.stride[0] for layer in layers_of(NetworkConfig((4, 6), (1, 3), family="plain")) if isinstance(layer, nn.Conv2d)
    ]
    assert strides == [2, 1, 1, 2]


@pytest.mark.parametrize("norms", [True, False])
def test_norms_replace_biases(norms: bool) -> None:
    """A convolution has a bias just where no norm follows it."""
    layers = layers_of(NetworkConfig((4, 6), 2, family="plain", norms=norms))
    assert sum(isinstance(layer, nn.BatchNorm2d) for layer in layers) == (4 if norms else 0)
    assert {layer.bias is None for layer in layers if isinstance(layer, nn.Conv2d)} == {norms}


def test_dense_layers_have_their_widths_and_dropout() -> None:
    """Dropout comes before each dense layer and the head, with the given probability."""
    parts = cnn.build(NetworkConfig((4,), pooled=True, family="plain", dense=(20, 12), dropout=0.3))
    assert isinstance(parts.neck, nn.Sequential)
    kinds = [type(layer).__name__ for layer in parts.neck]
    assert kinds == ["Flatten", "Dropout", "Linear", "ReLU", "Dropout", "Linear", "ReLU", "Dropout"]
    assert [layer.out_features for layer in parts.neck if isinstance(layer, nn.Linear)] == [20, 12]
    assert {layer.p for layer in parts.neck if isinstance(layer, nn.Dropout)} == {0.3}
    assert (parts.width, parts.channels) == (12, (1, 4))
