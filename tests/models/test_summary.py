"""Parameters and multiply-accumulates of a network."""

from tagger.models.config import NetworkConfig
from tagger.models.network import Network
from tagger.models.summary import count_macs, count_parameters
from tagger.training.recipes import SHAPES


def test_network_is_small() -> None:
    """The default network has at most 310,000 parameters and takes at most 40 million multiply-accumulates."""
    network = Network(NetworkConfig())
    assert count_parameters(network) <= 310_000
    assert count_macs(network) <= 40e6


def test_macs_are_counted_right() -> None:
    """Counted by hand, a network of one stage takes what its layers take, and counting leaves it as it was."""
    network = Network(NetworkConfig(widths=(4,), classes=10))
    places = 28 * 28
    assert places * 9 * (1 * 4 + 4 * 4 + 4 * 4) + 4 * 10 == count_macs(network)
    assert network.training
    assert not any(module._forward_hooks for module in network.modules())


def test_shipped_networks_are_within_their_limits() -> None:
    """`tiny` has at most 100,000 parameters and 12 million multiply-accumulates, `base` 0.31 and 40 million."""
    for name, parameters, macs in (("tiny", 100_000, 12_000_000), ("base", 310_000, 40_000_000)):
        network = Network(SHAPES[name])
        assert count_parameters(network) <= parameters
        assert count_macs(network) <= macs
