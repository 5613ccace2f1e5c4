"""Bundles are saved and loaded without loss, and damaged or foreign weights are refused in one sentence."""
# ruff: noqa: SIM300 - the expected value stands first, as in every test here

import hashlib
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from bundle_helpers import card_of, edit_card, product_images, refusal, replace_weights, stacked, weights_of
from helpers import ROOT

from tagger.data.labels import GROUPS, LABELS
from tagger.errors import BundleError
from tagger.inference.predictor import Predictor
from tagger.models.bundle import Bundle, load, save, set_default_model
from tagger.models.card import Card
from tagger.models.config import NetworkConfig
from tagger.models.network import Network
from tagger.models.registry import default_model

pytestmark = pytest.mark.usefixtures("one_thread")


def test_saved_bundle_gives_the_same_probabilities(small_bundle: Path, tmp_path: Path) -> None:
    """A bundle loaded, saved elsewhere and loaded again has the same card, fingerprint and probabilities."""
    first = load(str(small_bundle))
    returned = save(tmp_path / "deep" / "new", first.card, first.network())
    second = load(str(tmp_path / "deep" / "new"))
    assert first.card == second.card == returned.card
    assert first.fingerprint == second.fingerprint == returned.fingerprint
    assert np.array_equal(Predictor(first, "cpu")(product_images(9)), Predictor(second, "cpu")(product_images(9)))


def test_saving_over_a_bundle_leaves_two_files(copy: Path) -> None:
    """Saving over an old bundle leaves exactly two files, and they are the new one's."""
    old = load(str(copy))
    torch.manual_seed(8)
    new = save(copy, old.card, Network(old.card.network))
    assert sorted(["card.json", weights_of(copy).name]) == sorted(file.name for file in copy.iterdir())
    assert new.fingerprint == load(str(copy)).fingerprint != old.fingerprint


def test_fingerprint_tells_bundles_apart(copy: Path) -> None:
    """The fingerprint is the card's sha256 and changes with the card; the model column begins with the name."""
    before = load(str(copy))
    assert hashlib.sha256((copy / "card.json").read_bytes()).hexdigest() == before.fingerprint
    assert f"small@{before.fingerprint[:8]}+g{before.card.garment_version}" == before.model
    edit_card(copy, lambda card: card.update(temperature=2.0))
    assert before.fingerprint != load(str(copy)).fingerprint


def test_weights_are_named_by_their_content(small_bundle: Path) -> None:
    """The weights' file is named by its own sha256, which the card repeats in full."""
    checksum = hashlib.sha256(weights_of(small_bundle).read_bytes()).hexdigest()
    assert checksum == card_of(small_bundle)["weights"]["sha256"]
    assert f"weights-{checksum[:8]}.safetensors" == weights_of(small_bundle).name


def test_loading_unpickles_nothing(small_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading a bundle uses neither torch.load nor pickle, which could run code."""

    def never(*_: object, **__: object) -> None:
        raise AssertionError("a bundle was unpickled")

    monkeypatch.setattr(torch, "load", never)
    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, never)
    assert isinstance(load(str(small_bundle)), Bundle)


def test_bundle_that_cannot_be_written(small_bundle: Path, tmp_path: Path) -> None:
    """A bundle that cannot be written, as there is a file in the folder's place, is one sentence that names it."""
    (tmp_path / "file").write_text("")
    loaded = load(str(small_bundle))
    with pytest.raises(BundleError) as caught:
        save(tmp_path / "file", loaded.card, loaded.network())
    assert str(tmp_path / "file") in str(caught.value)


def test_a_bundle_with_two_heads_survives_saving(photo_bundle: Path, tmp_path: Path) -> None:
    """Its card is the same after loading and saving: both heads, both temperatures and the table of precisions."""
    first = load(str(photo_bundle))
    assert (11, 2.0, {"0.8": 0.31, "0.95": 0.62}) == (
        first.card.network.photo_classes,
        first.card.photo_temperature,
        first.card.precisions,
    )
    second = save(tmp_path / "again", first.card, first.network())
    assert first.card == second.card
    assert first.fingerprint == second.fingerprint


def test_the_oldest_shipped_bundle_loads() -> None:
    """The bundle `residual`, whose card is of format 1, loads, has one head, and knows thresholds by default alone."""
    folder = ROOT / "weights" / "residual"
    assert 1 == card_of(folder)["format"]
    loaded = load(str(folder))
    assert loaded.network().photo_head is None
    assert loaded.card.min_confidence == loaded.card.threshold(None)
    with pytest.raises(BundleError):
        loaded.card.threshold(0.95)


SHAPES = (
    NetworkConfig(widths=(8, 16), pooled=True),
    NetworkConfig(widths=(8, 16, 24), blocks=(2, 1, 3), stem=16, pooled=True),
    NetworkConfig(widths=(8, 16), blocks=(1, 2), stem=24, photo_classes=11),
    NetworkConfig(widths=(8,), pooled=True, family="plain", norms=False),
    NetworkConfig(widths=(8, 16), blocks=(1, 2), family="plain", dense=(20, 12), dropout=0.5, photo_classes=11),
    NetworkConfig(family="resnet18"),
    NetworkConfig(family="mobilenet-v3"),
    NetworkConfig(family="efficientnet-b0"),
)


@pytest.mark.parametrize("config", SHAPES, ids=lambda config: f"{config.family} {config.widths} {config.photo_classes}")
def test_every_shape_is_kept(tmp_path: Path, config: NetworkConfig) -> None:
    """A bundle of any architecture loads as it was and predicts what its network does, also with negative norms."""
    torch.manual_seed(3)
    network = Network(config)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):  # as training might leave them: max-pools and negative weights do not swap
            torch.nn.init.normal_(module.weight)
            torch.nn.init.normal_(module.running_mean)
    saved = save(tmp_path, Card("shape", LABELS, GROUPS, config, 1, 2.0, 0.5), network.eval())
    assert config == load(str(tmp_path)).card.network
    images = product_images(5)
    with torch.no_grad():
        views = (
            [network(stacked(images)), network(stacked(images).flip(3))] if config.photo_classes else [network(stacked(images))]
        )
    expected = torch.stack([(logits / 2).softmax(1) for logits in views]).mean(0)
    assert np.allclose(expected.numpy(), Predictor(saved, "cpu")(images), atol=1e-4)


