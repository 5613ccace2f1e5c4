"""Optimizers of a recipe, and their learning-rate schedule."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tagger.models.network import Network
from tagger.training.muon import Muon
from tagger.training.recipe import Recipe


def build_optimizers(network: Network, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """Muon for the convolutions inside; Nesterov SGD for the first one, dense layers, norms and biases (as airbench does).

    Or Nesterov SGD for all, or Adam (Kingma and Ba 2014, arXiv 1412.6980).
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
            if is_on_cuda(network):  # where a recorded step reads it anew each time
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
    return next(network.parameters()).is_cuda


def set_learning_rates(optimizers: Sequence[torch.optim.Optimizer], share: float) -> None:
    """Set the learning rates to a share of their peaks."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            rate = group["peak_lr"] * share
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate


def learning_rate_share(step: int, steps: int, warmup_steps: int) -> float:
    """Return the share of the cycle's peak: linear up over the warm-up, linear down to 0 at the end."""
    return min(1.0, (step + 1) / warmup_steps) * (1 - step / steps)
