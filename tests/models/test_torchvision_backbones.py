"""Backbones from torchvision, adapted to one channel and 28 pixels, and their pretrained weights."""

from typing import Any

import pytest
import torch
from torch import nn
from torchvision import models

from tagger.models import torchvision_backbones
from tagger.models.config import NetworkConfig
from tagger.models.network import Network
from tagger.models.summary import count_parameters

pytestmark = pytest.mark.usefixtures("one_thread")

SIDES = {"resnet18": (4, 2), "mobilenet-v3": (2, 2), "efficientnet-b0": (2, 2)}
"""Height and width of the feature maps before and after the last stage."""


@pytest.mark.parametrize("family", torchvision_backbones.BUILDERS)
def test_28_pixels_are_not_shrunk_to_one_cell(family: Any) -> None:
    """The last feature maps of a 28x28 image have more than one cell, and as many channels as the parts say."""
    network = Network(NetworkConfig(family=family)).eval()
    with torch.inference_mode():
        maps = network.maps(torch.zeros(2, 1, 28, 28, dtype=torch.uint8))
    assert tuple(stage.shape[2] for stage in maps) == SIDES[family]
    assert network.channels == tuple(stage.shape[1] for stage in maps)


def test_resnet18_is_torchvisions_with_one_channel() -> None:
    """All but the head and two of the first convolution's three channels are the parameters of torchvision's network."""
    ours = count_parameters(Network(NetworkConfig(family="resnet18")))
    theirs = count_parameters(models.resnet18(num_classes=10))
    assert ours == theirs - 2 * 64 * 7 * 7


def test_weights_are_loaded_without_the_head() -> None:
    """Whatever the classes of the file's head, the layers before it get the file's weights."""
    torch.manual_seed(1)
    weights = models.resnet18(num_classes=7).state_dict()
    parts = torchvision_backbones.build(NetworkConfig(family="resnet18"), weights)
    first, *_, last_stage = parts.layers
    assert isinstance(first, nn.Conv2d)
    assert torch.allclose(first.weight, weights["conv1.weight"].sum(1, keepdim=True))
    assert torch.equal(last_stage.state_dict()["1.conv2.weight"], weights["layer4.1.conv2.weight"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda weights: weights.pop("layer1.0.conv1.weight"), "layer1.0.conv1.weight is missing"),
        (lambda weights: weights.update(extra=torch.zeros(1)), "extra is unknown"),
        (
            lambda weights: weights.update({"conv1.weight": torch.zeros(64, 1, 7, 7)}),
            "conv1.weight is unknown or of another shape",
        ),
    ],
    ids=["missing", "unknown", "shape"],
)
def test_weights_of_another_network_are_refused(change: Any, message: str) -> None:
    """A missing, an unknown and a differently shaped tensor are named."""
    weights = models.resnet18(num_classes=7).state_dict()
    change(weights)
    with pytest.raises(ValueError, match=message):
        torchvision_backbones.build(NetworkConfig(family="resnet18"), weights)
