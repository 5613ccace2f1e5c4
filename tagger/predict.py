"""One batch of pictures to calibrated probabilities. The only room that knows device and dtype."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from tagger.bundle import Bundle
from tagger.errors import DeviceError
from tagger.records import Pixels
from tagger.settings import Device

CHUNK = 64
"""Pictures in every forward pass, filled up with black: another batch shape may add in another order (pytorch#58128)."""


class Predictor:
    """A bundle's network, ready on a device."""

    def __init__(self, bundle: Bundle, device: Device = "auto") -> None:
        self._device = _available(device)
        self._temperature = bundle.card.temperature
        network = bundle.network().eval()
        _fold_norms(network)
        self._network = network.to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def __call__(self, pictures: Sequence[Pixels]) -> NDArray[np.float32]:
        """Return calibrated probabilities, float32 (n, classes), each row summing to 1, for n pictures uint8 (28, 28)."""
        chunks = [self._chunk(pictures[start : start + CHUNK]) for start in range(0, len(pictures), CHUNK)]
        return np.concatenate(chunks) if chunks else np.empty((0, self._network.config.classes), np.float32)

    @torch.inference_mode()
    def _chunk(self, pictures: Sequence[Pixels]) -> NDArray[np.float32]:
        pixels = np.zeros((CHUNK, 1, 28, 28), np.uint8)
        pixels[: len(pictures), 0] = pictures
        logits = self._network(torch.from_numpy(pixels).to(self._device)).float()
        probabilities: NDArray[np.float32] = torch.softmax(logits / self._temperature, dim=1).cpu().numpy()
        return probabilities[: len(pictures)]


def _available(device: Device) -> torch.device:
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        return torch.device(next(name for name in ("cuda", "mps", "cpu") if there[name]))
    if not there[device]:
        names = ", ".join(name for name, is_there in there.items() if is_there)
        raise DeviceError(f"This machine has no {device} device that torch can use; it has: {names}.")
    return torch.device(device)


def _fold_norms(module: nn.Module) -> None:
    """Fold every batch normalisation into the convolution before it, in place: the same function with half the passes."""
    children = list(module.named_children())
    for (name, child), (next_name, following) in pairwise(children):
        if isinstance(child, nn.Conv2d) and isinstance(following, nn.BatchNorm2d):
            setattr(module, name, fuse_conv_bn_eval(child, following))
            setattr(module, next_name, nn.Identity())
    for _, child in module.named_children():
        _fold_norms(child)
