"""Optimizers of a recipe, and their learning-rate schedule."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tagger.models.network import Network
from tagger.training.muon import Muon
from tagger.training.recipe import Recipe


def build_optimizers(network: Network, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """Return Muon for the inner convolutions and Nesterov SGD for the first one, dense layers, norms and biases, as airbench.

    Or by the recipe Nesterov SGD for all, or Adam (Kingma and Ba 2014, arXiv 1412.6980). Each parameter group keeps its highest
    learning rate as `peak_lr`.
    """
    optimizers: list[torch.optim.Optimizer]
    if recipe.optimizer == "adam":
        on_cuda = is_on_cuda(network)
        weights, decay = network.parameters(), recipe.weight_decay
        optimizers = [torch.optim.Adam(weights, lr=recipe.sgd_lr, weight_decay=decay, fused=on_cuda, capturable=on_cuda)]
    else:
        optimizers = _muon_and_sgd(network, recipe)
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["peak_lr"] = group["lr"]
            if is_on_cuda(network):  # a tensor, which a captured step reads anew each time
                group["lr"] = torch.tensor(group["lr"], device="cuda")
    return optimizers


def _muon_and_sgd(network: Network, recipe: Recipe) -> list[torch.optim.Optimizer]:
    def by_muon(weight: Tensor) -> bool:
        return recipe.optimizer == "muon" and weight.ndim == 4 and weight.shape[1] > 1

    weights = list(network.parameters())
    inner = [weight for weight in weights if by_muon(weight)]
    outer = [weight for weight in weights if weight.ndim > 1 and not by_muon(weight)]
    vectors = [weight for weight in weights if weight.ndim == 1]
    sgd = torch.optim.SGD(
        [{"params": outer, "weight_decay": recipe.weight_decay}, {"params": vectors, "weight_decay": 0.0}],
        lr=recipe.sgd_lr,
        momentum=0.9,
        nesterov=True,
        fused=is_on_cuda(network),
    )
    return [sgd, Muon(inner, lr=recipe.muon_lr)] if inner else [sgd]


def is_on_cuda(network: nn.Module) -> bool:
    """Return whether a network's parameters are on a CUDA device."""
    return next(network.parameters()).is_cuda


def set_learning_rates(optimizers: Sequence[torch.optim.Optimizer], share: float) -> None:
    """Set every group's learning rate to a share of its peak."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            rate = group["peak_lr"] * share
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate


def learning_rate_share(step: int, steps: int, warmup_steps: int) -> float:
    """Return the share of a cycle's peak at `step` of `steps`, counted from 0: linear warm-up, then linear decay to 0."""
    return min(1.0, (step + 1) / warmup_steps) * (1 - step / steps)
