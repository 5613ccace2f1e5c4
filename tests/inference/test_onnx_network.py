"""In ONNX Runtime an image has the features that it has in torch, the same bits in any company and any number of threads."""

from pathlib import Path

import numpy as np
import pytest
import torch
from bundle_helpers import product_images, stacked

from tagger.arrays import softmax
from tagger.inference import onnx_network, torch_network
from tagger.inference.onnx_network import OnnxNetwork
from tagger.inference.torch_network import TorchNetwork, photo_views, pool_maps
from tagger.models.bundle import load
from tagger.models.config import NetworkConfig

pytestmark = pytest.mark.usefixtures("one_thread")

IMAGES = product_images(64)


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize("name", ["tiny", "catalog", "base", "residual"])
def test_features_are_those_of_torch(name: str, native: bool) -> None:
    """Probabilities of the shipped bundles are within 1e-5 of torch's, maps within a millionth of their largest."""
    loaded = load(name)
    expected = TorchNetwork(loaded, "cpu").features(IMAGES[:9], native)
    found = OnnxNetwork(loaded.card, loaded.weights).features(IMAGES[:9], native)
    assert np.abs(expected[0] - found[0]).max() < 1e-5
    assert np.abs(expected[1] - found[1]).max() < 1e-5 * np.abs(expected[1]).max()


@pytest.mark.parametrize("native", [True, False])
def test_features_depend_on_neither_company_nor_threads(photo_bundle: Path, native: bool) -> None:
    """An image has the same features to the bit among 1, 7 or 64, in any order, with 1 or 4 threads."""
    loaded = load(photo_bundle)
    together = OnnxNetwork(loaded.card, loaded.weights, threads=1).features(IMAGES, native)
    network = OnnxNetwork(loaded.card, loaded.weights, threads=4)
    order = np.random.default_rng(0).permutation(64)
    shuffled = network.features([IMAGES[number] for number in order], native)
    for whole, again in zip(together, shuffled, strict=True):
        assert np.array_equal(whole[order], again)
    for size in (1, 7, 64):
        for whole, part in zip(together, network.features(IMAGES[:size], native), strict=True):
            assert np.array_equal(whole[:size], part)


@pytest.mark.parametrize(("clear", "bias", "views"), [(0.0, 0.0, 2), (1.1, 0.0, 4), (0.5, 100.0, 4)])
def test_further_views_count_where_no_label_is_clear(
    photo_bundle: Path, monkeypatch: pytest.MonkeyPatch, clear: float, bias: float, views: int
) -> None:
    """Features are means over the first two views where these make a label, not none of them, clear; else over all four."""
    loaded = load(photo_bundle)
    loaded.weights["photo_head.bias"][10] += bias
    for module in (onnx_network, torch_network):
        monkeypatch.setattr(module, "CLEAR", clear)
    network = loaded.network()
    with torch.inference_mode():
        maps = [network.maps(view) for view in photo_views(stacked(IMAGES[:2]))[:views]]
        logits = np.stack([network.photo_logits_of_maps(last).numpy() for _, last in maps])
        pooled = np.stack([pool_maps(one).numpy() for one in maps]).mean(0)
    expected = softmax(logits.reshape(-1, 11) / np.float32(loaded.card.photo_temperature)).reshape(logits.shape).mean(0)
    for found in (OnnxNetwork(loaded.card, loaded.weights), TorchNetwork(loaded, "cpu")):
        probabilities, means = found.features(IMAGES[:2], native=False)
        assert np.allclose(expected, probabilities, atol=1e-5)
        assert np.allclose(pooled, means, atol=1e-4 * np.abs(pooled).max())


def test_shapes_and_types(photo_bundle: Path) -> None:
    """Features are float32: a column for each class of the head, and `maps_size` columns of maps."""
    loaded = load(photo_bundle)
    network = OnnxNetwork(loaded.card, loaded.weights)
    for native, classes in ((True, 10), (False, 11)):
        probabilities, maps = network.features(IMAGES[:3], native)
        assert ((3, classes), np.float32) == (probabilities.shape, probabilities.dtype)
        assert ((3, network.maps_size), np.float32) == (maps.shape, maps.dtype)
        assert np.allclose(1, probabilities.sum(1), atol=1e-6)


@pytest.mark.parametrize("count", [1, 2, 65])
def test_any_number_of_images_is_timed(photo_bundle: Path, count: int) -> None:
    """A forward pass for timing takes as many images as are given, also fewer than there are threads."""
    loaded = load(photo_bundle)
    OnnxNetwork(loaded.card, loaded.weights, threads=2).forward(count)


def test_weights_that_do_not_fit_are_refused(photo_bundle: Path) -> None:
    """The weights of another network raise a `ValueError` when the network is made ready, not with the first image."""
    loaded = load(photo_bundle)
    card = load("tiny").card
    assert card.network != loaded.card.network != NetworkConfig()
    with pytest.raises(ValueError, match="the weights"):
        OnnxNetwork(card, loaded.weights)
