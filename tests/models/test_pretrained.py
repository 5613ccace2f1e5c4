"""Trainings start from files of torchvision's pretrained weights."""
# ruff: noqa: SIM300 - the expected value stands first, as in every test here

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from tagger.errors import TrainingError
from tagger.models import pretrained
from tagger.models.torchvision_backbones import BUILDERS
from tagger.training.recipe import TORCHVISION_NETWORKS, NetworkName
from tagger.training.recipes import SHAPES

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def weights() -> dict[str, dict[str, Tensor]]:
    """Weights of each network by torchvision's names, for a thousand classes."""
    torch.manual_seed(0)
    return {name: BUILDERS[name](num_classes=1000).state_dict() for name in TORCHVISION_NETWORKS}


def file_of(weights: dict[str, Tensor], place: Path) -> Path:
    """Write the weights to a file, in the format of its suffix, and return it."""
    if place.suffix == ".safetensors":
        save_file(weights, place)
    else:
        torch.save(weights, place)
    return place


def convolutions(network: nn.Module) -> list[Tensor]:
    return [module.weight for module in network.modules() if isinstance(module, nn.Conv2d)]


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("name", TORCHVISION_NETWORKS)
def test_training_begins_with_the_weights(
    name: NetworkName, suffix: str, weights: dict[str, dict[str, Tensor]], tmp_path: Path
) -> None:
    """All layers but the first have the file's weights; the first gives for a grey image what the file's gives for its RGB."""
    file = file_of(weights[name], tmp_path / f"weights{suffix}")
    begun = pretrained.load(file, SHAPES[name], 0)
    whole = BUILDERS[name](num_classes=1000)
    whole.load_state_dict(weights[name])
    (first, *others), (of_file, *of_files) = convolutions(begun.network), convolutions(whole)
    grey = torch.rand(2, 1, 28, 28)
    output, expected = (
        nn.functional.conv2d(image, weight) for image, weight in ((grey, first), (grey.expand(-1, 3, -1, -1), of_file))
    )
    assert torch.allclose(expected, output, atol=1e-4)
    assert len(others) == len(of_files)
    assert all(torch.equal(one, other) for one, other in zip(others, of_files, strict=True))
    assert begun.name.startswith(f"weights{suffix}@")
    assert 10 == begun.network.head.out_features


def test_old_files_do_not_count_batches(weights: dict[str, dict[str, Tensor]], tmp_path: Path) -> None:
    """A file from before norms counted their batches is accepted."""
    old = {name: tensor for name, tensor in weights["resnet18"].items() if not name.endswith("num_batches_tracked")}
    assert pretrained.load(file_of(old, tmp_path / "old.pth"), SHAPES["resnet18"], 0).network is not None


@pytest.mark.parametrize("content", [b"", b"no weights", b"PK\3\4" + bytes(100), b"\x80\x02}q\x00."])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_other_files_are_refused(content: bytes, suffix: str, tmp_path: Path) -> None:
    """A file that holds no weights is refused in one sentence that names it."""
    file = tmp_path / f"weights{suffix}"
    file.write_bytes(content)
    with pytest.raises(TrainingError, match="weights") as caught:
        pretrained.load(file, SHAPES["resnet18"], 0)
    assert "\n" not in str(caught.value)
    assert str(file) in str(caught.value)


def test_a_file_that_would_run_code_is_refused(tmp_path: Path) -> None:
    """A pickled network, whose loading would run code, is not loaded."""
    torch.save(nn.Sequential(nn.Linear(2, 2)), tmp_path / "whole.pth")
    with pytest.raises(TrainingError, match=r"whole\.pth"):
        pretrained.load(tmp_path / "whole.pth", SHAPES["resnet18"], 0)


def test_weights_of_another_network_are_refused(weights: dict[str, dict[str, Tensor]], tmp_path: Path) -> None:
    """Weights of another network are refused by its name, an incomplete file by the missing tensor."""
    file = file_of(weights["mobilenet-v3"], tmp_path / "mobile.pth")
    with pytest.raises(TrainingError, match="resnet18"):
        pretrained.load(file, SHAPES["resnet18"], 0)
    some = {name: tensor for name, tensor in weights["resnet18"].items() if name != "layer2.0.conv1.weight"}
    with pytest.raises(TrainingError, match=r"layer2\.0\.conv1\.weight is missing"):
        pretrained.load(file_of(some, tmp_path / "some.pth"), SHAPES["resnet18"], 0)
