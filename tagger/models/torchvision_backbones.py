"""Backbones from torchvision, adapted to grey 28x28 images; torchvision's weights for photos fit them.

Origin: ResNet-18 (He et al. 2015, arXiv 1512.03385), MobileNetV3-Small (Howard et al. 2019, arXiv 1905.02244) and
EfficientNet-B0 (Tan and Le 2019, arXiv 1905.11946). Designed for 224 pixels, they downsample five times; here once less, at the
start, because 28 pixels would otherwise shrink to a single cell.
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
    """Return ResNet-18 without its first max-pool, or another backbone with stride 1 in its first convolution.

    Args:
        config: names the backbone by its `family`.
        weights: tensors by torchvision's names, or None for random ones. The last layer's are ignored: its classes differ.

    Raises:
        ValueError: the weights are those of another network.
    """
    backbone = BUILDERS[config.family](num_classes=1)
    if weights is not None:
        _load_without_head(backbone, weights)
    if config.family == "resnet18":
        return _resnet18(backbone)
    if config.family == "mobilenet-v3":
        return _from_features(backbone, 1024, (96, 576))
    return _from_features(backbone, 1280, (320, 1280))


def _load_without_head(backbone: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Load torchvision's weights except those of the last layer, whose classes differ."""
    own = backbone.state_dict()
    head = list(own)[-2:]
    needed = {name: tensor for name, tensor in weights.items() if name not in head}
    counters = {name for name in own if name.endswith("num_batches_tracked")}  # old files have none, and need none
    missing = own.keys() - needed.keys() - {*head, *counters}
    odd = [name for name, tensor in needed.items() if name not in own or own[name].shape != tensor.shape]
    if missing or odd:
        raise ValueError(f"{min(missing or odd)} is {'missing' if missing else 'unknown or of another shape'}")
    backbone.load_state_dict(own | needed)


def _resnet18(backbone: models.ResNet) -> NetworkParts:
    first = _grey_convolution(backbone.conv1, stride=2)
    layers = [first, backbone.bn1, backbone.relu, backbone.layer1, backbone.layer2, backbone.layer3, backbone.layer4]
    return NetworkParts(layers, 1, nn.Sequential(backbone.avgpool, nn.Flatten()), 512, (256, 512))


def _from_features(backbone: models.MobileNetV3 | models.EfficientNet, width: int, channels: tuple[int, int]) -> NetworkParts:
    """Return the parts of a backbone that torchvision divides into `features` and a `classifier`, without its last layer."""
    backbone.features[0][0] = _grey_convolution(backbone.features[0][0], stride=1)
    neck = nn.Sequential(backbone.avgpool, nn.Flatten(), *backbone.classifier[:-1])
    return NetworkParts(list(backbone.features), 1, neck, width, channels)


def _grey_convolution(first: nn.Conv2d, stride: int) -> nn.Conv2d:
    """Return a first convolution for one channel, with that stride, that gives what `first` gives for a grey RGB image."""
    grey = nn.Conv2d(1, first.out_channels, first.kernel_size, stride, first.padding, bias=False)  # type: ignore[arg-type]
    with torch.no_grad():
        grey.weight.copy_(first.weight.sum(1, keepdim=True))
    return grey
