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
            for alike in _alike(weight for weight in group["params"] if weight.grad is not None):
                self._move(alike, group)

    def _ahead(self, weights: list[Tensor], momentum: float) -> list[Tensor]:
        """Return where each velocity, brought up to date, and the gradient together point to: Nesterov's momentum."""
        gradients: list[Tensor] = [weight.grad for weight in weights]  # type: ignore[misc]
        for weight in weights:
            if "velocity" not in self.state[weight]:
                self.state[weight]["velocity"] = torch.zeros_like(weight)
        velocities = [self.state[weight]["velocity"] for weight in weights]
        torch._foreach_mul_(velocities, momentum)
        torch._foreach_add_(velocities, gradients)
        return list(torch._foreach_add(gradients, velocities, alpha=momentum))

    def _move(self, weights: list[Tensor], group: dict[str, float]) -> None:
        """Move weights of one shape, in few operations: where networks are small, their number is the time."""
        length = len(weights[0]) ** 0.5
        matrices = torch.stack([ahead.reshape(len(ahead), -1) for ahead in self._ahead(weights, group["momentum"])])
        directions = orthogonalise(matrices, int(group["iterations"]))
        steepness = _norms(directions).clamp_min(1e-30)  # where nothing is to be learnt, nothing is
        steps = (directions * (group["lr"] * length / steepness)).unbind()
        torch._foreach_mul_(weights, [length / norm for norm in torch._foreach_norm(weights)])
        torch._foreach_sub_(weights, [step.view(weights[0].shape) for step in steps])


def _alike(weights: Iterable[Tensor]) -> list[list[Tensor]]:
    """Return the weights, those of one shape together."""
    alike: dict[torch.Size, list[Tensor]] = {}
    for weight in weights:
        alike.setdefault(weight.shape, []).append(weight)
    return list(alike.values())


def _norms(matrices: Tensor) -> Tensor:
    norms: Tensor = torch.linalg.vector_norm(matrices, dim=(-2, -1), keepdim=True)
    return norms


def orthogonalise(matrices: Tensor, iterations: int) -> Tensor:
    """Return roughly the orthogonal factors of float (n, rows, columns), singular values within 0.7..1.2.

    Newton-Schulz iteration of the fifth order with Muon's coefficients, which favour speed over exactness.
    """
    x: Tensor = matrices / (_norms(matrices) + 1e-7)
    tall = x.shape[1] > x.shape[2]
    x = x.mT if tall else x
    for _ in range(iterations):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=-4.7750, alpha=2.0315), x, beta=3.4445)
    return x.mT if tall else x
