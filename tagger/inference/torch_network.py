"""Run a network in torch: on a GPU, of torchvision's families, and wherever training needs its tensors."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from tagger.arrays import Float32s
from tagger.inference.torch_batches import FixedBatches, exact_float32, placed
from tagger.inference.views import CLEAR, FIRST_VIEWS, needs_all_views
from tagger.models.bundle import Bundle
from tagger.models.network import Network, logits_in_batches
from tagger.models.network_graph import POOLED_SIDES
from tagger.records import ProductImage


class TorchNetwork:
    """A bundle's network, ready on a device of torch, such as "cuda", in float32.

    Raises `DeviceError` if the device has too little memory.
    """

    def __init__(self, bundle: Bundle, device: str) -> None:
        self._device = torch.device(device)
        self._card = bundle.card
        self._all_views = needs_all_views(bundle)
        network = bundle.network()
        fold_norms(network)
        self._network = placed(network, self._device)
        self._native = FixedBatches(self._native_features, self._device, (28, 28))
        self._photo = FixedBatches(self._photo_features, self._device, (28, 28)) if network.photo_head else self._native
        self.maps_size = pooled_size(network)
        """d, the number of columns of the pooled feature maps."""

    def features(self, images: Sequence[ProductImage], native: bool) -> tuple[Float32s, Float32s]:
        """Return calibrated probabilities, float32 (n, classes), and pooled feature maps (n, d), means over the views.

        Args:
            images: n images of one kind, at least one.
            native: whether they are in Fashion-MNIST's own format, and so for the first head; others are for the photos'.

        Raises:
            DeviceError: the device has too little memory for a single image.
        """
        probabilities, maps = (self._native if native else self._photo)([image.pixels for image in images])
        return probabilities, maps

    @torch.inference_mode()
    def forward(self, count: int) -> None:
        """Compute the first head's logits of `count` black images, to measure the speed."""
        with exact_float32():
            self._network(torch.zeros(count, 1, 28, 28, dtype=torch.uint8, device=self._device)).cpu()

    def _native_features(self, pixels: Tensor) -> "NetworkOutput":
        return native_features(self._network, pixels[:, None], self._card.temperature)

    def _photo_features(self, pixels: Tensor) -> "NetworkOutput":
        return photo_features(self._network, pixels[:, None], self._card.photo_temperature, self._all_views)


class NetworkOutput(NamedTuple):
    """Probabilities (n, classes) and pooled feature maps (n, d) of n images, averaged over the views, on the device."""

    probabilities: Tensor
    maps: Tensor


def pool_maps(maps: tuple[Tensor, Tensor]) -> Tensor:
    """Return feature maps average-pooled to `POOLED_SIDES` and flattened, float32 (n, d)."""
    cells = [functional.adaptive_avg_pool2d(stage, side).flatten(1) for stage, side in zip(maps, POOLED_SIDES, strict=True)]
    return torch.cat(cells, 1)


def pooled_size(network: Network) -> int:
    """Return d, the number of columns that `pool_maps` returns for a network."""
    before, last = network.channels
    return before * POOLED_SIDES[0] ** 2 + last * POOLED_SIDES[1] ** 2


def native_features(network: Network, pixels: Tensor, temperature: float) -> NetworkOutput:
    """Return the features of images in Fashion-MNIST's own format, uint8 (n, 1, 28, 28); every column is a class.

    They are averaged over each image and its horizontal flip for a network with a head for photos, which is trained on both; a
    network with a single head takes the image alone.
    """
    views = (pixels,) if network.photo_head is None else (pixels, pixels.flip(3))
    return _mean(_features_of_views(network, network.logits_of_maps, views, temperature))


def photo_features(network: Network, pixels: Tensor, temperature: float, all_views: bool = False) -> NetworkOutput:
    """Return the photo head's features of photos' cuts, uint8 (n, 1, 28, 28), averaged over `photo_views`.

    Over the first ones alone where these make a label clear, as `OnnxNetwork` does, which does not compute the others then;
    with `all_views` over all of them everywhere.
    """
    views = _features_of_views(network, network.photo_logits_of_maps, photo_views(pixels), temperature)
    every = _mean(views)
    if all_views:
        return every
    first = _mean(NetworkOutput(*(outputs[:FIRST_VIEWS] for outputs in views)))
    clear = first.probabilities[:, : network.config.classes].amax(1, keepdim=True) >= CLEAR
    return NetworkOutput(*(torch.where(clear, few, all_) for few, all_ in zip(first, every, strict=True)))


def native_probabilities(network: Network, pixels: Tensor, temperature: float) -> Tensor:
    """Return the first head's probabilities, float32 (n, classes), of images in Fashion-MNIST's own format."""
    return native_features(network, pixels, temperature).probabilities


def native_predictions(network: Network, pixels: Tensor, temperature: float) -> Tensor:
    """Return `native_probabilities` of any number of images, batch by batch to bound the memory."""
    return logits_in_batches(lambda batch: native_probabilities(network, batch, temperature), pixels)


def photo_probabilities(network: Network, pixels: Tensor, temperature: float) -> Tensor:
    """Return the photo head's probabilities, float32 (n, photo_classes), of photos' cuts."""
    return photo_features(network, pixels, temperature).probabilities


def photo_views(pixels: Tensor) -> tuple[Tensor, ...]:
    """Return the views in the order of `views.photo_views`, (n, 1, 28, 28) each: images and flips, at full size and smaller."""
    flips = pixels.flip(3)
    return pixels, smaller(flips), flips, smaller(pixels)


def _features_of_views(
    network: Network, logits: Callable[[Tensor], Tensor], views: Sequence[Tensor], temperature: float
) -> NetworkOutput:
    """Return the features of v views, with a dimension (v,) before those of `NetworkOutput`."""
    maps = [network.maps(view) for view in views]
    probabilities = [torch.softmax(logits(last).float() / temperature, dim=1) for _, last in maps]
    return NetworkOutput(torch.stack(probabilities), torch.stack([pool_maps(view) for view in maps]))


def _mean(views: NetworkOutput) -> NetworkOutput:
    return NetworkOutput(*(outputs.mean(0) for outputs in views))


def smaller(pixels: Tensor) -> Tensor:
    """Return images, uint8 (n, 1, 28, 28), downscaled to 24x24 and padded with 0, float (n, 1, 28, 28)."""
    shrunk = functional.interpolate(pixels.float(), (24, 24), mode="bilinear", antialias=True)
    return functional.pad(shrunk, (2, 2, 2, 2))


def fold_norms(module: nn.Module) -> None:
    """Fold every batch normalization into the convolution before it, in place: the same function with fewer layers."""
    children = list(module.named_children())
    for (name, child), (next_name, following) in pairwise(children):
        if isinstance(child, nn.Conv2d) and isinstance(following, nn.BatchNorm2d):
            setattr(module, name, fuse_conv_bn_eval(child, following))
            setattr(module, next_name, nn.Identity())
    for _, child in module.named_children():
        fold_norms(child)
