"""Exported bundles are real files that other runtimes read, with the probabilities of the bundle."""
# ruff: noqa: SIM300 - the expected value stands first, as in every test here

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tagger.cli.main import main
from tagger.data import fashion_mnist, splits
from tagger.data.images import Images
from tagger.data.labels import LABELS
from tagger.errors import ExportError
from tagger.inference.export import CHECKED_IMAGES, ExportCheck, export, prune_weights
from tagger.inference.settings import ExportSettings, Runtime
from tagger.inference.torch_network import photo_probabilities
from tagger.models import bundle
from tagger.models.adapter import ShopAdapter

pytest.importorskip("onnxscript")
onnxruntime = pytest.importorskip("onnxruntime")

pytestmark = pytest.mark.usefixtures("one_thread")

DRAWN = torch.from_numpy(np.random.default_rng(2).integers(0, 256, (2 * CHECKED_IMAGES, 1, 28, 28), np.uint8))


@pytest.fixture(autouse=True, scope="module")
def drawn_data() -> Iterator[None]:
    """Fashion-MNIST's held-out images are random ones."""
    images = Images(DRAWN, torch.arange(len(DRAWN)) % 10)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fashion_mnist, "load_fashion_mnist", lambda split, folder=None: images)
        patch.setattr(splits, "validation_split", lambda whole: (whole, whole))
        yield


Exported = tuple[Path, tuple[ExportCheck, ExportCheck]]


