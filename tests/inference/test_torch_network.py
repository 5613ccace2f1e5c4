"""In torch a network averages the same views, pools its maps and pads its batches, so that no image depends on the others."""
# ruff: noqa: SIM300 - the expected value stands first, as in every test here

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from bundle_helpers import product_images, stacked
from torch import nn

from tagger.inference.settings import BATCH_SIZE
from tagger.inference.torch_network import (
    TorchNetwork,
    fold_norms,
    native_predictions,
    native_probabilities,
    photo_probabilities,
    photo_views,
    pool_maps,
    smaller,
)
from tagger.models.bundle import load

pytestmark = pytest.mark.usefixtures("one_thread")


def test_features_are_the_networks(photo_bundle: Path) -> None:
    """Photos' cuts and native images get the probabilities and maps of their head and views, in rows of their own."""
    loaded = load(photo_bundle)
    network = TorchNetwork(loaded, "cpu")
    images = product_images(5)
    probabilities, maps = network.features(images, native=False)
    expected = photo_probabilities(loaded.network(), stacked(images), loaded.card.photo_temperature)
    assert np.allclose(expected.detach().numpy(), probabilities, atol=1e-5)
    assert (5, network.maps_size) == maps.shape
    native, _ = network.features(images, native=True)
    expected = native_probabilities(loaded.network(), stacked(images), loaded.card.temperature)
    assert np.allclose(expected.detach().numpy(), native, atol=1e-5)


def test_features_do_not_depend_on_the_batch(photo_bundle: Path) -> None:
    """An image gets the same features bit for bit in a batch of any size."""
    network = TorchNetwork(load(photo_bundle), "cpu")
    images = product_images(BATCH_SIZE)
    together = network.features(images, native=False)
    for size in (1, 7):
        for whole, part in zip(together, network.features(images[:size], native=False), strict=True):
            assert np.array_equal(whole[:size], part)


def test_the_bundle_is_left_alone(photo_bundle: Path) -> None:
    """A network made ready, with its norms folded, changes no weight of the bundle."""
    loaded = load(photo_bundle)
    before = {name: array.copy() for name, array in loaded.weights.items()}
    TorchNetwork(replace(loaded), "cpu").forward(3)
    assert all(np.array_equal(before[name], array) for name, array in loaded.weights.items())


def test_smaller_views_keep_the_background_at_the_border() -> None:
    """The smaller view is the image at 24x24 within a border of two pixels of 0, so that flat images keep their value."""
    view = smaller(torch.full((2, 1, 28, 28), 200, dtype=torch.uint8))
    assert (2, 1, 28, 28) == tuple(view.shape)
    assert torch.allclose(view[:, :, 2:26, 2:26], torch.tensor(200.0), atol=1e-3)
    view[:, :, 2:26, 2:26] = 0
    assert 0 == view.abs().max()
    assert 4 == len(photo_views(torch.zeros(1, 1, 28, 28, dtype=torch.uint8)))


def test_pooled_maps_keep_where_things_are() -> None:
    """Maps are averaged in 3x3 and 2x2 cells; channels, then cells, are the columns."""
    before = torch.arange(36.0).reshape(1, 1, 6, 6)
    last = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [7.0, 8.0]]]])
    pooled = pool_maps((before, last))
    assert (1, 9 + 8) == tuple(pooled.shape)
    assert [3.5, 5.5, 7.5] == pooled[0, :3].tolist()
    assert list(range(1, 9)) == pooled[0, 9:].tolist()


def test_folded_norms_change_no_output() -> None:
    """Folding leaves no batch normalization after a convolution, at any depth, and the same function."""
    torch.manual_seed(0)
    inner = nn.Sequential(nn.Conv2d(4, 3, 3), nn.BatchNorm2d(3))
    network = nn.Sequential(nn.Conv2d(1, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(), inner).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight)
            nn.init.normal_(module.running_mean)
    pixels = torch.randn(2, 1, 9, 9)
    with torch.no_grad():
        expected = network(pixels)
        fold_norms(network)
        assert torch.allclose(expected, network(pixels), atol=1e-5)
    assert not [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]


def test_any_number_of_images_is_scored_in_parts(small_bundle: Path) -> None:
    """More images than a forward pass takes get the probabilities that they get alone."""
    network = load(str(small_bundle)).network()
    pixels = stacked(product_images(501))
    rows = native_predictions(network, pixels, 2.0)
    assert (501, 10) == tuple(rows.shape)
    with torch.no_grad():
        assert torch.allclose(rows[499:], native_probabilities(network, pixels[499:], 2.0), atol=1e-5)
