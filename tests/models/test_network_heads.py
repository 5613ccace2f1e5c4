"""The second head of a network, for photos."""

import pytest
import torch

from tagger.models.config import NetworkConfig
from tagger.models.network import Network


@pytest.mark.parametrize("photo_classes", [1, 9, 12, -1])
def test_a_second_head_of_other_classes_is_refused(photo_classes: int) -> None:
    """A head for photos has the classes of the first one, or one more."""
    with pytest.raises(ValueError, match="photo_classes"):
        NetworkConfig(photo_classes=photo_classes)


def test_one_head_predicts_both_kinds() -> None:
    """Without a second head the logits of photos are those of the only one."""
    network = Network(NetworkConfig((8, 16))).eval()
    pixels = torch.randint(0, 256, (20, 1, 28, 28), dtype=torch.uint8)
    with torch.no_grad():
        assert torch.equal(network(pixels), network.photo_logits(pixels))
