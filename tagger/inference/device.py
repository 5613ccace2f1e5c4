"""Choose the device to compute probabilities on, without importing torch where the machine has no GPU."""

import os
import platform
import sys
from typing import Literal, TypeAlias, cast

from tagger.models.card import Card
from tagger.models.network_graph import GRAPH_FAMILIES
from tagger.settings import Device

ComputeDevice: TypeAlias = Literal["cpu", "cuda", "mps"]

GPU_FILES = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/nvmap", "/dev/kfd", "/dev/dxg")
"""Device files of Linux's drivers for GPUs that torch can use: NVIDIA's, its boards', AMD's, and that of Windows' subsystem."""

GPU_LIBRARIES = ("nvcuda.dll", "amdhip64.dll", "amdhip64_6.dll", "amdhip64_7.dll")
"""Libraries of the same drivers on Windows, in its system folder."""


def inference_device(device: Device) -> ComputeDevice:
    """Return the device of that name; "auto" is the fastest available one: CUDA, then MPS, then the CPU.

    torch, whose import takes seconds, is not asked about the CPU, nor for "auto" where `may_have_gpu` rules a GPU out. Raises
    `DeviceError` if the device is not available.
    """
    if device == "cpu" or (device == "auto" and not may_have_gpu()):
        return "cpu"
    from tagger.inference.torch_device import resolve_device

    return cast(ComputeDevice, resolve_device(device).type)


def computes_alone(card: Card, device: Device) -> bool:
    """Return whether a bundle's networks compute each image alone in the calling thread: by ONNX Runtime, on the CPU.

    A GPU that is named is not looked up where a driver is installed: that imports torch, which the code that opens the networks
    does. Raises `DeviceError` if the device is not available, as far as is known by then.
    """
    if device in ("cuda", "mps") and may_have_gpu():
        return False
    return card.network.family in GRAPH_FAMILIES and inference_device(device) == "cpu"


def may_have_gpu() -> bool:
    """Return whether this machine may have a GPU that torch can use: false only where no driver of one is installed."""
    if sys.platform == "darwin":
        return platform.machine() == "arm64"
    if sys.platform == "win32":
        system = os.path.join(os.environ.get("SYSTEMROOT", r"C:\Windows"), "System32")
        return any(os.path.exists(os.path.join(system, name)) for name in GPU_LIBRARIES)
    return any(os.path.exists(file) for file in GPU_FILES)
