"""Knowledge distillation: soft targets from other networks, and the images that these are already sure of."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from tagger.data.images import Images
from tagger.models.network import flip_averaged_probabilities
from tagger.training.recipe import Cycle

SURE = 0.98
"""Probability of its label, by the teachers, from which on an image is easy."""


def distillation_targets(images: Images, cycle: Cycle, teachers: Sequence[nn.Module]) -> tuple[Tensor, Tensor]:
    """Return each image's target, on the images' device, and whether it is easy, bool (n,), on the CPU.

    Targets are the int64 labels (n,), the images' own float32 targets (n, classes), or with a share of distillation the labels
    mixed with the teachers' predictions, float32 (n, classes). Predictions are the mean over teachers, and over each image and
    its mirror image: better than any single one, and softer than the labels where those are doubtful ("Distilling the knowledge
    in a neural network", arXiv 1503.02531; with the ends of earlier cycles as teachers, "Snapshot distillation",
    arXiv 1812.00123). Easy are the images whose label they give a probability of at least `SURE`; like the proxy network of the
    airbench recipes (arXiv 2404.00498), this lets an epoch spend its steps on the other images. No image is easy where the
    cycle sees all of them.
    """
    easy = torch.zeros(len(images), dtype=torch.bool)
    targets = images.labels if images.targets is None else images.targets
    if cycle.distillation == 0 and cycle.easy_keep_fraction == 1:
        return targets, easy
    device = images.pixels.device
    ready = [teacher.to(device, memory_format=torch.channels_last) for teacher in teachers]  # type: ignore[call-overload]
    predictions = torch.stack([flip_averaged_probabilities(teacher, images.pixels) for teacher in ready]).mean(0)
    if cycle.easy_keep_fraction < 1:
        easy = predictions.gather(1, images.labels[:, None])[:, 0].cpu() >= SURE
    if cycle.distillation > 0:
        labels = functional.one_hot(images.labels, predictions.shape[1]).float()
        targets = torch.lerp(labels, predictions, cycle.distillation)
    return targets, easy
