"""Bundles keep ONNX files of further networks beside their weights, and refuse others in one sentence."""
# ruff: noqa: SIM300 - the expected value stands first, as in every test here

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from bundle_helpers import card_of, edit_card, refusal

from tagger.models.bundle import Bundle, load, save
from tagger.models.card import FORMAT, FORMAT_WITHOUT_ONNX, files_of, read
from tagger.models.onnx_writer import OnnxWriter
from tagger.models.protobuf import bytes_field


def backbone(factor: float = 2.0) -> bytes:
    """Return a small ONNX file."""
    writer = OnnxWriter()
    writer.node("Mul", "x", writer.constant(np.full(3, factor, np.float32)), output="y")
    return writer.model({"x": ("float32", (1, 3))}, {"y": (1, 3)})


@pytest.fixture
def saved(small_bundle: Path, tmp_path: Path) -> Bundle:
    """The small bundle with an ONNX file, saved into `folder`."""
    loaded = load(small_bundle)
    return save(tmp_path / "copy", loaded.card, loaded.weights, onnx={"backbone": backbone()})


@pytest.fixture
def folder(saved: Bundle, tmp_path: Path) -> Path:
    """The folder of `saved`."""
    return tmp_path / "copy"


def onnx_file(folder: Path) -> Path:
    """Return the ONNX file that a card names."""
    return folder / str(card_of(folder)["onnx"]["backbone"]["file"])


def replace_onnx(folder: Path, content: bytes) -> None:
    """Replace the ONNX file, and its sha256 on the card, so that the checksum does not reveal it."""
    onnx_file(folder).write_bytes(content)
    edit_card(folder, lambda card: card["onnx"]["backbone"].update(sha256=hashlib.sha256(content).hexdigest()))


def test_an_onnx_file_is_kept(saved: Bundle, folder: Path) -> None:
    """The content is loaded as it was saved; the file is named by its sha256, which the card repeats in full."""
    assert {"backbone": backbone()} == saved.onnx == load(folder).onnx
    checksum = hashlib.sha256(backbone()).hexdigest()
    assert f"backbone-{checksum[:8]}.onnx" == onnx_file(folder).name
    assert checksum == read(folder).onnx["backbone"].sha256
    assert onnx_file(folder) in files_of(folder)


def test_only_bundles_with_onnx_files_need_a_newer_fmtag(saved: Bundle, folder: Path, small_bundle: Path) -> None:
    """The card is of the newer format only where an older fmtag would tag without the further network."""
    assert (FORMAT, FORMAT_WITHOUT_ONNX) == (card_of(folder)["format"], card_of(small_bundle)["format"])
    assert "onnx" not in card_of(small_bundle)
    assert {} == load(small_bundle).onnx


@pytest.mark.parametrize("place", [0, 4, -1])
def test_changed_files_are_refused(folder: Path, place: int) -> None:
    """A flipped byte anywhere is noticed by the checksum."""
    content = bytearray(onnx_file(folder).read_bytes())
    content[place] ^= 1
    onnx_file(folder).write_bytes(content)
    assert "sha256 of backbone-" in refusal(folder)


def test_missing_and_cut_files_are_refused(folder: Path) -> None:
    """A missing file and one that ends early are refused, the latter also with the right checksum."""
    content = onnx_file(folder).read_bytes()
    replace_onnx(folder, content[:-3])
    assert "is not an ONNX file that fmtag runs: it is cut short" in refusal(folder)
    onnx_file(folder).unlink()
    refusal(folder)


def test_files_with_more_than_a_graph_are_refused(folder: Path) -> None:
    """A file of functions is refused though its checksum is right."""
    content = backbone() + bytes_field(25, b"")
    replace_onnx(folder, content)
    assert "it defines functions" in refusal(folder)


def test_files_outside_the_folder_are_refused(folder: Path) -> None:
    """A bundle is its own folder and nothing else."""
    (folder.parent / "other.onnx").write_bytes(backbone())
    edit_card(folder, lambda card: card["onnx"]["backbone"].update(file="../other.onnx"))
    assert "outside its folder" in refusal(folder)


def test_other_networks_are_refused(folder: Path) -> None:
    """A good file of another network, with its checksum on the card, is noticed by the sha256 of all networks."""
    replace_onnx(folder, backbone(3.0))
    assert "sha256 of its networks" in refusal(folder)


def test_bad_files_and_names_cannot_be_saved(small_bundle: Path, tmp_path: Path) -> None:
    """What could not be loaded is not written."""
    loaded = load(small_bundle)
    for onnx, reason in (({"backbone": b"\x0a"}, "cut short"), ({"../x": backbone()}, "cannot be the name")):
        with pytest.raises(ValueError, match=reason):
            save(tmp_path / "new", loaded.card, loaded.weights, onnx=onnx)
    assert not (tmp_path / "new").exists()


def test_the_fingerprint_of_networks_is_of_networks_alone(saved: Bundle, folder: Path, tmp_path: Path) -> None:
    """It stays with another card, and changes with the network's weights and the ONNX file."""
    eyes = read(folder).eyes
    card = replace(saved.card, temperature=3.0, name="other")
    network = saved.network()
    with torch.no_grad():
        network.head.bias += 1
    for number, (weights, content) in enumerate(
        ((saved.weights, backbone()), (network, backbone()), (saved.weights, backbone(3.0)))
    ):
        save(tmp_path / str(number), card, weights, onnx={"backbone": content})
    found = [read(tmp_path / str(number)).eyes for number in range(3)]
    assert eyes == found[0]
    assert 3 == len(set(found))


def test_bundles_without_onnx_files_have_no_such_fingerprint(small_bundle: Path) -> None:
    """Nothing stands on top of a single network but its own heads."""
    assert "" == read(small_bundle).eyes


def test_a_replaced_bundle_leaves_no_onnx_file(saved: Bundle, folder: Path) -> None:
    """Of a replaced bundle its own ONNX file goes; one that is not as it was written, and others' files, stay."""
    (folder / "mine-0badcafe.onnx").write_bytes(b"mine")
    old = onnx_file(folder)
    save(folder, saved.card, saved.weights, onnx={"backbone": backbone(3.0)})
    assert not old.exists()
    changed = onnx_file(folder)
    changed.write_bytes(b"mine")
    save(folder, saved.card, saved.weights)
    assert {"card.json", changed.name, "mine-0badcafe.onnx"} <= {file.name for file in folder.iterdir()}
    assert {} == load(folder).onnx
