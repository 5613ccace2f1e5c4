"""Device names are resolved to what the machine has; "auto" takes the fastest."""

import pytest
import torch

from tagger.errors import DeviceError
from tagger.inference.torch_device import resolve_device, training_device


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """A machine with the devices of the parameter beside its CPU."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: "cuda" in request.param)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: "mps" in request.param)


@pytest.mark.parametrize(
    ("machine", "inference", "training"),
    [("", "cpu", "cpu"), ("mps", "mps", "cpu"), ("cuda", "cuda", "cuda"), ("cuda mps", "cuda", "cuda")],
    indirect=["machine"],
)
@pytest.mark.usefixtures("machine")
def test_auto_is_the_fastest(inference: str, training: str) -> None:
    """Inference takes CUDA before MPS before the CPU; training never takes MPS by itself."""
    assert resolve_device("auto") == torch.device(inference)
    assert training_device("auto") == torch.device(training)


@pytest.mark.parametrize("machine", ["cuda", "mps"], indirect=True)
@pytest.mark.usefixtures("machine")
def test_available_devices_are_taken_by_name(request: pytest.FixtureRequest) -> None:
    """A device that the machine has is taken; the CPU always is."""
    name = request.node.callspec.params["machine"]
    assert resolve_device(name) == training_device(name) == torch.device(name)
    assert resolve_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("machine", ["mps"], indirect=True)
@pytest.mark.usefixtures("machine")
def test_missing_devices_are_refused_with_those_that_are_there() -> None:
    """The one sentence names the missing device and lists the others."""
    with pytest.raises(DeviceError, match=r"^This machine has no cuda device that torch can use; it has: cpu, mps\.$"):
        resolve_device("cuda")
