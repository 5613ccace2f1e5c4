"""Which optimizer trains which parameters, and the learning-rate schedule."""
# ruff: noqa: SIM300 - what is expected stands first, as in every test here

from dataclasses import replace

import pytest
import torch
from training_helpers import CONFIG, RECIPE

from tagger.models.network import Network
from tagger.training.optimizers import build_optimizers, learning_rate_share, set_learning_rates
from tagger.training.recipe import Optimizer


@pytest.mark.parametrize(("optimizer", "names"), [("muon", ["SGD", "Muon"]), ("sgd", ["SGD"]), ("adam", ["Adam"])])
def test_every_parameter_has_one_optimizer(optimizer: Optimizer, names: list[str]) -> None:
    """Whichever optimizers a recipe names, each parameter is updated by just one of them."""
    network = Network(CONFIG)
    optimizers = build_optimizers(network, replace(RECIPE, optimizer=optimizer))
    updated = [id(weight) for each in optimizers for group in each.param_groups for weight in group["params"]]
    assert names == [type(each).__name__ for each in optimizers]
    assert sorted(updated) == sorted(id(weight) for weight in network.parameters())


def test_muon_trains_the_inner_convolutions_alone() -> None:
    """Muon has the convolutions behind the first one; vectors of SGD have no weight decay."""
    network = Network(CONFIG)
    sgd, muon = build_optimizers(network, replace(RECIPE, weight_decay=0.01, sgd_lr=0.3, muon_lr=0.04))
    convolutions = [weight for weight in network.parameters() if weight.ndim == 4]
    inner = {id(weight) for weight in convolutions if weight.shape[1] > 1}
    assert inner == {id(weight) for weight in muon.param_groups[0]["params"]}
    assert len(convolutions) - 1 == len(inner)
    assert [0.01, 0.0] == [group["weight_decay"] for group in sgd.param_groups]
    assert {1} == {weight.ndim for weight in sgd.param_groups[1]["params"]}
    assert [0.3, 0.3, 0.04] == [group["peak_lr"] for optimizer in (sgd, muon) for group in optimizer.param_groups]


def test_learning_rates_are_shares_of_their_peaks() -> None:
    """Every group gets the same share of its own peak, as a number or in the tensor that a captured step reads."""
    optimizers = build_optimizers(Network(CONFIG), replace(RECIPE, sgd_lr=0.4, muon_lr=0.1))
    tensor = torch.tensor(0.1)
    optimizers[1].param_groups[0]["lr"] = tensor
    for share in (0.5, 0.25):
        set_learning_rates(optimizers, share)
        assert [0.4 * share] * 2 == [group["lr"] for group in optimizers[0].param_groups]
        assert optimizers[1].param_groups[0]["lr"] is tensor
        assert 0.1 * share == pytest.approx(tensor.item())


def test_the_schedule_warms_up_and_decays() -> None:
    """The share rises by equal parts to the end of the warm-up, and falls to one step above 0 at the end."""
    shares = [learning_rate_share(step, 10, 4) for step in range(10)]
    assert [0.25, 0.5 * 0.9, 0.75 * 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1] == pytest.approx(shares)
