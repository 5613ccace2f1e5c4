"""Bundles of the user's own: by name, as the default, and with an adapter."""
# ruff: noqa: SIM300 - expected values come first, as in all tests here

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from adaptation_helpers import WIDTH, confident

from tagger.adaptation.fit import fit_adapter
from tagger.errors import BundleError
from tagger.inference.predictor import Features
from tagger.models import bundle
from tagger.models.bundle import set_default_model
from tagger.models.card import bundle_folder
from tagger.models.registry import default_model, shipped_bundles, user_bundles, user_folder
from tagger.settings import DEFAULT_MODEL


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the user's own bundles, which does not exist yet."""
    monkeypatch.setenv("FMTAG_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


def test_own_bundles_have_names(models: Path, photo_bundle: Path, tmp_path: Path) -> None:
    """A bare name is a folder in the user's folder of bundles, a path is a path, and names of shipped bundles are refused."""
    assert models == user_folder()
    assert [] == list(user_bundles())
    assert (models / "mine", Path("here/mine"), tmp_path) == (
        bundle_folder("mine"),
        bundle_folder("here/mine"),
        bundle_folder(str(tmp_path)),
    )
    for folder in shipped_bundles():
        with pytest.raises(BundleError, match="comes with fmtag"):
            bundle_folder(folder.name)
    parent = bundle.load(str(photo_bundle))
    bundle.save(bundle_folder("mine"), replace(parent.card, name="mine"), parent.network())
    assert [models / "mine"] == list(user_bundles())
    assert "mine" == bundle.load("mine").card.name


def test_the_default_can_be_set(models: Path, photo_bundle: Path) -> None:
    """Unset, it is the shipped one; a name stays a name, a folder is stored in full, and unknown ones change nothing."""
    assert DEFAULT_MODEL == default_model()
    set_default_model("base")
    assert "base" == default_model()
    with pytest.raises(BundleError, match="There is no bundle 'nobody'"):
        set_default_model("nobody")
    assert "base" == default_model()
    set_default_model(str(photo_bundle))
    assert str(photo_bundle.resolve()) == default_model()


def test_a_card_and_its_adapter_belong_together(tmp_path: Path, photo_bundle: Path) -> None:
    """A card of an adapter that is missing or has other labels is damaged; shipped bundles have no adapter."""
    parent = bundle.load(str(photo_bundle))
    card = replace(parent.card, base_groups=parent.card.groups)
    with pytest.raises(BundleError, match="damaged"):
        bundle.save(tmp_path / "none", card, parent.network())
    adapter = fit_adapter(Features(confident([0, 1, 2], 11), np.eye(3, WIDTH, dtype=np.float32)))
    fewer = replace(card, labels=card.labels[:5], groups={label: card.groups[label] for label in card.labels[:5]})
    with pytest.raises(BundleError, match="labels are not"):
        bundle.save(tmp_path / "fewer", fewer, parent.network(), adapter)
    assert [None] * len(list(shipped_bundles())) == [bundle.load(str(folder)).adapter for folder in shipped_bundles()]
