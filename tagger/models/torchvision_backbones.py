"""Networks that torchvision has, for pictures of one channel and 28 pixels; their layers and weights fit those for photos.

Origin: ResNet-18 (He et al. 2015, arXiv 1512.03385), MobileNetV3-Small (Howard et al. 2019, arXiv 1905.02244) and
EfficientNet-B0 (Tan and Le 2019, arXiv 1905.11946). Made for 224 pixels, they halve the maps five times; here they do so once
less, at the start, or nothing would be left to look at.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torchvision import models

from tagger.models.blocks import NetworkParts
from tagger.models.config import NetworkConfig

BUILDERS = {
    "resnet18": models.resnet18,
    "mobilenet-v3": models.mobilenet_v3_small,
    "efficientnet-b0": models.efficientnet_b0,
}


def build(config: NetworkConfig, weights: Mapping[str, Tensor] | None = None) -> NetworkParts:
    """Return ResNet-18 without the max-pool at its start, or one of the others, whose first convolution has no stride.

    They have those `weights` where some are given, named as by torchvision, but for the last layer's, whose classes
    are others. Raises `ValueError` where they are not the network's.
    """
    whole = BUILDERS[config.family](num_classes=1)
    if weights is not None:
        _load_all_but_the_head(whole, weights)
    if config.family == "resnet18":
        return _resnet18(whole)
    if config.family == "mobilenet-v3":
        return _of_features(whole, 1024, (96, 576))
    return _of_features(whole, 1280, (320, 1280))


def _load_all_but_the_head(whole: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Load torchvision's weights, whose last layer has other classes, and is not needed."""
    own = whole.state_dict()
    head = list(own)[-2:]
    needed = {name: tensor for name, tensor in weights.items() if name not in head}
    counters = {name for name in own if name.endswith("num_batches_tracked")}  # old files have none, and need none
    missing = own.keys() - needed.keys() - {*head, *counters}
    odd = [name for name, tensor in needed.items() if name not in own or own[name].shape != tensor.shape]
    if missing or odd:
        raise ValueError(f"{min(missing or odd)} is {'missing' if missing else 'unknown or of another shape'}")
    whole.load_state_dict(own | needed)


def _resnet18(whole: models.ResNet) -> NetworkParts:
    first = _of_one_channel(whole.conv1, stride=2)
    layers = [first, whole.bn1, whole.relu, whole.layer1, whole.layer2, whole.layer3, whole.layer4]
    return NetworkParts(layers, 1, nn.Sequential(whole.avgpool, nn.Flatten()), 512, (256, 512))


def _of_features(whole: models.MobileNetV3 | models.EfficientNet, width: int, channels: tuple[int, int]) -> NetworkParts:
    """Return the parts of a network that torchvision divides into features and a classifier, whose last layer is the head."""
    whole.features[0][0] = _of_one_channel(whole.features[0][0], stride=1)
    neck = nn.Sequential(whole.avgpool, nn.Flatten(), *whole.classifier[:-1])
    return NetworkParts(list(whole.features), 1, neck, width, channels)


def _of_one_channel(first: nn.Conv2d, stride: int) -> nn.Conv2d:
    """Return a first convolution that sees in a grey picture what that one does in three channels of it, with that stride."""
    grey = nn.Conv2d(1, first.out_channels, first.kernel_size, stride, first.padding, bias=False)  # type: ignore[arg-type]
    with torch.no_grad():
        grey.weight.copy_(first.weight.sum(1, keepdim=True))
    return grey
