"""A new bundle in a folder replaces the old one, and removes no file that is not the old one's."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tagger.models.bundle import load, save


@pytest.fixture
def folder(small_bundle: Path, tmp_path: Path) -> Path:
    """A copy of the small bundle, between files of other names and of names like its own."""
    copied = Path(shutil.copytree(small_bundle, tmp_path / "bundle"))
    for name in ("weights-mine.safetensors", "weights-0badcafe.safetensors", "notes.txt"):
        (copied / name).write_text("mine")
    return copied


def replace_bundle(folder: Path) -> None:
    """Save a bundle with other weights into the folder."""
    loaded = load(str(folder))
    network = loaded.network()
    with torch.no_grad():
        network.head.bias += 1
    save(folder, replace(loaded.card, name="other"), network)


def names(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


def test_only_the_weights_of_the_replaced_card_go(folder: Path, small_bundle: Path) -> None:
    """Only the file that the old card names is removed; other weights in the folder may be anybody's."""
    (old,) = (file.name for file in small_bundle.glob("weights-*.safetensors"))
    before = names(folder)
    replace_bundle(folder)
    (new,) = names(folder) - before
    assert names(folder) == before - {old} | {new}
    assert load(str(folder)).card.name == "other"


@pytest.mark.parametrize("fault", ["renamed", "changed", "no card", "foreign card", "damaged card"])
def test_weights_that_are_not_the_old_bundles_stay(folder: Path, small_bundle: Path, fault: str) -> None:
    """A file is kept if the card names it otherwise, its content differs, or the card is missing, foreign or damaged."""
    (old,) = small_bundle.glob("weights-*.safetensors")
    loaded, card = load(str(folder)), folder / "card.json"
    if fault == "renamed":
        (folder / old.name).rename(folder / "precious.safetensors")
        card.write_text(card.read_text().replace(old.name, "precious.safetensors"))
    elif fault == "changed":
        (folder / old.name).write_text("mine")
    elif fault == "no card":
        card.unlink()
    elif fault == "foreign card":
        card.write_text(card.read_text().replace("fmtag-bundle", "other"))
    else:
        card.write_text(card.read_text()[:-9])
    before = names(folder) | {"card.json"}
    network = loaded.network()
    with torch.no_grad():
        network.head.bias += 1
    save(folder, loaded.card, network)
    assert len(names(folder) - before) == 1
    assert before <= names(folder)
