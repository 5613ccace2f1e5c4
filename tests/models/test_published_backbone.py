"""A backbone is read from any of three kinds of files, and others are refused in one sentence with the remedy."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from efficientnet_helpers import published_state, random_weights
from fusion_helpers import tiny_onnx
from safetensors.torch import save_file

from tagger.errors import TrainingError
from tagger.models.backbone import Backbone
from tagger.models.published_backbone import read_backbone


def test_published_weights_are_read(tmp_path: Path) -> None:
    """The published names become those here."""
    torch.save(published_state(), tmp_path / "efficientnet-lite0.pth")
    assert Backbone.of_weights(random_weights()) == read_backbone(tmp_path / "efficientnet-lite0.pth")


def test_the_files_of_bundles_are_read(tmp_path: Path) -> None:
    """The backbone of a bundle, in either form, is read as it is."""
    for backbone in (Backbone.of_weights(random_weights()), Backbone.of_onnx(tiny_onnx())):
        file = tmp_path / f"backbone.{backbone.suffix}"
        file.write_bytes(backbone.content)
        assert backbone == read_backbone(file)


class Trap:
    """Makes a file when unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.file,)


def saved(content: Any) -> Callable[[Path], None]:
    """Return what writes a file in PyTorch's format."""
    return lambda file: torch.save(content, file)


WRONG: dict[str, Callable[[Path], Any]] = {
    "empty.pth": Path.touch,
    "text.pth": lambda file: file.write_text("hello world\n" * 9),
    "half-a-zip.pth": lambda file: file.write_bytes(b"PK\x03\x04" + bytes(50)),
    "pickle.pth": lambda file: file.write_bytes(pickle.dumps({"weights": 1})),
    "list.pth": saved([torch.zeros(1)]),
    "numbers.pth": saved({"_bn0.weight": 3}),
    "names.pth": saved({1: torch.zeros(1)}),
    "other-network.pth": saved({"_blocks.0": torch.zeros(1), "fc.weight": torch.zeros(2, 2)}),
    "module.pth": saved(torch.nn.Linear(2, 2)),
    "no.safetensors": lambda file: file.write_bytes(b"hello"),
    "bfloat16.safetensors": lambda file: save_file({"stem.conv.weight": torch.zeros(1, dtype=torch.bfloat16)}, file),
    "no.onnx": lambda file: file.write_bytes(b"hello"),
    "folder.pth": Path.mkdir,
    "missing.pth": lambda file: None,
}


@pytest.mark.parametrize("name", WRONG)
def test_other_files_are_refused(tmp_path: Path, name: str) -> None:
    """One sentence that names the file, says what is wrong and what to give; none advises to unpickle it."""
    WRONG[name](tmp_path / name)
    with pytest.raises(TrainingError) as caught:
        read_backbone(tmp_path / name)
    message = str(caught.value)
    assert message.startswith(str(tmp_path / name))
    assert message.endswith("or an ONNX file.")
    assert "\n" not in message
    assert "weights_only" not in message
    assert len(message.removeprefix(str(tmp_path))) < 400


def test_nothing_in_a_file_is_executed(tmp_path: Path) -> None:
    """A pickle that would run code is refused."""
    torch.save({"_bn0.weight": Trap(tmp_path / "executed")}, tmp_path / "trap.pth")
    with pytest.raises(TrainingError, match="no weights in PyTorch's format"):
        read_backbone(tmp_path / "trap.pth")
    assert not (tmp_path / "executed").exists()


def test_weights_of_a_torch_file_that_are_not_numbers_are_refused(tmp_path: Path) -> None:
    """NaN in a file would make every tag one."""
    state = published_state()
    state["_fc.bias"] = torch.from_numpy(np.full(1000, np.nan, np.float32))
    torch.save(state, tmp_path / "nan.pth")
    with pytest.raises(TrainingError, match="not finite"):
        read_backbone(tmp_path / "nan.pth")
