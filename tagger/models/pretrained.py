"""Load a file of torchvision's pretrained weights as the network that a training starts from."""

import hashlib
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from tagger.errors import TrainingError
from tagger.models import torchvision_backbones
from tagger.models.config import NetworkConfig
from tagger.models.network import Network


class Pretrained(NamedTuple):
    """A network with the weights of a file, and a randomly initialized head."""

    network: Network
    name: str
    """Name of the file with the first eight digits of its sha256, as in `resnet18-f37072fd.pth@1a2b3c4d`."""


def load(file: Path, config: NetworkConfig, seed: int) -> Pretrained:
    """Return a network with pretrained weights, such as those of torchvision's `resnet18-f37072fd.pth`.

    Args:
        file: weights by torchvision's names, in PyTorch's format or safetensors'. No code in the file is run.
        config: shape of the network; its family is one of torchvision's.
        seed: random seed of the head.

    Raises:
        TrainingError: the file cannot be read, or holds the weights of another network.
    """
    weights = _read(file)
    torch.manual_seed(seed)
    network = Network(config)
    try:
        parts = torchvision_backbones.build(config, weights)
    except ValueError as error:
        raise TrainingError(f"{file} does not hold torchvision's weights of {config.family}: {error}.") from error
    network.stages, network.neck = nn.Sequential(*parts.layers), parts.neck
    return Pretrained(network, f"{file.name}@{hashlib.sha256(file.read_bytes()).hexdigest()[:8]}")


def _read(file: Path) -> Mapping[str, Tensor]:
    try:
        # weights_only: loading must not run code from the file.
        weights = load_file(file) if file.suffix == ".safetensors" else torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, pickle.UnpicklingError, SafetensorError) as error:
        reason = str(error).splitlines()[0] if isinstance(error, OSError) else "it is damaged, or holds more than weights"
        raise TrainingError(f"{file} cannot be read: {reason}.") from error
    if not isinstance(weights, dict) or not all(isinstance(tensor, Tensor) for tensor in weights.values()):
        raise TrainingError(f"{file} holds no tensors by name; give a file of weights as torchvision publishes them.")
    return weights
