"""The ONNX graph of a network computes what the network computes in torch, whatever its shape."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn import functional

from tagger.inference import torch_network
from tagger.models.config import NetworkConfig
from tagger.models.network import Network, state_arrays
from tagger.models.network_graph import GRAPH_FAMILIES, network_graph, pooled_size, pooling_matrix
from tagger.models.onnx_file import check_onnx
from tagger.onnx_session import open_session
from tagger.training.recipes import SHAPES

pytestmark = pytest.mark.usefixtures("one_thread")

PIXELS = np.random.default_rng(0).integers(0, 256, (4, 1, 28, 28)).astype(np.float32)

TWO_HEADS = NetworkConfig(widths=(8, 16), photo_classes=11)

CONFIGS = {
    **{name: config for name, config in SHAPES.items() if config.family in GRAPH_FAMILIES},
    "two heads": TWO_HEADS,
    "one stage": replace(TWO_HEADS, widths=(8,), blocks=2, stem=12),
    "pooled": replace(TWO_HEADS, pooled=True, blocks=(2, 1)),
    "four stages": replace(TWO_HEADS, widths=(4, 4, 8, 8)),
    "four pooled stages": replace(TWO_HEADS, widths=(4, 4, 8, 8), pooled=True),
    "other normalization": replace(TWO_HEADS, mean=0.5, deviation=0.1),
    "ensemble": replace(TWO_HEADS, blocks=(1, 2), members=3),
    "pooled ensemble": replace(TWO_HEADS, pooled=True, members=2),
    "plain ensemble": NetworkConfig(widths=(8, 16), blocks=(1, 2), family="plain", dense=(20, 12), photo_classes=10, members=2),
    "plain without norms": NetworkConfig(widths=(8,), family="plain", norms=False, dense=(20,), dropout=0.5),
    "plain and pooled": NetworkConfig(widths=(8, 16), blocks=(2, 1), family="plain", pooled=True),
}


def trained_like(config: NetworkConfig) -> Network:
    """Return a seeded network whose norms have statistics and weights of both signs, as after a training."""
    torch.manual_seed(3)
    network = Network(config).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            for values in (module.weight, module.bias, module.running_mean):
                torch.nn.init.normal_(values)
            torch.nn.init.uniform_(module.running_var, 0.5, 2)
    return network


def outputs(content: bytes) -> dict[str, NDArray[np.float32]]:
    """Return what ONNX Runtime computes from `PIXELS`, by the names of the outputs."""
    session = open_session(content)
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"pixels": PIXELS}), strict=True))


@pytest.mark.parametrize("name", CONFIGS)
@torch.no_grad()
def test_a_graph_computes_what_its_network_does(name: str) -> None:
    """Logits of both heads and pooled maps are those of torch, for every shape of our own families."""
    config = CONFIGS[name]
    network = trained_like(config)
    content = network_graph(config, state_arrays(network))
    check_onnx(content)
    maps = network.maps(torch.from_numpy(PIXELS))
    expected = {"logits": network.logits_of_maps(maps[1]), "maps": torch_network.pool_maps(maps)}
    if config.photo_classes:
        expected["photo_logits"] = network.photo_logits_of_maps(maps[1])
    found = outputs(content)
    assert expected.keys() == found.keys()
    for key, tensor in expected.items():
        scale = float(tensor.abs().max())
        assert np.allclose(tensor.numpy() / scale, found[key] / scale, atol=2e-6), key
    assert pooled_size(config) == torch_network.pooled_size(network) == found["maps"].shape[1]


def test_the_same_weights_give_the_same_file() -> None:
    """The file depends on config and weights alone, and leaves the weights as they are."""
    weights = state_arrays(trained_like(TWO_HEADS))
    before = {name: array.copy() for name, array in weights.items()}
    assert network_graph(TWO_HEADS, weights) == network_graph(TWO_HEADS, before)
    assert all(np.array_equal(before[name], array) for name, array in weights.items())


def test_weights_of_another_network_are_refused() -> None:
    """Missing, unknown, misshapen and half-precise weights are refused by name."""
    weights = state_arrays(trained_like(TWO_HEADS))
    for wrong, reason in (
        ({name: array for name, array in weights.items() if name != "head.bias"}, "head.bias are missing"),
        ({**weights, "fourth.weight": np.zeros(1, np.float32)}, "no weights fourth.weight"),
        ({**weights, "head.bias": np.zeros(9, np.float32)}, r"head.bias are float32 \(9,\), not float32 \(10,\)"),
        ({**weights, "head.bias": np.zeros(10, np.float16)}, "head.bias are float16"),
    ):
        with pytest.raises(ValueError, match=reason):
            network_graph(TWO_HEADS, wrong)
    with pytest.raises(ValueError, match=r"stages\.0\.weight are"):
        network_graph(replace(TWO_HEADS, blocks=32, widths=(4096,) * 4), weights)


@pytest.mark.parametrize(("side", "pooled"), [(14, 3), (7, 2), (28, 3), (3, 2), (1, 2), (4, 4)])
def test_pooling_is_adaptive(side: int, pooled: int) -> None:
    """The matrix averages as torch's adaptive pooling does, also where windows overlap, or cells are fewer than wanted."""
    maps = torch.randn(2, side, side, generator=torch.Generator().manual_seed(0))
    expected = functional.adaptive_avg_pool2d(maps, pooled).flatten(1).numpy()
    assert np.allclose(expected, maps.flatten(1).numpy() @ pooling_matrix(side, pooled), atol=1e-6)
