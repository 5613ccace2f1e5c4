"""The Muon optimizer: orthogonalised steps of a fixed relative size."""
# ruff: noqa: SIM300 - what is expected stands first, as in every test here

import pytest
import torch
from torch import nn

from tagger.training.muon import Muon, orthogonalise

pytestmark = pytest.mark.usefixtures("one_thread")


def test_weights_of_one_shape_do_not_mix() -> None:
    """Weights of one shape are updated together, each as by itself, and all are held at the norm sqrt(output channels)."""
    torch.manual_seed(0)
    shapes = [(16, 8, 3, 3), (8, 16, 3, 3), (16, 8, 3, 3), (16, 16, 1, 1), (16, 8, 3, 3)]
    together = [nn.Parameter(torch.randn(shape)) for shape in shapes]
    alone = [nn.Parameter(weight.detach().clone()) for weight in together]
    optimizers = [Muon(together, lr=0.05), *(Muon([weight], lr=0.05) for weight in alone)]
    for _ in range(3):
        for one, other in zip(together, alone, strict=True):
            one.grad = torch.randn_like(one)
            other.grad = one.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
    for one, other in zip(together, alone, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5)
        assert abs(one.norm().item() / len(one) ** 0.5 - 1) < 0.1


def test_singular_values_become_alike() -> None:
    """The step's matrices are nearly orthogonal, tall and wide ones, however uneven the gradient."""
    torch.manual_seed(0)
    for shape in ((2, 8, 30), (2, 30, 8)):
        values = torch.linalg.svdvals(orthogonalise(torch.randn(shape) * torch.linspace(0.2, 5, shape[2]), 5))
        assert 0.6 < values.min() < values.max() < 1.3


def test_the_step_has_the_relative_size_of_the_learning_rate() -> None:
    """A step's norm is `lr` times that of the weight, whatever the length of the gradient."""
    torch.manual_seed(0)
    for scale in (1e-3, 1e3):
        weight = nn.Parameter(torch.randn(16, 8, 3, 3))
        with torch.no_grad():
            weight.mul_(4 / weight.norm())
        before = weight.detach().clone()
        weight.grad = scale * torch.randn_like(weight)
        Muon([weight], lr=0.05).step()
        assert 0.05 == pytest.approx((weight - before).norm().item() / 4, rel=1e-3)


def test_the_step_goes_against_the_gradient_with_momentum() -> None:
    """The first step goes against the gradient; after it a zero gradient still moves the weight by its momentum."""
    torch.manual_seed(0)
    weight = nn.Parameter(torch.randn(16, 8, 3, 3))
    gradient = torch.randn_like(weight)
    optimizer = Muon([weight], lr=0.05)
    for current in (gradient, torch.zeros_like(gradient)):
        before = weight.detach() * 4 / weight.detach().norm()
        weight.grad = current.clone()
        optimizer.step()
        assert ((weight - before) * gradient).sum() < 0


def test_a_zero_gradient_moves_nothing() -> None:
    """Without gradient and momentum a weight stays where it is, and stays finite; one without a gradient is left out."""
    weight, other = (nn.Parameter(torch.randn(4, 4, 1, 1)) for _ in range(2))
    weight.grad = torch.zeros_like(weight)
    with torch.no_grad():
        weight.mul_(2 / weight.norm())
    before, untouched = weight.detach().clone(), other.detach().clone()
    Muon([weight, other], lr=0.1).step()
    torch.testing.assert_close(before, weight.detach())
    assert torch.equal(untouched, other)
