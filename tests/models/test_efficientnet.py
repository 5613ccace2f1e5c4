"""EfficientNet-Lite0 in torch is the network of the graph, and reads the published weights under their own names."""
# ruff: noqa: SIM300 - the expected value stands first, as in every test here

from pathlib import Path

import numpy as np
import pytest
import torch
from efficientnet_helpers import published_state, random_weights

from tagger.models.backbone import Backbone
from tagger.models.efficientnet import EfficientNetLite0, averaged, load_published
from tagger.models.efficientnet_graph import FEATURES, SIDE, efficientnet_graph
from tagger.models.imagenet import IMAGENET_CLASSES
from tagger.models.published_backbone import read_backbone
from tagger.onnx_session import open_session

pytestmark = pytest.mark.usefixtures("one_thread")

PIXELS = np.random.default_rng(1).integers(0, 256, (2, SIDE, SIDE, 3), np.uint8)


@torch.no_grad()
def outputs(network: EfficientNetLite0) -> tuple[np.ndarray, np.ndarray]:
    """Return features and logits of two random pictures."""
    pixels = torch.from_numpy(PIXELS).permute(0, 3, 1, 2)
    return network.features(pixels).numpy(), network(pixels).numpy()


def test_the_published_weights_give_the_same_network_in_torch_and_onnx(tmp_path: Path) -> None:
    """Read from a file into a backbone, its graph computes what the network in torch does, up to weights in float16."""
    torch.save(published_state(), tmp_path / "published.pth")
    session = open_session(read_backbone(tmp_path / "published.pth").graph())
    found = session.run(["features", "logits"], {"pixels": PIXELS})
    expected = outputs(load_published(published_state()))
    assert ((2, FEATURES), (2, IMAGENET_CLASSES)) == (expected[0].shape, expected[1].shape)
    for one, other in zip(expected, found, strict=True):
        assert one.std() > 0.1
        assert np.abs(one - other).mean() < 0.02 * one.std()
        assert np.abs(one - other).max() < 0.15 * one.std()


def test_every_weight_has_its_place() -> None:
    """The state of the network is the published tensors, each under its name here; counters may be missing or there."""
    state = load_published({**published_state(), "_bn0.num_batches_tracked": torch.tensor(7)}).state_dict()
    weights = random_weights()
    assert weights.keys() == {name for name in state if not name.endswith("num_batches_tracked")}
    for name, array in weights.items():
        assert np.array_equal(array, state[name].numpy())
    assert not load_published(published_state()).training


def test_other_weights_are_refused() -> None:
    """Missing, unknown and misshapen tensors are counted, and one of them named."""
    state = published_state()
    missing = {name: tensor for name, tensor in state.items() if name != "_bn1.bias"}
    for wrong, reason in (
        (missing, "1 are missing, unknown or of another shape, such as last.norm.bias"),
        ({**state, "_blocks.16._bn0.bias": torch.zeros(1)}, r"1 are .* such as blocks.16.expand.norm.bias"),
        ({**state, "_fc.bias": torch.zeros(999)}, "1 are .* such as classifier.bias"),
        ({**state, "_blocks.0": torch.zeros(1), "_swish": torch.zeros(1)}, "2 are missing, unknown"),
        ({}, "247 are missing"),
    ):
        with pytest.raises(ValueError, match=f"the weights are not those of EfficientNet-Lite0: {reason}"):
            load_published(wrong)


def test_averages_lie_between_two_networks() -> None:
    """0 gives the first network, 1 the second, and a half the mean of each weight; the networks stay as they are."""
    start = load_published(published_state())
    tuned = load_published({name: tensor + 0.25 for name, tensor in published_state().items()})
    for weight in (0.0, 0.5, 1.0):
        mean = averaged(start, tuned, weight)
        assert not mean.training
        for name, tensor in start.state_dict().items():
            if tensor.is_floating_point():
                assert torch.allclose(tensor + 0.25 * weight, mean.state_dict()[name], atol=1e-6)
    assert torch.equal(torch.from_numpy(random_weights()["classifier.bias"]), start.classifier.bias.detach())


def test_the_state_of_the_network_is_a_backbone() -> None:
    """The names here are those of the graph, so a tuned network can be stored as it is."""
    network = EfficientNetLite0().eval()
    weights = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    assert efficientnet_graph(weights)
    assert len(Backbone.of_weights(weights).content) < 10e6