def test_every_flipped_byte_in_the_weights_is_noticed(copy: Path) -> None:
    """A flipped byte anywhere in the weights is noticed."""
    whole = weights_of(copy).read_bytes()
    for at in (0, 7, 8, 100, len(whole) // 2, len(whole) - 1):
        weights_of(copy).write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        refusal(copy)


def test_cut_and_missing_weights_are_noticed(copy: Path) -> None:
    """Weights cut short, emptied or gone are noticed."""
    whole = weights_of(copy).read_bytes()
    for content in (whole[:-1], whole[: len(whole) // 2], b""):
        weights_of(copy).write_bytes(content)
        refusal(copy)
    weights_of(copy).unlink()
    refusal(copy)


def test_weights_outside_the_folder_are_not_read(copy: Path) -> None:
    """Good weights beside the folder are refused all the same: a bundle is its own folder and nothing else."""
    shutil.copy(weights_of(copy), copy.parent / "weights.safetensors")
    edit_card(copy, lambda card: card["weights"].update(file="../weights.safetensors"))
    refusal(copy)


def test_pickles_are_not_weights(copy: Path) -> None:
    """A pickle or a torch file under the weights' name and with the right checksum is refused and not run."""
    executed = copy.parent / "executed"
    replace_weights(copy, pickle.dumps(Trap(executed)))
    refusal(copy)
    torch.save({"head.bias": torch.zeros(10)}, copy.parent / "weights.pt")
    replace_weights(copy, (copy.parent / "weights.pt").read_bytes())
    refusal(copy)
    assert not executed.exists()


class Trap:
    """Makes a file when unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.file,)


@pytest.mark.parametrize("content", [b"", b"\0" * 8, b"\xff" * 16, b"\x02\0\0\0\0\0\0\0{}", b"\x10\0\0\0\0\0\0\0no JSON"])
def test_other_files_are_not_weights(copy: Path, content: bytes) -> None:
    """Bytes that are no weights of this network are refused though their checksum is right."""
    replace_weights(copy, content)
    refusal(copy)


def test_weights_of_another_network_are_refused(copy: Path, tmp_path: Path) -> None:
    """The weights of another network are refused in one sentence, however many differences there are."""
    card = load(str(copy)).card
    config = NetworkConfig(widths=(4, 4, 4))
    other = save(tmp_path / "other", Card("other", LABELS, GROUPS, config, 1, 1.0, 0.5), Network(config))
    assert card.network != other.card.network
    replace_weights(copy, weights_of(tmp_path / "other").read_bytes())
    refusal(copy)


@pytest.mark.parametrize("name", ["base", "tiny", "catalog"])
def test_saving_a_shipped_bundle_keeps_its_weights(name: str, tmp_path: Path) -> None:
    """A shipped bundle, loaded and saved, has the same weights byte for byte; saved once more, the same card too."""
    loaded = load(ROOT / "weights" / name)
    parts = (loaded.adapter, loaded.backbone, loaded.fusion)
    first = save(tmp_path / "first", loaded.card, loaded.network(), *parts)
    second = save(tmp_path / "second", first.card, first.network(), first.adapter, first.backbone, first.fusion)
    contents = [
        weights_of(folder).read_bytes() for folder in (ROOT / "weights" / name, tmp_path / "first", tmp_path / "second")
    ]
    assert contents[0] == contents[1] == contents[2]
    assert (tmp_path / "first" / "card.json").read_bytes() == (tmp_path / "second" / "card.json").read_bytes()
    assert loaded.card == second.card


def test_the_default_is_set_by_name_or_folder(tmp_path: Path, small_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder is kept by its absolute path, a name as it is; a bundle that does not exist changes nothing."""
    monkeypatch.setenv("FMTAG_MODELS", str(tmp_path / "models"))
    assert load(small_bundle).fingerprint == set_default_model(str(small_bundle)).fingerprint
    assert str(small_bundle.resolve()) == default_model()
    set_default_model("tiny")
    assert "tiny" == default_model()
    with pytest.raises(BundleError, match="no bundle 'tinny'"):
        set_default_model("tinny")
    assert "tiny" == default_model()


def test_a_default_that_cannot_be_kept_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_bundle: Path) -> None:
    """A folder in the place of the setting, and a path that no line of text holds, are one sentence each."""
    monkeypatch.setenv("FMTAG_MODELS", str(tmp_path / "models"))
    (tmp_path / "models" / "default").mkdir(parents=True)
    with pytest.raises(BundleError, match=r"default is a folder, .*rename the folder"):
        set_default_model("tiny")
    odd = Path(shutil.copytree(small_bundle, tmp_path / "two\nlines"))
    with pytest.raises(BundleError, match="rename the folder"):
        set_default_model(str(odd))
