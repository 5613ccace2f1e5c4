"""A network normalizes its images, has a head for each kind of them, and scores any number in batches."""

import pytest
import torch
from torch import Tensor

from tagger.models.config import NetworkConfig
from tagger.models.network import BATCH, Network, flip_averaged_probabilities, logits_in_batches

pytestmark = pytest.mark.usefixtures("one_thread")


def pixels_of(count: int, side: int = 28) -> Tensor:
    """Return random images."""
    return torch.randint(0, 256, (count, 1, side, side), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def network() -> Network:
    """A small network with two heads."""
    torch.manual_seed(0)
    return Network(NetworkConfig((8, 16), photo_classes=11)).eval()


@torch.no_grad()
def test_images_are_normalized_by_the_config() -> None:
    """An image of the config's mean enters the first layer as 0, whatever the type of its pixels."""
    network = Network(NetworkConfig((8, 16), mean=0.2, deviation=0.5)).eval()
    entered: list[Tensor] = []
    network.stages[0].register_forward_hook(lambda _, inputs, __: entered.append(inputs[0]))
    network(torch.full((1, 1, 28, 28), 51, dtype=torch.uint8))
    network(torch.full((1, 1, 28, 28), 255.0))
    assert torch.allclose(entered[0], torch.zeros(1), atol=1e-6)
    assert torch.allclose(entered[1], torch.tensor((1 - 0.2) / 0.5), atol=1e-6)


@torch.no_grad()
def test_each_head_scores_the_same_features(network: Network) -> None:
    """Logits come from images, from the last feature maps or from the features, with the same result."""
    pixels = pixels_of(3)
    _, last = network.maps(pixels)
    features = network.features(pixels)
    assert network.photo_head is not None
    assert torch.equal(network(pixels), network.logits_of_maps(last))
    assert torch.equal(network(pixels), network.head(features))
    assert torch.equal(network.photo_logits(pixels), network.photo_logits_of_maps(last))
    assert torch.equal(network.photo_logits(pixels), network.photo_head(features))
    assert (network(pixels).shape, network.photo_logits(pixels).shape) == ((3, 10), (3, 11))


@torch.no_grad()
def test_a_single_head_scores_photos_too() -> None:
    """Without a second head the first one's logits are those of photos."""
    network = Network(NetworkConfig((8, 16))).eval()
    assert network.photo_head is None
    assert torch.equal(network.photo_logits(pixels_of(2)), network(pixels_of(2)))


def test_parts_are_the_networks_own_modules(network: Network) -> None:
    """The parts are not copied, and tell the sizes of what they give."""
    parts = network.parts()
    assert [*map(id, parts.layers)] == [*map(id, network.stages)]
    assert parts.neck is network.neck
    assert (parts.width, parts.channels) == (16, (8, 16))


def test_images_are_scored_in_batches_without_gradients(network: Network) -> None:
    """Every image is scored once, in order, at most `BATCH` at a time, by any function of images."""
    sizes: list[int] = []

    def scorer(batch: Tensor) -> Tensor:
        sizes.append(len(batch))
        return batch.float().mean((1, 2, 3))[:, None]

    pixels = pixels_of(2 * BATCH + 1, side=4)
    assert torch.equal(logits_in_batches(scorer, pixels)[:, 0], pixels.float().mean((1, 2, 3)))
    assert sizes == [BATCH, BATCH, 1]
    assert not logits_in_batches(network, pixels_of(2)).requires_grad


def test_flips_are_averaged(network: Network) -> None:
    """An image and its flip get the same probabilities, the mean of both, and rows sum to 1."""
    pixels = pixels_of(4)
    probabilities = flip_averaged_probabilities(network, pixels)
    with torch.no_grad():
        expected = (network(pixels).softmax(1) + network(pixels.flip(3)).softmax(1)) / 2
    assert torch.allclose(probabilities, expected, atol=1e-6)
    assert torch.allclose(flip_averaged_probabilities(network, pixels.flip(3)), probabilities, atol=1e-6)
    assert torch.allclose(probabilities.sum(1), torch.ones(4), atol=1e-5)
