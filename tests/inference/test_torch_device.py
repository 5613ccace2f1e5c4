"""Which device is chosen, and what is refused."""
# ruff: noqa: SIM300 - what is expected stands first, as in every test here

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tagger.errors import DeviceError
from tagger.inference.torch_device import CPU, training_device


def test_a_device_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """Without a GPU, training on one ends in a sentence before anything is read, and "auto" takes the processor."""
    if torch.cuda.is_available():
        pytest.skip("there is one")
    assert CPU == training_device("auto")
    with pytest.raises(DeviceError, match="no cuda device"):
        training_device("cuda")
    command = [sys.executable, "-m", "tagger", "retrain", "--device", "cuda", "--out", tmp_path / "out"]
    told = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (1, "") == (told.returncode, told.stdout)
    assert told.stderr.startswith("Error: This machine has no cuda device")
    assert 1 == len(told.stderr.splitlines())
    assert not (tmp_path / "out").exists()
