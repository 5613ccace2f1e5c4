"""Networks that torchvision has, for pictures of one channel and 28 pixels; their layers and weights fit those for photos.

Origin: ResNet-18 (He et al. 2015, arXiv 1512.03385), MobileNetV3-Small (Howard et al. 2019, arXiv 1905.02244) and
EfficientNet-B0 (Tan and Le 2019, arXiv 1905.11946). Made for 224 pixels, they halve the maps five times; here they do so once
less, at the start, or nothing would be left to look at.
"""

from torch import nn
from torchvision import models

from tagger.blocks import Parts
from tagger.card import NetworkConfig


def parts(config: NetworkConfig) -> Parts:
    """Return ResNet-18 without the max-pool at its start, or one of the others, whose first convolution has no stride."""
    if config.family == "resnet18":
        return _resnet18()
    if config.family == "mobilenet-v3":
        return _of_features(models.mobilenet_v3_small(num_classes=1), 1024, (96, 576))
    return _of_features(models.efficientnet_b0(num_classes=1), 1280, (320, 1280))


def _resnet18() -> Parts:
    whole = models.resnet18(num_classes=1)
    first = _of_one_channel(whole.conv1, stride=2)
    layers = [first, whole.bn1, whole.relu, whole.layer1, whole.layer2, whole.layer3, whole.layer4]
    return Parts(layers, 1, nn.Sequential(whole.avgpool, nn.Flatten()), 512, (256, 512))


def _of_features(whole: models.MobileNetV3 | models.EfficientNet, width: int, channels: tuple[int, int]) -> Parts:
    """Return the parts of a network that torchvision divides into features and a classifier, whose last layer is the head."""
    whole.features[0][0] = _of_one_channel(whole.features[0][0], stride=1)
    neck = nn.Sequential(whole.avgpool, nn.Flatten(), *whole.classifier[:-1])
    return Parts(list(whole.features), 1, neck, width, channels)


def _of_one_channel(first: nn.Conv2d, stride: int) -> nn.Conv2d:
    """Return a first convolution like that one, for a single channel and with that stride."""
    return nn.Conv2d(1, first.out_channels, first.kernel_size, stride, first.padding, bias=False)  # type: ignore[arg-type]
