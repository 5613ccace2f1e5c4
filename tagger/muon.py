"""The Muon optimizer for convolutions, scaled for weights that a normalisation follows."""

from collections.abc import Iterable

import torch
from torch import Tensor


class Muon(torch.optim.Optimizer):
    """Momentum whose step is the nearest orthogonal matrix to the gradient (Jordan 2024, kellerjordan.github.io/posts/muon).

    As in the airbench CIFAR-10 recipes (arXiv 2404.00498) each weight is held at the norm sqrt(output channels): batch
    normalisation makes its length meaningless, so that `lr` is the relative size of a step, and no weight decay is
    needed. torch.optim.Muon takes matrices alone and has no such scaling; this one takes weights (out, in, h, w).
    """

    def __init__(self, weights: Iterable[Tensor], lr: float, momentum: float = 0.9, iterations: int = 4) -> None:
        super().__init__(weights, {"lr": lr, "momentum": momentum, "iterations": iterations})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Move every weight that has a gradient."""
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self._move(weight, group)

    def _move(self, weight: Tensor, group: dict[str, float]) -> None:
        state = self.state[weight]
        if "velocity" not in state:
            state["velocity"] = torch.zeros_like(weight)
        velocity = state["velocity"].mul_(group["momentum"]).add_(weight.grad)
        ahead = weight.grad.add(velocity, alpha=group["momentum"])  # type: ignore[union-attr]  # Nesterov's
        direction = orthogonalised(ahead.reshape(len(weight), -1), int(group["iterations"])).view_as(weight)
        length = len(weight) ** 0.5
        steepness = direction.norm().clamp_min(1e-30)  # where nothing is to be learnt, nothing is
        weight.mul_(length / weight.norm()).sub_(direction.mul_(group["lr"] * length / steepness))


def orthogonalised(matrix: Tensor, iterations: int) -> Tensor:
    """Return roughly the orthogonal factor of float (rows, columns), singular values within 0.7..1.2.

    Newton-Schulz iteration of the fifth order with Muon's coefficients, which favour speed over exactness.
    """
    x: Tensor = matrix / (matrix.norm() + 1e-7)
    tall = len(x) > x.shape[1]
    x = x.T if tall else x
    for _ in range(iterations):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=-4.7750, alpha=2.0315), x, beta=3.4445)
    return x.T if tall else x
