"""Bundles written for other runtimes: real files, read back by those runtimes, that say what the bundle says."""
# ruff: noqa: SIM300 - what is expected stands first, as in every test here

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tagger.cli.main import main
from tagger.data import fashion_mnist, splits
from tagger.data.images import Images
from tagger.data.labels import LABELS
from tagger.errors import ExportError
from tagger.inference.export import CHECKED_IMAGES, export, prune_weights
from tagger.inference.predictor import photo_probabilities
from tagger.inference.settings import ExportSettings, Runtime
from tagger.models import bundle

pytest.importorskip("onnxscript")
onnxruntime = pytest.importorskip("onnxruntime")

pytestmark = pytest.mark.usefixtures("one_thread")

DRAWN = torch.from_numpy(np.random.default_rng(2).integers(0, 256, (2 * CHECKED_IMAGES, 1, 28, 28), np.uint8))


@pytest.fixture(autouse=True)
def drawn_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fashion-MNIST's held-out images are drawn ones."""
    pictures = Images(DRAWN, torch.arange(len(DRAWN)) % 10)
    monkeypatch.setattr(fashion_mnist, "load_fashion_mnist", lambda split, folder=None: pictures)
    monkeypatch.setattr(splits, "validation_split", lambda whole: (whole, whole))


def answer(file: Path, to: Runtime, pixels: torch.Tensor) -> np.ndarray:
    """Return what a runtime that knows nothing of fmtag makes of a file."""
    if to == "onnx":
        return onnxruntime.InferenceSession(file).run(["probabilities"], {"pixels": pixels.numpy()})[0]
    return torch.export.load(file).module()(pixels).detach().numpy()


@pytest.mark.parametrize("to", ["onnx", "torch-export"])
def test_another_runtime_says_the_same(small_bundle: Path, tmp_path: Path, to: Runtime) -> None:
    """The file gives any number of pictures the calibrated probabilities that the bundle does, and the rows say so."""
    out = tmp_path / "network.pt2"
    before, after = export(ExportSettings(str(small_bundle), to, out))
    assert (CHECKED_IMAGES, 0.0) == (before.same_tags, before.difference)
    assert CHECKED_IMAGES == after.same_tags
    assert out.stat().st_size == after.size
    loaded = bundle.load(str(small_bundle))
    for count in (1, 7):
        with torch.no_grad():
            expected = (loaded.network()(DRAWN[:count]) / loaded.card.temperature).softmax(1)
        assert np.allclose(expected.numpy(), answer(out, to, DRAWN[:count]), atol=1e-5)


def test_a_bundle_for_photos_is_exported_as_it_tags_them(photo_bundle: Path, tmp_path: Path) -> None:
    """With a head for photos the file averages the four views of a cut, and gives the labels alone."""
    out = tmp_path / "network.onnx"
    export(ExportSettings(str(photo_bundle), "onnx", out))
    loaded = bundle.load(str(photo_bundle))
    with torch.no_grad():
        expected = photo_probabilities(loaded.network(), DRAWN[:5], loaded.card.photo_temperature)[:, :10]
    assert np.allclose(expected.numpy(), answer(out, "onnx", DRAWN[:5]), atol=1e-5)


def test_the_file_names_its_labels(small_bundle: Path, tmp_path: Path) -> None:
    """Both kinds of file carry the labels in their order, the bundle's name and its threshold."""
    loaded = bundle.load(str(small_bundle))
    export(ExportSettings(str(small_bundle), "onnx", tmp_path / "network.onnx"))
    export(ExportSettings(str(small_bundle), "torch-export", tmp_path / "network.pt2"))
    onnx = onnxruntime.InferenceSession(tmp_path / "network.onnx").get_modelmeta().custom_metadata_map
    extra = {"metadata.json": ""}
    torch.export.load(tmp_path / "network.pt2", extra_files=extra)
    for said in (onnx, json.loads(extra["metadata.json"])):
        assert list(LABELS) == json.loads(said["labels"])
        assert (loaded.model, loaded.card.min_confidence) == (said["model"], float(said["min_confidence"]))


def test_int8_is_smaller_and_close(small_bundle: Path, tmp_path: Path) -> None:
    """Weights of a byte each make the file smaller, and most pictures keep their tags."""
    _, whole = export(ExportSettings(str(small_bundle), "onnx", tmp_path / "whole.onnx"))
    _, after = export(ExportSettings(str(small_bundle), "onnx", tmp_path / "int8.onnx", int8=True))
    assert after.compressed < whole.compressed
    assert after.same_tags > CHECKED_IMAGES / 2
    kinds = {each.type for each in onnxruntime.InferenceSession(tmp_path / "int8.onnx").get_inputs()}
    assert {"tensor(uint8)"} == kinds


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_pruning_takes_the_smallest(small_bundle: Path, share: float) -> None:
    """A share of all convolutions' and linear layers' weights is 0, none of the others is smaller, and the network is left."""
    network = bundle.load(str(small_bundle)).network()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    after = prune_weights(network, share)
    layers = {name: module for name, module in after.named_modules() if isinstance(module, torch.nn.Conv2d | torch.nn.Linear)}
    left = torch.cat([module.weight.flatten() for module in layers.values()])
    whole = torch.cat([before[f"{name}.weight"].flatten() for name in layers])
    assert share == pytest.approx((left == 0).float().mean().item(), abs=0.001)
    assert not share or whole[left == 0].abs().max() <= left[left != 0].abs().min()
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


def test_a_file_that_says_something_else_is_not_written(
    small_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the other runtime does not say the same, one sentence says so and an older file stays as it was."""
    out = tmp_path / "network.pt2"
    out.write_text("older")
    monkeypatch.setattr(
        "tagger.inference.export._program_scorer", lambda path: lambda pixels: torch.full((len(pixels), 10), 0.1)
    )
    with pytest.raises(ExportError, match="not written") as caught:
        export(ExportSettings(str(small_bundle), "torch-export", out))
    assert "\n" not in str(caught.value)
    assert "older" == out.read_text()


def test_int8_is_onnxs(small_bundle: Path, tmp_path: Path) -> None:
    """int8 for torch's own files is refused in one sentence."""
    with pytest.raises(ExportError, match="--to onnx"):
        export(ExportSettings(str(small_bundle), "torch-export", tmp_path / "network.pt2", int8=True))


def test_missing_packages_are_named(small_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without ONNX's packages the message is the command that installs them."""
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ExportError, match=r"fmtag\[onnx\]"):
        export(ExportSettings(str(small_bundle), "onnx", tmp_path / "network.onnx"))
    assert not (tmp_path / "network.onnx").exists()


def test_the_command_prints_before_and_after(small_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`fmtag export` prints a row for the bundle and one for the file, whose tags are the same."""
    with pytest.raises(SystemExit) as caught:
        main(["export", str(small_bundle), "--to", "torch-export", "--out", str(tmp_path / "n.pt2")])
    assert not caught.value.code
    printed = capsys.readouterr().out
    assert 3 == printed.count("1,000 ")  # the title, and both rows
    assert "n.pt2" in printed
