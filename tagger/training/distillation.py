"""What a network learns from others beside the labels: softer targets, and which pictures have nothing left to teach."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from tagger.data.images import Images
from tagger.models.network import flip_averaged_probabilities
from tagger.training.recipe import Cycle

SURE = 0.98
"""The least probability of its label, by those that have learnt it, at which a picture is easy."""


def distillation_targets(pictures: Images, cycle: Cycle, networks: Sequence[nn.Module]) -> tuple[Tensor, Tensor]:
    """Return what to learn of each picture, on the pictures' device, and which of them are easy, bool (n,), on the processor.

    The first are the int64 labels (n,), or float32 (n, classes) where the cycle also learns from other networks. What these say
    of each picture and its mirror image, on average, is better than any one of them, and softer than the labels where those are
    doubtful ("Distilling the knowledge in a neural network", arXiv 1503.02531; of the ends of earlier cycles, "Snapshot
    distillation", arXiv 1812.00123). They also know which pictures have nothing left to teach, as a proxy network does in the
    airbench recipes (arXiv 2404.00498): half the work, spent on the other half.
    """
    easy = torch.zeros(len(pictures), dtype=torch.bool)
    targets = pictures.labels if pictures.targets is None else pictures.targets
    if cycle.distillation == 0 and cycle.easy_keep_fraction == 1:
        return targets, easy
    device = pictures.pixels.device
    ready = [network.to(device, memory_format=torch.channels_last) for network in networks]  # type: ignore[call-overload]
    taught = torch.stack([flip_averaged_probabilities(network, pictures.pixels) for network in ready]).mean(0)
    if cycle.easy_keep_fraction < 1:
        easy = taught.gather(1, pictures.labels[:, None])[:, 0].cpu() >= SURE
    if cycle.distillation > 0:
        targets = torch.lerp(functional.one_hot(pictures.labels, taught.shape[1]).float(), taught, cycle.distillation)
    return targets, easy
