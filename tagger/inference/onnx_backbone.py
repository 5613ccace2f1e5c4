"""Run a bundle's backbone by ONNX Runtime: one picture at a time, in as many threads as there are processors."""

from collections.abc import Callable, Sequence

import numpy as np

from tagger.arrays import Float32s, Pixels
from tagger.inference.threads import in_threads
from tagger.models.backbone import Backbone, require_finite
from tagger.models.imagenet import IMAGENET_CLASSES
from tagger.onnx_session import open_session
from tagger.photos.colour import COLOUR_SIDE
from tagger.processors import available_processors


class OnnxBackbone:
    """A backbone ready to run.

    Each picture is computed alone and in a single thread, so that its features do not depend on any other, to the bit.

    Args:
        backbone: of a bundle.
        threads: pictures computed at once; None for one per processor that this process may use.
        on_gpu: whether to compute on NVIDIA's GPU where the installed ONNX Runtime can.

    Raises:
        ValueError: the backbone cannot be run, or has other inputs or outputs than `models.efficientnet_graph` writes.
    """

    def __init__(self, backbone: Backbone, threads: int | None = None, on_gpu: bool = False) -> None:
        self._session = open_session(backbone.graph(), on_gpu=on_gpu)
        self._threads = threads or available_processors()
        inputs = {one.name: (one.type, list(one.shape[1:])) for one in self._session.get_inputs()}
        outputs = {one.name: (one.type, list(one.shape[1:])) for one in self._session.get_outputs()}
        if inputs != {"pixels": ("tensor(uint8)", [COLOUR_SIDE, COLOUR_SIDE, 3])}:
            raise ValueError(f"the backbone must take uint8 `pixels` (n, {COLOUR_SIDE}, {COLOUR_SIDE}, 3) alone")
        dtype, shape = outputs.get("features", ("", []))
        fixed = len(shape) == 1 and isinstance(shape[0], int)
        if dtype != "tensor(float)" or not fixed or outputs.get("logits") != ("tensor(float)", [IMAGENET_CLASSES]):
            raise ValueError(f"the backbone must return float32 `features` (n, F) and `logits` (n, {IMAGENET_CLASSES})")
        self.size = int(shape[0])
        """F, the number of features."""

    def __call__(self, pictures: Sequence[Pixels]) -> tuple[Float32s, Float32s]:
        """Return features, float32 (n, F), and logits of ImageNet's classes (n, 1000), of n uint8 (224, 224, 3) pictures.

        Raises `BundleError` if the backbone computes numbers that are not finite, as one with damaged weights may.
        """
        if not pictures:
            return np.zeros((0, self.size), np.float32), np.zeros((0, IMAGENET_CLASSES), np.float32)
        rows = in_threads(self._one, pictures, self._threads)
        features, logits = (np.concatenate(outputs) for outputs in zip(*rows, strict=True))
        return require_finite((features, logits))

    def begin(self, pictures: Sequence[Pixels]) -> Callable[[], tuple[Float32s, Float32s]]:
        """Compute pictures, and return a function that returns what a call returns for them, as `TorchBackbone` does."""
        rows = self(pictures)
        return lambda: rows

    def _one(self, picture: Pixels) -> tuple[Float32s, Float32s]:
        features, logits = self._session.run(["features", "logits"], {"pixels": picture[None]})
        return features, logits
