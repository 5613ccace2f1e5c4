"""A file of weights that somebody trained on other pictures becomes the network that training begins with."""

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
    """A network with the weights of a file, and a head by chance."""

    network: Network
    name: str
    """The file's, with the beginning of its sha256, as in `resnet18-f37072fd.pth@1a2b3c4d`."""


def load(file: Path, config: NetworkConfig, seed: int) -> Pretrained:
    """Return the network of that shape with the weights in `file`, as torchvision's `resnet18-f37072fd.pth` holds them.

    The file is one of PyTorch's or of safetensors, and no code in it is run. Raises `TrainingError` where it cannot be read or
    holds the weights of another network.
    """
    weights = _read(file)
    torch.manual_seed(seed)
    network = Network(config)
    try:
        made = torchvision_backbones.build(config, weights)
    except ValueError as error:
        raise TrainingError(f"{file} does not hold torchvision's weights of {config.family}: {error}.") from error
    network.stages, network.neck = nn.Sequential(*made.layers), made.neck
    return Pretrained(network, f"{file.name}@{hashlib.sha256(file.read_bytes()).hexdigest()[:8]}")


def _read(file: Path) -> Mapping[str, Tensor]:
    try:
        # weights_only: loading must not run code from the file.
        weights = load_file(file) if file.suffix == ".safetensors" else torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, pickle.UnpicklingError, SafetensorError) as error:
        reason = str(error).splitlines()[0] if isinstance(error, OSError) else "it is damaged, or no file of weights alone"
        raise TrainingError(f"{file} cannot be read: {reason}.") from error
    if not isinstance(weights, dict) or not all(isinstance(tensor, Tensor) for tensor in weights.values()):
        raise TrainingError(f"{file} holds no weights by their names; give a file as torchvision has them.")
    return weights
