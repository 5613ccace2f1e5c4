"""The Muon optimizer for convolutions, scaled for weights that a normalisation follows."""

from collections.abc import Iterable

import torch
from torch import Tensor


class Muon(torch.optim.Optimizer):
    """Orthogonalised Nesterov momentum (Jordan 2024, kellerjordan.github.io/posts/muon).

    As in the airbench CIFAR-10 recipes (arXiv 2404.00498) each weight is held at the norm sqrt(output channels): batch
    normalisation makes its length meaningless, so that `lr` is the relative size of a step, and no weight decay is
    needed. torch.optim.Muon takes matrices alone and has no such scaling; this one takes weights (out, in, h, w).
    """

    def __init__(self, weights: Iterable[Tensor], lr: float, momentum: float = 0.9, iterations: int = 4) -> None:
        super().__init__(weights, {"lr": lr, "momentum": momentum, "iterations": iterations})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update every weight that has a gradient."""
        for group in self.param_groups:
            for alike in _by_shape(weight for weight in group["params"] if weight.grad is not None):
                self._update(alike, group)

    def _nesterov(self, weights: list[Tensor], momentum: float) -> list[Tensor]:
        """Update the momentum buffers, and return for each weight its gradient plus the momentum: Nesterov's look-ahead."""
        gradients: list[Tensor] = [weight.grad for weight in weights]  # type: ignore[misc]
        for weight in weights:
            if "velocity" not in self.state[weight]:
                self.state[weight]["velocity"] = torch.zeros_like(weight)
        velocities = [self.state[weight]["velocity"] for weight in weights]
        torch._foreach_mul_(velocities, momentum)
        torch._foreach_add_(velocities, gradients)
        return list(torch._foreach_add(gradients, velocities, alpha=momentum))

    def _update(self, weights: list[Tensor], group: dict[str, float]) -> None:
        """Update weights of one shape together: for small networks the number of operations decides the time."""
        length = len(weights[0]) ** 0.5
        matrices = torch.stack([ahead.reshape(len(ahead), -1) for ahead in self._nesterov(weights, group["momentum"])])
        directions = orthogonalise(matrices, int(group["iterations"]))
        norms = _norms(directions).clamp_min(1e-30)  # a gradient of zero moves nothing
        steps = (directions * (group["lr"] * length / norms)).unbind()
        torch._foreach_mul_(weights, [length / norm for norm in torch._foreach_norm(weights)])
        torch._foreach_sub_(weights, [step.view(weights[0].shape) for step in steps])


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


def _by_shape(weights: Iterable[Tensor]) -> list[list[Tensor]]:
    """Return the weights grouped by their shape."""
    groups: dict[torch.Size, list[Tensor]] = {}
    for weight in weights:
        groups.setdefault(weight.shape, []).append(weight)
    return list(groups.values())


def _norms(matrices: Tensor) -> Tensor:
    norms: Tensor = torch.linalg.vector_norm(matrices, dim=(-2, -1), keepdim=True)
    return norms
