"""A device for inference is found without torch where the machine has no GPU, and with torch's word where it may have one."""

import builtins
import os
import platform
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tagger.errors import DeviceError
from tagger.inference import device
from tagger.inference.device import GPU_FILES, GPU_LIBRARIES, computes_alone, inference_device, may_have_gpu
from tagger.models.card import read

Machine = Callable[..., None]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Pretend to be a machine with an operating system, a processor and files; torch may see devices there."""

    def pretend(system: str, files: tuple[str, ...] = (), processor: str = "x86_64", devices: tuple[str, ...] = ()) -> None:
        monkeypatch.setattr(sys, "platform", system)
        monkeypatch.setattr(platform, "machine", lambda: processor)
        monkeypatch.setattr(os.path, "exists", lambda path: str(path).replace("\\", "/").rpartition("System32/")[2] in files)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: "cuda" in devices)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: "mps" in devices)

    return pretend


@pytest.fixture
def without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no import of torch, or of the module that asks it, succeed."""
    original = builtins.__import__

    def refused(name: str, *arguments: Any, **options: Any) -> Any:
        assert not name.startswith("torch")
        assert name != "tagger.inference.torch_device"
        return original(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", refused)


@pytest.mark.parametrize("file", GPU_FILES)
def test_drivers_on_linux_are_found(machine: Machine, file: str) -> None:
    """The device file of any driver means that there may be a GPU."""
    machine("linux", (file,))
    assert may_have_gpu()


@pytest.mark.parametrize("library", GPU_LIBRARIES)
def test_drivers_on_windows_are_found(machine: Machine, library: str) -> None:
    """The library of any driver in the system's folder means that there may be a GPU."""
    machine("win32", (library,))
    assert may_have_gpu()


def test_macs_with_apples_processor_may_have_mps(machine: Machine) -> None:
    """Macs with Apple's own processor may have MPS, others not."""
    machine("darwin", processor="arm64")
    assert may_have_gpu()
    machine("darwin", processor="x86_64")
    assert not may_have_gpu()


@pytest.mark.parametrize("system", ["linux", "win32", "freebsd14"])
@pytest.mark.usefixtures("without_torch")
def test_machines_without_drivers_compute_on_the_cpu(machine: Machine, system: str) -> None:
    """Without a driver "auto" is the CPU, and torch is not imported to find out."""
    machine(system, devices=("cuda",))
    assert not may_have_gpu()
    assert inference_device("auto") == "cpu"


@pytest.mark.usefixtures("without_torch")
def test_the_cpu_never_needs_torch(machine: Machine) -> None:
    """The CPU by name is taken without torch also where there is a GPU."""
    machine("linux", GPU_FILES, devices=("cuda",))
    assert inference_device("cpu") == "cpu"


@pytest.mark.parametrize(("devices", "found"), [((), "cpu"), (("cuda",), "cuda"), (("mps",), "mps"), (("cuda", "mps"), "cuda")])
def test_where_there_may_be_a_gpu_torch_decides(machine: Machine, devices: tuple[str, ...], found: str) -> None:
    """With a driver "auto" is what torch can use: CUDA, then MPS, then the CPU."""
    machine("linux", ("/dev/nvidiactl",), devices=devices)
    assert inference_device("auto") == found
    if devices:
        assert inference_device(devices[0]) == devices[0]


def test_a_missing_device_is_refused(machine: Machine) -> None:
    """A device asked for by name is refused in a sentence where torch does not have it, whatever files there are."""
    machine("linux")
    with pytest.raises(DeviceError, match="no cuda device"):
        inference_device("cuda")


def test_device_has_its_own_names() -> None:
    """The devices are those that settings take, without "auto"."""
    assert device.ComputeDevice.__args__ == ("cpu", "cuda", "mps")


@pytest.mark.usefixtures("without_torch")
def test_a_named_gpu_is_left_to_who_opens_the_networks(machine: Machine, small_bundle: Path) -> None:
    """A run need not wait for torch to know that photos are computed elsewhere than in the threads that decode them."""
    small = read(small_bundle).card
    machine("linux", GPU_FILES)
    assert not computes_alone(small, "cuda")
    assert computes_alone(small, "cpu")
    machine("linux")
    assert computes_alone(small, "auto")


def test_a_gpu_that_cannot_be_there_is_refused_before_the_work(machine: Machine, small_bundle: Path) -> None:
    """Without any driver the sentence comes before the first photo is read."""
    machine("linux")
    with pytest.raises(DeviceError, match="no cuda device"):
        computes_alone(read(small_bundle).card, "cuda")
