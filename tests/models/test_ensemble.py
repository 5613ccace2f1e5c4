"""Merged networks are the ensemble of their members."""

import pytest
import torch

from tagger.models.config import NetworkConfig
from tagger.models.ensemble import merge
from tagger.models.network import Network

pytestmark = pytest.mark.usefixtures("one_thread")

CONFIGS = (
    NetworkConfig((8, 16), photo_classes=11),
    NetworkConfig((8, 16), pooled=True),
    NetworkConfig((4, 6), family="plain", dense=(12,), dropout=0.5),
)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: f"{config.family} {config.photo_classes}")
def test_logits_are_the_mean_of_the_members(config: NetworkConfig) -> None:
    """Both heads give the mean of the members' logits, in evaluation mode, and the config counts the members."""
    torch.manual_seed(0)
    members = [Network(config).eval() for _ in range(3)]
    pixels = torch.randint(0, 256, (5, 1, 28, 28), dtype=torch.uint8)
    with torch.no_grad():
        expected = torch.stack([member(pixels) for member in members]).mean(0)
        expected_photos = torch.stack([member.photo_logits(pixels) for member in members]).mean(0)
        merged = merge(members)
        assert torch.allclose(merged(pixels), expected, atol=1e-5)
        assert torch.allclose(merged.photo_logits(pixels), expected_photos, atol=1e-5)
    assert (merged.config.members, merged.training) == (3, False)


def test_a_merged_network_is_built_from_its_config() -> None:
    """A network of the ensemble's config takes the ensemble's weights, as a loaded bundle does."""
    torch.manual_seed(0)
    merged = merge([Network(CONFIGS[0]) for _ in range(2)])
    again = Network(merged.config).eval()
    again.load_state_dict(merged.state_dict())
    pixels = torch.randint(0, 256, (2, 1, 28, 28), dtype=torch.uint8)
    with torch.no_grad():
        assert torch.equal(again(pixels), merged(pixels))
