"""One batch of pictures to calibrated probabilities. The only room that knows device and dtype."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from tagger.bundle import Bundle
from tagger.errors import DeviceError
from tagger.network import ResidualNetwork
from tagger.records import Garment
from tagger.settings import Device

CHUNK = 64
"""Pictures in every forward pass, filled up with black: another batch shape may add in another order (pytorch#58128)."""

NEVER_WORN = ("footwear", "accessory")
"""Groups whose labels nothing has that somebody wears above the hips."""


class Predictor:
    """A bundle's network, ready on a device."""

    def __init__(self, bundle: Bundle, device: Device = "auto") -> None:
        self._device = _available(device)
        self._card = bundle.card
        network = bundle.network().eval()
        _fold_norms(network)
        self._network = network.to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def __call__(self, pictures: Sequence[Garment]) -> NDArray[np.float32]:
        """Return calibrated probabilities of the labels, float32 (n, labels), for n pictures.

        What a row lacks to 1 is the probability that the picture shows none of them, which only a bundle with a head for
        photos tells, and only of photos. What is cut out of a figure above the hips is nothing of the groups `NEVER_WORN`.
        """
        probabilities = np.empty((len(pictures), len(self._card.labels)), np.float32)
        for native, calibrated in ((True, self._of_native), (False, self._of_photos)):
            chosen = [number for number, picture in enumerate(pictures) if picture.native == native]
            for start in range(0, len(chosen), CHUNK):
                some = chosen[start : start + CHUNK]
                pixels = np.zeros((CHUNK, 1, 28, 28), np.uint8)
                pixels[: len(some), 0] = [pictures[number].pixels for number in some]
                probabilities[some] = calibrated(torch.from_numpy(pixels).to(self._device))[: len(some)]
        worn = np.array([picture.worn for picture in pictures], bool)
        never_worn = np.array([self._card.groups[label] in NEVER_WORN for label in self._card.labels])
        probabilities[np.ix_(worn, never_worn)] = 0
        return probabilities

    @torch.inference_mode()
    def _of_native(self, pixels: Tensor) -> NDArray[np.float32]:
        return _array(native_probabilities(self._network, pixels, self._card.temperature))

    @torch.inference_mode()
    def _of_photos(self, pixels: Tensor) -> NDArray[np.float32]:
        if self._network.photo_head is None:
            return self._of_native(pixels)
        probabilities = photo_probabilities(self._network, pixels, self._card.photo_temperature)
        return _array(probabilities[:, : len(self._card.labels)])


def native_probabilities(network: ResidualNetwork, pixels: Tensor, temperature: float) -> Tensor:
    """Return probabilities, float32 (n, classes), for Fashion-MNIST's pictures or ones in their form, uint8 (n, 1, 28, 28).

    A network with a head for photos averages the picture and its mirror image, one with a single head takes the picture alone.
    """
    views = (pixels,) if network.photo_head is None else (pixels, pixels.flip(3))
    return _mean_of(network, views, temperature)


def photo_probabilities(network: ResidualNetwork, pixels: Tensor, temperature: float) -> Tensor:
    """Return the photo head's probabilities, float32 (n, photo_classes), for pictures uint8 (n, 1, 28, 28).

    They are the mean over the four `photo_views`.
    """
    return _mean_of(network.photo_logits, photo_views(pixels), temperature)


def photo_views(pixels: Tensor) -> tuple[Tensor, ...]:
    """Return the views that are averaged, (n, 1, 28, 28) each: pictures and mirror images, as they are and a little smaller."""
    both = (pixels, pixels.flip(3))
    return (*both, *map(smaller, both))


def _mean_of(logits: Callable[[Tensor], Tensor], views: Sequence[Tensor], temperature: float) -> Tensor:
    return torch.stack([torch.softmax(logits(view).float() / temperature, dim=1) for view in views]).mean(0)


def smaller(pixels: Tensor) -> Tensor:
    """Return pictures uint8 (n, 1, 28, 28) at nine tenths of their size, float, on 0."""
    shrunk = functional.interpolate(pixels.float(), (24, 24), mode="bilinear", antialias=True)
    return functional.pad(shrunk, (2, 2, 2, 2))


def _array(probabilities: Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = probabilities.cpu().numpy()
    return array


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