@pytest.fixture(scope="module")
def exported(small_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[Runtime, Exported]:
    """The small bundle, exported for each runtime, with the checks of bundle and file."""
    folder = tmp_path_factory.mktemp("exported")
    files: dict[Runtime, Path] = {"onnx": folder / "network.onnx", "torch-export": folder / "network.pt2"}
    return {to: (file, export(ExportSettings(str(small_bundle), to, file))) for to, file in files.items()}


def predict(file: Path, to: Runtime, pixels: torch.Tensor) -> np.ndarray:
    """Return the probabilities of an exported file by a runtime that knows nothing of fmtag."""
    if to == "onnx":
        return onnxruntime.InferenceSession(file).run(["probabilities"], {"pixels": pixels.numpy()})[0]
    return torch.export.load(file).module()(pixels).detach().numpy()


@pytest.mark.slow
@pytest.mark.parametrize("to", ["onnx", "torch-export"])
def test_another_runtime_gives_the_same(small_bundle: Path, exported: dict[Runtime, Exported], to: Runtime) -> None:
    """The file gives any number of images the bundle's calibrated probabilities, and the checks show it."""
    out, (before, after) = exported[to]
    assert (CHECKED_IMAGES, 0.0) == (before.same_tags, before.difference)
    assert CHECKED_IMAGES == after.same_tags
    assert before.accuracy == after.accuracy
    assert out.stat().st_size == after.size
    assert 0 < after.compressed < after.size
    assert min(before.images_per_second, after.images_per_second) > 0
    loaded = bundle.load(str(small_bundle))
    for count in (1, 7):
        with torch.no_grad():
            expected = (loaded.network()(DRAWN[:count]) / loaded.card.temperature).softmax(1)
        assert np.allclose(expected.numpy(), predict(out, to, DRAWN[:count]), atol=1e-5)


@pytest.mark.slow
def test_the_command_exports_a_bundle_for_photos_as_it_tags_them(
    photo_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`fmtag export` prints a row for bundle and file; with a head for photos the file averages the four views of a cut."""
    out = tmp_path / "network.pt2"
    with pytest.raises(SystemExit) as caught:
        main(["export", str(photo_bundle), "--to", "torch-export", "--out", str(out)])
    assert not caught.value.code
    printed = capsys.readouterr().out
    assert 3 == printed.count("1,000 ")  # the title, and both rows
    assert "network.pt2" in printed
    loaded = bundle.load(str(photo_bundle))
    with torch.no_grad():
        expected = photo_probabilities(loaded.network(), DRAWN[:5], loaded.card.photo_temperature)[:, :10]
    assert np.allclose(expected.numpy(), predict(out, "torch-export", DRAWN[:5]), atol=1e-5)


def test_the_file_names_its_labels(small_bundle: Path, exported: dict[Runtime, Exported]) -> None:
    """Both kinds of file carry the labels in their order, the bundle's name and its threshold."""
    loaded = bundle.load(str(small_bundle))
    onnx = onnxruntime.InferenceSession(exported["onnx"][0]).get_modelmeta().custom_metadata_map
    extra = {"metadata.json": ""}
    torch.export.load(exported["torch-export"][0], extra_files=extra)
    for metadata in (onnx, json.loads(extra["metadata.json"])):
        assert list(LABELS) == json.loads(metadata["labels"])
        assert (loaded.model, loaded.card.min_confidence) == (metadata["model"], float(metadata["min_confidence"]))


@pytest.mark.slow
def test_int8_is_smaller_and_close(small_bundle: Path, exported: dict[Runtime, Exported], tmp_path: Path) -> None:
    """Weights of a byte each make the file smaller, and most images keep their tags."""
    _, whole = exported["onnx"][1]
    _, after = export(ExportSettings(str(small_bundle), "onnx", tmp_path / "int8.onnx", int8=True))
    assert after.compressed < whole.compressed
    assert after.same_tags > CHECKED_IMAGES / 2
    kinds = {each.type for each in onnxruntime.InferenceSession(tmp_path / "int8.onnx").get_inputs()}
    assert {"tensor(uint8)"} == kinds


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_pruning_takes_the_smallest(small_bundle: Path, share: float) -> None:
    """A share of all convolutions' and linear layers' weights is 0, no other is smaller, and the given network stays."""
    network = bundle.load(str(small_bundle)).network()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    after = prune_weights(network, share)
    layers = {name: module for name, module in after.named_modules() if isinstance(module, torch.nn.Conv2d | torch.nn.Linear)}
    left = torch.cat([module.weight.flatten() for module in layers.values()])
    whole = torch.cat([before[f"{name}.weight"].flatten() for name in layers])
    assert share == pytest.approx((left == 0).float().mean().item(), abs=0.001)
    assert not share or whole[left == 0].abs().max() <= left[left != 0].abs().min()
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


def test_a_file_with_other_probabilities_is_not_written(
    small_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the other runtime gives other probabilities, one sentence says so and an older file stays as it was."""
    out = tmp_path / "network.pt2"
    out.write_text("older")

    def uniform(path: Path) -> Callable[[torch.Tensor], torch.Tensor]:
        return lambda pixels: torch.full((len(pixels), 10), 0.1)

    monkeypatch.setattr("tagger.inference.export._program_scorer", uniform)
    with pytest.raises(ExportError, match=r"network\.pt2 was not written") as caught:
        export(ExportSettings(str(small_bundle), "torch-export", out))
    assert "\n" not in str(caught.value)
    assert "older" == out.read_text()


def test_int8_is_for_onnx_only(small_bundle: Path, tmp_path: Path) -> None:
    """int8 for torch's own files is refused in one sentence."""
    with pytest.raises(ExportError, match="--to onnx"):
        export(ExportSettings(str(small_bundle), "torch-export", tmp_path / "network.pt2", int8=True))


def test_a_bundle_with_a_backbone_is_refused(fused_bundle: Path, tmp_path: Path) -> None:
    """A file of the small network alone would give other tags than the bundle."""
    with pytest.raises(ExportError, match=r"^fused@\S+ has a backbone beside its network, .*catalog-small\.$"):
        export(ExportSettings(str(fused_bundle), "onnx", tmp_path / "new.onnx"))
    assert not (tmp_path / "new.onnx").exists()


def test_a_bundle_with_an_adapter_is_refused(small_bundle: Path, tmp_path: Path) -> None:
    """An adapter cannot be exported; the sentence names the bundle that was adapted."""
    loaded = bundle.load(small_bundle)
    d = 16 * 4 + 8 * 9
    adapter = ShopAdapter(
        *(np.zeros(d, np.float32), np.ones(d, np.float32), np.eye(11, dtype=np.float32)),
        *(np.zeros((d, 11), np.float32), np.zeros(11, np.float32)),
        *(np.zeros((1, d), np.float16), np.full((1, 11), 1 / 11, np.float16)),
    )
    card = replace(loaded.card, name="mine", parent=loaded.model, base_groups=loaded.card.groups)
    bundle.save(tmp_path / "mine", card, loaded.network(), adapter)
    with pytest.raises(ExportError, match=rf"adapter .*adapted from, {loaded.model.replace('+', '.')}"):
        export(ExportSettings(str(tmp_path / "mine"), "onnx", tmp_path / "network.onnx"))


def test_missing_packages_are_named(small_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without ONNX's packages the message is the command that installs them."""
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ExportError, match=r"fmtag\[onnx\]"):
        export(ExportSettings(str(small_bundle), "onnx", tmp_path / "network.onnx"))
    assert not (tmp_path / "network.onnx").exists()
