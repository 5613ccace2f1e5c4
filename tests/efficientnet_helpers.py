"""Random weights of EfficientNet-Lite0, under the names here and under the published ones."""

from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tagger.models.efficientnet_graph import FEATURES, STEM_CHANNELS, blocks
from tagger.models.imagenet import IMAGENET_CLASSES

Weights = dict[str, NDArray[Any]]


@cache
def random_weights() -> Weights:
    """Return seeded weights of every layer, of a size at which activations neither vanish nor explode."""
    rng = np.random.default_rng(0)
    weights: Weights = {
        "classifier.weight": rng.normal(0, FEATURES**-0.5, (IMAGENET_CLASSES, FEATURES)),
        "classifier.bias": rng.normal(0, 1, IMAGENET_CLASSES),
    }

    def add(place: str, outputs: int, inputs: int, kernel: int) -> None:
        weights[f"{place}.conv.weight"] = rng.normal(0, (2 / (inputs * kernel**2)) ** 0.5, (outputs, inputs, kernel, kernel))
        ranges = {"weight": (0.8, 1.5), "bias": (-0.2, 0.5), "running_mean": (-0.5, 0.5), "running_var": (0.5, 2)}
        for name, (low, high) in ranges.items():
            weights[f"{place}.norm.{name}"] = rng.uniform(low, high, outputs)

    add("stem", STEM_CHANNELS, 3, 3)
    for number, block in enumerate(blocks()):
        inner = block.inputs * block.expansion
        if block.expansion > 1:
            add(f"blocks.{number}.expand", inner, block.inputs, 1)
        add(f"blocks.{number}.depthwise", inner, 1, block.kernel)
        add(f"blocks.{number}.project", block.outputs, inner, 1)
    add("last", FEATURES, block.outputs, 1)
    return {name: array.astype(np.float32) for name, array in weights.items()}


def published_name(name: str) -> str:
    """Return the published name of a weight: `_blocks.3._expand_conv.weight` for `blocks.3.expand.conv.weight`."""
    layer, _, parameter = name.rpartition(".")
    alone = {
        "stem.conv": "_conv_stem",
        "stem.norm": "_bn0",
        "last.conv": "_conv_head",
        "last.norm": "_bn1",
        "classifier": "_fc",
    }
    if layer in alone:
        return f"{alone[layer]}.{parameter}"
    _, number, part, kind = layer.split(".")
    norms = {"expand": "_bn0", "depthwise": "_bn1", "project": "_bn2"}
    return f"_blocks.{number}.{norms[part] if kind == 'norm' else f'_{part}_conv'}.{parameter}"


def published_state() -> dict[str, torch.Tensor]:
    """Return the random weights as a state dict under the published names."""
    return {published_name(name): torch.from_numpy(array) for name, array in random_weights().items()}
