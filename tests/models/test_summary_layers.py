"""Summaries of networks: parameters and multiply-accumulates as counted by hand."""

import pytest
import torch
from torch import nn

from tagger.models.config import NetworkConfig
from tagger.models.network import Network
from tagger.models.summary import count_macs, count_parameters, layers

pytestmark = pytest.mark.usefixtures("one_thread")

CONFIG = NetworkConfig((4,), pooled=True, family="plain", norms=False, dense=(5,), photo_classes=11)


def test_layers_are_counted_as_by_hand() -> None:
    """Each layer has its name, kind, output shape, parameters and multiply-accumulates, in the order of the image's way."""
    rows = [(row.name, row.kind, row.output, row.parameters, row.macs) for row in layers(Network(CONFIG))]
    assert rows == [
        ("stages.0.0", "Conv2d", (4, 28, 28), 4 * 9 + 4, 4 * 28 * 28 * 9),
        ("stages.0.1", "ReLU", (4, 28, 28), 0, 0),
        ("stages.0.2", "MaxPool2d", (4, 14, 14), 0, 0),
        ("neck.0", "Flatten", (784,), 0, 0),
        ("neck.1", "Dropout", (784,), 0, 0),
        ("neck.2", "Linear", (5,), 784 * 5 + 5, 784 * 5),
        ("neck.3", "ReLU", (5,), 0, 0),
        ("neck.4", "Dropout", (5,), 0, 0),
        ("head", "Linear", (10,), 5 * 10 + 10, 5 * 10),
        ("photo_head", "Linear", (11,), 5 * 11 + 11, 5 * 11),
    ]


def test_multiply_accumulates_are_those_with_the_first_head() -> None:
    """The second head, which scores other images, does not count; parameters of both do."""
    network = Network(CONFIG)
    assert count_macs(network) == 4 * 28 * 28 * 9 + 784 * 5 + 50
    assert count_parameters(network) == sum(row.parameters for row in layers(network))


def test_larger_images_cost_more() -> None:
    """Multiply-accumulates are those of the given size of images."""
    network = Network(NetworkConfig((8,), blocks=1))
    head = 8 * 10
    assert count_macs(network, 56) - head == 4 * (count_macs(network) - head)


def test_a_summary_leaves_the_network_as_it_is() -> None:
    """Running statistics, the training mode and hooks are those of before."""
    network = Network(NetworkConfig((8, 16))).train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    layers(network)
    assert network.training
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    assert not any(module._forward_hooks for module in network.modules())
    assert not any(isinstance(module, nn.Identity) for module in network.modules() if module.training is False)
