"""Bundles keep a backbone beside their weights, know what computes embeddings, and refuse damage in one sentence."""
# ruff: noqa: SIM300 - the expected value stands first, as in every test here

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from shutil import copytree
from typing import Any

import numpy as np
import pytest
from bundle_helpers import card_of, edit_card, refusal, replace_weights, weights_of
from fusion_helpers import random_fusion, save_fused, tiny_backbone, tiny_onnx
from helpers import Fmtag, save_bundle
from numpy.typing import NDArray
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

from tagger.errors import BundleError
from tagger.inference.predictor import Predictor
from tagger.models.backbone import Backbone
from tagger.models.bundle import Bundle, load, save
from tagger.models.card import FORMAT, FORMAT_WITHOUT_BACKBONE, files_of, read
from tagger.models.config import NetworkConfig
from tagger.models.fusion import OF_EMBEDDING, Fusion
from tagger.models.protobuf import bytes_field, varint_field

Arrays = dict[str, NDArray[Any]]


@pytest.fixture
def folder(fused_bundle: Path, tmp_path: Path) -> Path:
    """A copy of the bundle with a backbone, to be damaged."""
    return Path(copytree(fused_bundle, tmp_path / "copy"))


def backbone_file(folder: Path) -> Path:
    """Return the file of the backbone that a card names."""
    return folder / str(card_of(folder)["backbone"]["file"])


def replace_backbone(folder: Path, content: bytes) -> None:
    """Replace the backbone, and its sha256 on the card, so that the checksum does not reveal it."""
    backbone_file(folder).write_bytes(content)
    edit_card(folder, lambda card: card["backbone"].update(sha256=hashlib.sha256(content).hexdigest()))


EXTERNAL_WEIGHTS = bytes_field(5, bytes_field(13, bytes_field(1, "location") + bytes_field(2, "/etc/passwd")))

CUSTOM_OPERATOR = bytes_field(1, bytes_field(4, "Run") + bytes_field(7, "com.example"))

REFUSED = {
    "weights in another file": (bytes_field(7, EXTERNAL_WEIGHTS), "some of its weights are in another file"),
    "operators of another domain": (bytes_field(7, CUSTOM_OPERATOR), "operators of another domain, 'com.example'"),
    "functions": (bytes_field(25, b""), "it defines functions"),
    "a training": (bytes_field(20, b""), "it holds a training"),
    "a second graph": (bytes_field(7, b""), "it holds several graphs"),
    "an unknown field": (varint_field(99, 1), "unknown field 99"),
    "a cut field": (bytes_field(2, "fmtag")[:-1], "it is cut short"),
}
"""What may be appended to a good file that makes it another one, and the reason why it is refused."""


def test_a_backbone_is_kept(fused_bundle: Path) -> None:
    """Backbone and fusion are loaded as they were saved; the file is named by its sha256, which the card repeats in full."""
    loaded = load(fused_bundle)
    assert tiny_backbone() == loaded.backbone
    checksum = hashlib.sha256(tiny_onnx()).hexdigest()
    assert f"backbone-{checksum[:8]}.onnx" == backbone_file(fused_bundle).name
    assert (backbone_file(fused_bundle).name, checksum) == read(fused_bundle).backbone_file
    assert backbone_file(fused_bundle) in files_of(fused_bundle)
    expected = random_fusion().arrays()
    assert loaded.fusion is not None
    assert expected.keys() == loaded.fusion.arrays().keys()
    for name, array in loaded.fusion.arrays().items():
        assert np.array_equal(expected[name], array)
    assert not any(name.startswith("fusion.") for name in loaded.weights)


def test_saving_again_changes_nothing(fused_bundle: Path, tmp_path: Path) -> None:
    """A bundle that is loaded and saved elsewhere has the same fingerprint and eyes."""
    first = load(fused_bundle)
    second = save(tmp_path / "new", first.card, first.weights, backbone=first.backbone, fusion=first.fusion)
    assert first.fingerprint == second.fingerprint
    assert read(fused_bundle).eyes == read(tmp_path / "new").eyes


def test_the_layout_of_arrays_in_memory_does_not_matter(fused_bundle: Path, tmp_path: Path) -> None:
    """Arrays in Fortran's order, as sorted eigenvectors are, and reversed views are stored by their values."""
    loaded = load(fused_bundle)
    projection = np.asfortranarray(random_fusion(seed=1).projection)
    weight = random_fusion(seed=1).weight[:, ::-1]
    assert not projection.flags.c_contiguous
    fusion = replace(random_fusion(), projection=projection, weight=weight)
    weights = {name: np.asarray(array, order="F") for name, array in loaded.weights.items()}
    saved = save(tmp_path / "new", loaded.card, weights, backbone=loaded.backbone, fusion=fusion)
    assert saved.fusion is not None
    assert np.array_equal(projection, saved.fusion.projection)
    assert np.array_equal(weight, saved.fusion.weight)
    assert all(np.array_equal(array, saved.weights[name]) for name, array in loaded.weights.items())


