"""The backbone of a bundle: the weights of EfficientNet-Lite0 in float16, or another network as an ONNX file."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

from tagger.arrays import Float32s
from tagger.errors import BundleError
from tagger.models.efficientnet_graph import efficientnet_graph
from tagger.models.onnx_file import check_onnx

Outputs: TypeAlias = tuple[Float32s, Float32s]
"""Features (n, F) and logits of ImageNet's classes (n, 1000) of n pictures."""

Suffix: TypeAlias = Literal["safetensors", "onnx"]


@dataclass(frozen=True)
class Backbone:
    """A backbone as the file in a bundle's folder."""

    content: bytes
    suffix: Suffix

    @classmethod
    def of_weights(cls, weights: Mapping[str, NDArray[Any]]) -> "Backbone":
        """Return EfficientNet-Lite0 by its weights, named as `models.efficientnet_graph` takes them.

        Matrices are stored as float16, at half the size; the few vectors stay float32, as variances span many magnitudes.
        """
        kept = {name: array for name, array in weights.items() if not name.endswith("num_batches_tracked")}
        half = {name: array.astype(np.float16 if array.ndim > 1 else np.float32) for name, array in kept.items()}
        return cls(save_arrays({name: np.ascontiguousarray(array) for name, array in half.items()}), "safetensors")

    @classmethod
    def of_onnx(cls, content: bytes) -> "Backbone":
        """Return any network by its ONNX file, with the input and outputs of `models.efficientnet_graph`.

        Raises `ValueError` if `models.onnx_file` refuses it.
        """
        check_onnx(content)
        return cls(content, "onnx")

    def graph(self) -> bytes:
        """Return the network as an ONNX file; raises `ValueError` if the weights are those of another network."""
        if self.suffix == "onnx":
            check_onnx(self.content)
            return self.content
        return efficientnet_graph(self.weights())

    def weights(self) -> dict[str, NDArray[Any]]:
        """Return the weights of EfficientNet-Lite0, float32; raises `ValueError` if the file holds none."""
        if self.suffix == "onnx":
            raise ValueError("a backbone in ONNX has no weights to read")
        try:
            arrays = load_arrays(self.content)
        except SafetensorError as error:
            raise ValueError(str(error)) from error
        except KeyError as error:  # of bfloat16 and others
            raise ValueError(f"its weights are of a type that NumPy lacks, {error}") from error
        weights = {name: array.astype(np.float32) for name, array in arrays.items()}
        if not all(np.isfinite(array).all() for array in weights.values()):
            raise ValueError("some of its weights are not finite numbers")
        return weights


def require_finite(outputs: Outputs) -> Outputs:
    """Return what a backbone computed; raise `BundleError` if it is not finite, as by one with damaged weights."""
    if not all(np.isfinite(output).all() for output in outputs):
        raise BundleError("The bundle's backbone computes numbers that are not finite. Fetch the bundle again or retrain it.")
    return outputs
