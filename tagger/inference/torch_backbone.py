"""Run a bundle's backbone in torch: EfficientNet-Lite0 on a GPU."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from tagger.arrays import Float32s, Pixels
from tagger.inference.settings import BATCH_SIZE
from tagger.inference.torch_batches import FixedBatches, placed
from tagger.inference.torch_network import fold_norms
from tagger.models.backbone import Backbone, require_finite
from tagger.models.efficientnet import EfficientNetLite0
from tagger.models.efficientnet_graph import FEATURES
from tagger.models.imagenet import IMAGENET_CLASSES
from tagger.photos.colour import COLOUR_SIDE

COUNTER = "num_batches_tracked"
"""End of the names of counters of a training, which some files hold."""


class TorchBackbone:
    """A backbone ready on a device of torch, such as "cuda", in float32.

    Pictures travel as bytes and become numbers on the device. They are computed in batches of one shape: see
    `inference.torch_batches` for what a row may depend on.

    Args:
        backbone: of a bundle, by its weights.
        device: a name that torch knows.
        batch: pictures computed at once.

    Raises:
        ValueError: the backbone is an ONNX file, or its weights are those of another network.
        DeviceError: the device has too little memory.
    """

    def __init__(self, backbone: Backbone, device: str, batch: int = BATCH_SIZE) -> None:
        self._network = placed(_folded(backbone), torch.device(device))
        self._batches = FixedBatches(self._compute, torch.device(device), (COLOUR_SIDE, COLOUR_SIDE, 3), batch)
        self.size = FEATURES
        """F, the number of features."""

    def __call__(self, pictures: Sequence[Pixels]) -> tuple[Float32s, Float32s]:
        """Return features, float32 (n, F), and logits of ImageNet's classes (n, 1000), of n uint8 (224, 224, 3) pictures.

        Raises `BundleError` if the backbone computes numbers that are not finite, as one with damaged weights may, and
        `DeviceError` if the device has too little memory for a single picture.
        """
        return self.begin(pictures)()

    def begin(self, pictures: Sequence[Pixels]) -> Callable[[], tuple[Float32s, Float32s]]:
        """Send pictures to the device, and return a function that waits for it and returns what a call returns for them."""
        if not pictures:
            nothing = np.zeros((0, self.size), np.float32), np.zeros((0, IMAGENET_CLASSES), np.float32)
            return lambda: nothing
        rows = self._batches.begin(pictures)

        def finish() -> tuple[Float32s, Float32s]:
            features, logits = rows.result()
            return require_finite((features, logits))

        return finish

    def _compute(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Return features and logits of pictures, uint8 (n, 224, 224, 3) on the device."""
        features = self._network.features(pictures.permute(0, 3, 1, 2))  # a view, in channels-last order
        return features, self._network.classifier(features)


def _folded(backbone: Backbone) -> EfficientNetLite0:
    """Return a backbone's network in evaluation mode with the numbers of `models.efficientnet_graph`.

    Norms are folded into convolutions in float64, and matrices rounded to float16, so that rows differ from the processor's by
    the rounding of float32 sums alone.
    """
    weights = backbone.weights()
    network = EfficientNetLite0().double()
    expected = {name: tuple(one.shape) for name, one in network.state_dict().items() if not name.endswith(COUNTER)}
    if expected != {name: array.shape for name, array in weights.items() if not name.endswith(COUNTER)}:
        backbone.graph()  # names what is missing, unknown or of another shape
    network.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()}, strict=False)
    fold_norms(network.eval())
    network.float()
    for name, parameter in network.named_parameters():
        if name.endswith("weight"):
            parameter.data = parameter.data.half().float()
    return network