def test_only_bundles_with_a_backbone_need_a_newer_fmtag(fused_bundle: Path, photo_bundle: Path) -> None:
    """The card is of the newer format only where an older fmtag would tag without the backbone."""
    assert (FORMAT, FORMAT_WITHOUT_BACKBONE) == (card_of(fused_bundle)["format"], card_of(photo_bundle)["format"])
    assert not {"backbone", "eyes"} & card_of(photo_bundle).keys()
    assert (None, None) == (load(photo_bundle).backbone, load(photo_bundle).fusion)
    assert (None, "") == (read(photo_bundle).backbone_file, read(photo_bundle).eyes)


@pytest.mark.parametrize("place", [0, 4, -1])
def test_changed_files_are_refused(folder: Path, place: int) -> None:
    """A flipped byte anywhere is noticed by the checksum."""
    content = bytearray(backbone_file(folder).read_bytes())
    content[place] ^= 1
    backbone_file(folder).write_bytes(content)
    assert "sha256 of backbone-" in refusal(folder)


def test_a_missing_file_is_refused(folder: Path) -> None:
    """Without its backbone a bundle is no bundle, not one that sees less."""
    backbone_file(folder).unlink()
    assert "cannot be read" in refusal(folder)


@pytest.mark.parametrize("name", REFUSED)
def test_files_with_more_than_a_graph_are_refused(folder: Path, name: str) -> None:
    """A file that ONNX Runtime would follow elsewhere is refused though its checksum is right."""
    addition, reason = REFUSED[name]
    replace_backbone(folder, tiny_onnx() + addition)
    assert f"{backbone_file(folder).name} is not an ONNX file that fmtag runs" in refusal(folder)
    assert reason in refusal(folder)


