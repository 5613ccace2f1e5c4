"""Networks and views of the ablation of the backbone: what a name such as `lite0-224-mirrored` in its cache stands for."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from unittest.mock import patch

import cv2
import numpy as np
import torch

from benchmarks.accuracy.backbone_cache import View
from tagger.arrays import Pixels
from tagger.models import efficientnet, efficientnet_graph
from tagger.models.backbone import Backbone
from tagger.models.efficientnet import EfficientNetLite0, load_published
from tagger.models.efficientnet_graph import Stage
from tagger.models.published_backbone import read_backbone

STAGES: Mapping[str, tuple[Stage, ...]] = {
    "lite1": (
        Stage(1, 3, 1, 1, 16),
        Stage(3, 3, 2, 6, 24),
        Stage(3, 5, 2, 6, 40),
        Stage(4, 3, 2, 6, 80),
        Stage(4, 5, 1, 6, 112),
        Stage(5, 5, 2, 6, 192),
        Stage(1, 3, 1, 6, 320),
    ),
    "lite2": (
        Stage(1, 3, 1, 1, 16),
        Stage(3, 3, 2, 6, 24),
        Stage(3, 5, 2, 6, 48),
        Stage(4, 3, 2, 6, 88),
        Stage(4, 5, 1, 6, 120),
        Stage(5, 5, 2, 6, 208),
        Stage(1, 3, 1, 6, 352),
    ),
}
"""Layouts of the larger networks of the family, as published: Lite1 is deeper, Lite2 deeper and wider."""

HALF = 0.6
"""Side of the second crops as a share of the picture's."""


def plain(picture: Pixels) -> Pixels:
    """Return the picture as it is."""
    return picture


def mirrored(picture: Pixels) -> Pixels:
    """Return the mirror image."""
    return np.ascontiguousarray(picture[:, ::-1])


def upper_half(picture: Pixels) -> Pixels:
    """Return the upper middle of the picture, enlarged to its size."""
    return _enlarged(picture, 0)


def centre(picture: Pixels) -> Pixels:
    """Return the middle of the picture, enlarged to its size."""
    return _enlarged(picture, round((1 - HALF) / 2 * len(picture)))


def _enlarged(picture: Pixels, top: int) -> Pixels:
    side = round(HALF * len(picture))
    left = (len(picture) - side) // 2
    part = picture[top : top + side, left : left + side]
    return np.asarray(cv2.resize(part, picture.shape[:2], interpolation=cv2.INTER_CUBIC), np.uint8)


def resized(side: int) -> View:
    """Return the view at another side in pixels."""
    return lambda picture: np.asarray(
        cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA if side < len(picture) else cv2.INTER_CUBIC), np.uint8
    )


def lite0(backbone: Path, side: int = 224) -> Callable[[], bytes]:
    """Return what makes the graph of a file of EfficientNet-Lite0, for pictures of a side in pixels."""

    def graph() -> bytes:
        with patch.object(efficientnet_graph, "SIDE", side):
            return read_backbone(backbone).graph()

    return graph


def larger(name: str, file: Path, side: int = 224) -> Callable[[], bytes]:
    """Return what makes the graph of the published weights of Lite1 or Lite2, for pictures of a side in pixels."""

    def graph() -> bytes:
        stages = STAGES[name]
        with patch.multiple(efficientnet_graph, STAGES=stages, SIDE=side), patch.object(efficientnet, "STAGES", stages):
            return graph_of(published(file))

    return graph


def published(file: Path) -> EfficientNetLite0:
    """Return the network with the published weights in a file."""
    state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    return load_published(state)


def graph_of(network: EfficientNetLite0) -> bytes:
    """Return the graph of a network, with its weights as a bundle stores them."""
    return Backbone.of_weights({name: tensor.numpy() for name, tensor in network.state_dict().items()}).graph()
