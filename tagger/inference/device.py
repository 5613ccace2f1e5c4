"""Which of torch's devices there are here."""

from collections.abc import Sequence

import torch

from tagger.errors import DeviceError
from tagger.settings import Device

CPU = torch.device("cpu")


def training_device(device: Device) -> torch.device:
    """Return the device to train on, "auto" being CUDA's where there is one, else the processor; raises `DeviceError`."""
    return resolve_device(device, ("cuda", "cpu"))


def resolve_device(device: Device, fastest: Sequence[Device] = ("cuda", "mps", "cpu")) -> torch.device:
    """Return the device that is asked for, "auto" being the first of `fastest` that there is.

    Raises `DeviceError` where it is not there.
    """
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        return torch.device(next(name for name in fastest if there[name]))
    if not there[device]:
        names = ", ".join(name for name, is_there in there.items() if is_there)
        raise DeviceError(f"This machine has no {device} device that torch can use; it has: {names}.")
    return torch.device(device)