@pytest.mark.parametrize("name", ["weights in another file", "operators of another domain"])
def test_the_command_refuses_them_too(
    folder: Path, fmtag: Fmtag, photos: Callable[[int], Path], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`fmtag run --model ./FOLDER` ends with one sentence and writes no row."""
    addition, reason = REFUSED[name]
    replace_backbone(folder, tiny_onnx() + addition)
    monkeypatch.chdir(folder.parent)
    done = fmtag("run", photos(1), "--model", "./copy", "--out", "tags.csv")
    assert (1, "") == (done.returncode, done.stdout)
    error = done.stderr.splitlines()[-1]
    assert error.startswith("Error: The bundle copy is damaged: ")
    assert reason in error
    assert "Traceback" not in done.stderr
    assert not (folder.parent / "tags.csv").exists()


def test_files_outside_the_folder_are_refused(folder: Path) -> None:
    """A bundle is its own folder and nothing else."""
    (folder.parent / "other.onnx").write_bytes(tiny_onnx())
    edit_card(folder, lambda card: card["backbone"].update(file="../other.onnx"))
    assert "outside its folder" in refusal(folder)


def test_another_backbone_is_refused(folder: Path) -> None:
    """A good file of another network, with its checksum on the card, is noticed by the sha256 of all networks."""
    replace_backbone(folder, tiny_onnx(seed=1))
    assert "sha256 of its networks" in refusal(folder)


def edited(folder: Path, change: Callable[[Arrays], object]) -> str:
    """Return how a bundle is refused whose arrays were changed, with the right checksum on its card."""
    arrays = load_arrays(weights_of(folder).read_bytes())
    change(arrays)
    replace_weights(folder, save_arrays(arrays))
    return refusal(folder)


def test_damaged_fusions_are_refused(folder: Path) -> None:
    """Missing, misshapen, unknown and unusable arrays are refused, each for its own reason."""
    ones = np.ones(3, np.float32)
    assert "missing or unknown: bias" in edited(folder, lambda arrays: arrays.pop("fusion.bias"))
    assert "missing or unknown: bias, more" in edited(folder, lambda arrays: arrays.update({"fusion.more": ones}))
    arrays = random_fusion().arrays()
    for name, array, reason in (
        ("weight", ones, "the fusion's weight has the shape"),
        ("centre", ones, "the fusion's centre has the shape"),
        ("projection", ones, "no matrix"),
        ("spread", np.zeros(24, np.float32), "numbers that cannot be used"),
        ("head's bias", np.full(11, np.nan, np.float32), "numbers that cannot be used"),
        ("temperature", np.zeros(1, np.float32), "numbers that cannot be used"),
    ):
        key = "fusion." + name.removeprefix("head's ")
        wrong = {key: array}
        content = load_arrays(weights_of(folder).read_bytes())
        kept = {one: array for one, array in content.items() if not one.startswith("fusion.")}
        replace_weights(folder, save_arrays({**kept, **arrays, **wrong}))
        assert reason in refusal(folder)


def test_a_fusion_without_its_backbone_is_refused(folder: Path) -> None:
    """Neither is of use without the other."""
    whole = weights_of(folder).read_bytes()
    edit_card(folder, lambda card: card.pop("backbone"))
    assert "only one of backbone and fusion" in refusal(folder)
    replace_weights(folder, whole)
    edit_card(folder, lambda card: card.update(backbone={"file": "backbone-0.onnx", "sha256": "0"}))
    refusal(folder)


def test_a_fusion_is_for_the_labels_of_imagenets_table(fused_bundle: Path, tmp_path: Path) -> None:
    """Labels that are others, fewer or in another order would get the evidence of those."""
    loaded = load(fused_bundle)
    for labels in (loaded.card.labels[::-1], ("hat", *loaded.card.labels[1:])):
        card = replace(loaded.card, labels=labels, groups=dict.fromkeys(labels, "accessory"))
        with pytest.raises(BundleError, match="the fusion's labels are not the card's"):
            save(tmp_path / "new", card, loaded.weights, backbone=loaded.backbone, fusion=loaded.fusion)


def test_what_is_not_whole_is_not_saved(folder: Path) -> None:
    """A backbone without a fusion, a fusion without a backbone, and no backbone at all do not replace a good bundle."""
    loaded = load(folder)
    for backbone, fusion in (
        (loaded.backbone, None),
        (None, loaded.fusion),
        (Backbone(b"no network", "safetensors"), loaded.fusion),
        (Backbone(b"no network", "onnx"), loaded.fusion),
    ):
        with pytest.raises(ValueError, match=r"."):
            save(folder, loaded.card, loaded.weights, backbone=backbone, fusion=fusion)
    assert loaded.fingerprint == load(folder).fingerprint


def test_a_backbone_that_does_not_fit_cannot_be_run(photo_bundle: Path, tmp_path: Path) -> None:
    """One with other features than the fusion takes is refused in one sentence before the first photo."""
    folder = save_fused(tmp_path / "new", photo_bundle, Backbone.of_onnx(tiny_onnx(features=25)))
    with pytest.raises(BundleError, match=r"^The backbone of new@\S+ cannot be run: it returns 25 features, and .* 24\.$"):
        Predictor(load(folder), "cpu").open()


def eyes_of(folder: Path, bundle: Bundle, **changes: Any) -> str:
    """Return the eyes of a bundle that is saved with changes of its parts."""
    parts = {"card": bundle.card, "network": bundle.weights, "backbone": bundle.backbone, "fusion": bundle.fusion} | changes
    save(folder, **parts)
    return read(folder).eyes


def test_eyes_are_of_networks_alone(fused_bundle: Path, tmp_path: Path) -> None:
    """They stay with another head, threshold and name, and change with all that embeddings are computed by."""
    loaded = load(fused_bundle)
    card, fusion = loaded.card, random_fusion()
    eyes = read(fused_bundle).eyes
    assert 64 == len(eyes)
    others = {name: getattr(random_fusion(seed=1), name) for name in ("weight", "bias")}
    ones = np.ones(1, np.float32)
    kept: list[dict[str, Any]] = [
        {},
        {"card": replace(card, name="other", min_confidence=0.1, precisions={}, metrics={"n": 1})},
        {"fusion": replace(fusion, **others)},
        {"fusion": replace(fusion, temperature=ones, none_bias=ones, none_weight=ones.repeat(3), exponents=ones.repeat(3))},
    ]
    assert {eyes} == {eyes_of(tmp_path / "new", loaded, **changes) for changes in kept}
    bias = {name: array + 1 if name == "head.bias" else array for name, array in loaded.weights.items()}
    changed: list[dict[str, Any]] = [
        {"card": replace(card, temperature=2.5)},
        {"card": replace(card, photo_temperature=2.5)},
        {"card": replace(card, groups=card.groups | {"Bag": "footwear"})},
        {"network": bias},
        {"backbone": tiny_backbone(seed=1)},
        *({"fusion": replace(fusion, **{_short(name): getattr(fusion, _short(name)) + 1})} for name in OF_EMBEDDING),
    ]
    found = [eyes_of(tmp_path / "new", loaded, **changes) for changes in changed]
    assert len(changed) + 1 == len({eyes, *found})


def _short(name: str) -> str:
    return name.removeprefix("fusion.")


def test_a_replaced_bundle_leaves_no_backbone(folder: Path, small_bundle: Path) -> None:
    """Of a replaced bundle its own backbone goes; one that is not as it was written, and others' files, stay."""
    (folder / "mine-0badcafe.onnx").write_bytes(b"mine")
    loaded, old = load(folder), backbone_file(folder)
    save(folder, loaded.card, loaded.weights, backbone=tiny_backbone(seed=1), fusion=loaded.fusion)
    assert not old.exists()
    changed = backbone_file(folder)
    changed.write_bytes(b"mine")
    save(folder, load(small_bundle).card, load(small_bundle).weights)
    assert {"card.json", changed.name, "mine-0badcafe.onnx"} <= {file.name for file in folder.iterdir()}
    assert load(folder).backbone is None


def test_fusion_of_a_network_without_a_head_for_photos(tmp_path: Path) -> None:
    """Any network of the labels can have a backbone beside it."""
    plain = save_bundle(tmp_path / "plain", NetworkConfig(widths=(8, 16)))
    assert isinstance(load(save_fused(tmp_path / "fused", plain)).fusion, Fusion)
