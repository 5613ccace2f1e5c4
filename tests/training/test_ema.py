"""The exponential moving average of the weights."""
# ruff: noqa: SIM300 - what is expected stands first, as in every test here

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from tagger.training.ema import WeightEMA

pytestmark = pytest.mark.usefixtures("one_thread")


def test_the_average_is_torchs_own() -> None:
    """Weights and running statistics are averaged as torch does it; counters are copied, from the first step on."""
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    own = WeightEMA(network, 0.9)
    theirs = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    for step in range(120):  # from step 100 on the decay is 0.9 in both
        network(torch.randn(8, 3)).square().sum().backward()
        optimizer.step()
        own.update()
        if step == 99:
            theirs.module.load_state_dict(own.network.state_dict())
            theirs.n_averaged.fill_(100)
        elif step > 99:
            theirs.update_parameters(network)
    assert 120 == own.network[1].num_batches_tracked
    theirs.module[1].num_batches_tracked.fill_(120)  # torch averages counters too
    for name, tensor in own.network.state_dict().items():
        torch.testing.assert_close(theirs.module.state_dict()[name], tensor, rtol=0, atol=1e-6)


def test_the_first_weights_are_soon_forgotten() -> None:
    """The average begins with the first step's weights, and its memory grows with the number of steps."""
    network = nn.Linear(1, 1, bias=False)
    average = WeightEMA(network, 0.999)
    seen = []
    for value in (1.0, 2.0, 3.0):
        nn.init.constant_(network.weight, value)
        average.update()
        seen.append(average.network.weight.item())
    assert pytest.approx([1.0, 1 + 9 / 11, 1 + 9 / 11 + 9 / 12 * (2 - 9 / 11)]) == seen


def test_a_restored_average_continues_with_its_memory() -> None:
    """The number of steps is restored too, so that the next update weighs as it would have."""
    network = nn.Linear(1, 1, bias=False)
    first, second = WeightEMA(network, 0.999), WeightEMA(network, 0.999)
    for value in (1.0, 2.0):
        nn.init.constant_(network.weight, value)
        first.update()
    second.load_state_dict(first.state_dict())
    nn.init.constant_(network.weight, 3.0)
    first.update()
    second.update()
    assert torch.equal(first.network.weight, second.network.weight)


def test_without_decay_the_average_is_the_last_weights() -> None:
    """A decay of 0 keeps the weights of the last step."""
    network = nn.Linear(2, 2)
    average = WeightEMA(network, 0.0)
    for _ in range(3):
        nn.init.normal_(network.weight)
        average.update()
    assert torch.equal(network.weight, average.network.weight)
