"""Resolve device names to the devices of this machine that torch can use."""

from collections.abc import Sequence

import torch

from tagger.errors import DeviceError
from tagger.settings import Device

CPU = torch.device("cpu")


def training_device(device: Device) -> torch.device:
    """Return the device to train on; "auto" is CUDA if available, otherwise the CPU. Raises `DeviceError`."""
    return resolve_device(device, ("cuda", "cpu"))


def resolve_device(device: Device, fastest: Sequence[Device] = ("cuda", "mps", "cpu")) -> torch.device:
    """Return the device of that name; "auto" is the first available one of `fastest`.

    Raises `DeviceError` if it is not available; the message lists those that are.
    """
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        return torch.device(next(name for name in fastest if available[name]))
    if not available[device]:
        names = ", ".join(name for name, is_available in available.items() if is_available)
        raise DeviceError(f"This machine has no {device} device that torch can use; it has: {names}.")
    return torch.device(device)
