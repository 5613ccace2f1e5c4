"""Bundles written, damaged and read again, and the probabilities that come out of them."""
# ruff: noqa: SIM300 - what is expected stands first, as in every test here

import hashlib
import json
import pickle
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import ROOT

from tagger.data.labels import GROUPS, LABELS
from tagger.errors import BundleError, DeviceError
from tagger.inference.predictor import BATCH_SIZE, Predictor, photo_probabilities
from tagger.models import card as card_room
from tagger.models import registry
from tagger.models.bundle import Bundle, load, save
from tagger.models.card import FORMAT
from tagger.models.config import NetworkConfig
from tagger.models.network import Network
from tagger.records import ProductImage

Card = dict[str, Any]

LONG = "x" * 5000
"""Longer than any file system allows."""


@pytest.fixture
def copy(small_bundle: Path, tmp_path: Path) -> Path:
    """A bundle of one's own, to be damaged."""
    return Path(shutil.copytree(small_bundle, tmp_path / "copy"))


def pictures(count: int, seed: int = 0, native: bool = True) -> list[ProductImage]:
    """Return pictures in Fashion-MNIST's form, or cuts of photos."""
    pixels = np.random.default_rng(seed).integers(0, 256, (count, 28, 28), np.uint8)
    return [ProductImage(some, found=True, native=native) for some in pixels]


def stacked(garments: list[ProductImage]) -> torch.Tensor:
    """Return the pixels as a network takes them."""
    return torch.from_numpy(np.stack([garment.pixels for garment in garments])[:, None])


def card_of(folder: Path) -> Card:
    card: Card = json.loads((folder / "card.json").read_text())
    return card


def edit(folder: Path, change: Callable[[Card], object]) -> None:
    card = card_of(folder)
    change(card)
    (folder / "card.json").write_text(json.dumps(card))


def weights_of(folder: Path) -> Path:
    return folder / card_of(folder)["weights"]["file"]


def replace_weights(folder: Path, content: bytes) -> None:
    """Put other weights in, and their checksum into the card, so that the checksum does not save the day."""
    weights_of(folder).write_bytes(content)
    edit(folder, lambda card: card["weights"].update(sha256=hashlib.sha256(content).hexdigest()))


def refusal(folder: Path) -> str:
    """Return the one sentence, naming the folder, with which loading is refused."""
    with pytest.raises(BundleError) as caught:
        load(str(folder))
    message = str(caught.value)
    assert "\n" not in message
    assert str(folder) in message
    assert len(message) < 500
    return message


# There and back


def test_saved_bundle_gives_the_same_probabilities(small_bundle: Path, tmp_path: Path) -> None:
    """A bundle loaded, saved elsewhere and loaded again gives the same probabilities and says the same of itself."""
    first = load(str(small_bundle))
    returned = save(tmp_path / "deep" / "new", first.card, first.network())
    second = load(str(tmp_path / "deep" / "new"))
    assert first.card == second.card == returned.card
    assert first.fingerprint == second.fingerprint == returned.fingerprint
    assert np.array_equal(Predictor(first, "cpu")(pictures(9)), Predictor(second, "cpu")(pictures(9)))


def test_probabilities_are_the_networks(small_bundle: Path) -> None:
    """The probabilities are the softmax of the network's logits over the temperature, though its norms are folded."""
    loaded = load(str(small_bundle))
    batch = pictures(5)
    with torch.inference_mode():
        logits = loaded.network()(stacked(batch))
    expected = torch.softmax(logits / loaded.card.temperature, 1).numpy()
    assert np.abs(expected - Predictor(loaded, "cpu")(batch)).max() < 1e-4


def test_temperature_is_applied(copy: Path) -> None:
    """A higher temperature makes the answers less sure and leaves them as they are otherwise."""
    before = Predictor(load(str(copy)), "cpu")(pictures(20))
    edit(copy, lambda card: card.update(temperature=5.0))
    after = Predictor(load(str(copy)), "cpu")(pictures(20))
    assert np.array_equal(before.argmax(axis=1), after.argmax(axis=1))
    assert (after.max(axis=1) < before.max(axis=1)).all()


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
    edit(copy, lambda card: card.update(temperature=2.0))
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


# What is no bundle


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


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"no JSON",
        b"\xff\xfe\x00",
        b"[]",
        b"3",
        b"null",
        b"{}",
        b'{"kind": "another"}',
        b'{"kind": "fmtag-bundle"}',
        b'{"kind": "fmtag-bundle", "format": 1}',
        b"[" * 100_000,
    ],
)
def test_foreign_cards_are_refused(copy: Path, content: bytes) -> None:
    """A card that is no JSON, or another program's, is refused."""
    (copy / "card.json").write_bytes(content)
    refusal(copy)


def test_newer_format_asks_for_an_update(copy: Path) -> None:
    """A bundle of a newer format says that fmtag must be updated, whatever else has changed in it."""
    edit(copy, lambda card: card.update(format=FORMAT + 1))
    assert "update fmtag" in refusal(copy)
    (copy / "card.json").write_text(json.dumps({"kind": "fmtag-bundle", "format": FORMAT + 1}))
    assert "update fmtag" in refusal(copy)


CHANGES: dict[str, Callable[[Card], object]] = {
    "a label less": lambda card: card.update(labels=card["labels"][:-1]),
    "a label more": lambda card: card.update(labels=[*card["labels"], "Hat"]),
    "a label twice": lambda card: card.update(labels=[*card["labels"][:-1], card["labels"][0]]),
    "no labels": lambda card: card.pop("labels"),
    "labels are a number": lambda card: card.update(labels=7),
    "a label without a group": lambda card: card["groups"].pop("Bag"),
    "groups are a list": lambda card: card.update(groups=[]),
    "temperature zero": lambda card: card.update(temperature=0),
    "temperature negative": lambda card: card.update(temperature=-1),
    "temperature no number": lambda card: card.update(temperature=float("nan")),
    "temperature infinite": lambda card: card.update(temperature=float("inf")),
    "temperature huge": lambda card: card.update(temperature=10**400),
    "temperature a text": lambda card: card.update(temperature="warm"),
    "photo temperature zero": lambda card: card.update(photo_temperature=0),
    "photo temperature no number": lambda card: card.update(photo_temperature=float("nan")),
    "precision's threshold above one": lambda card: card["thresholds"].update(precisions={"0.9": 1.5}),
    "precision's threshold no number": lambda card: card["thresholds"].update(precisions={"0.9": float("nan")}),
    "precision's threshold a text": lambda card: card["thresholds"].update(precisions={"0.9": "high"}),
    "precision a text": lambda card: card["thresholds"].update(precisions={"high": 0.9}),
    "precisions are a list": lambda card: card["thresholds"].update(precisions=[0.9]),
    "a head that the weights lack": lambda card: card["network"].update(photo_classes=11),
    "a head of too many classes": lambda card: card["network"].update(photo_classes=12),
    "a head of fewer classes": lambda card: card["network"].update(photo_classes=9),
    "photo classes a text": lambda card: card["network"].update(photo_classes="11"),
    "threshold above one": lambda card: card["thresholds"].update(min_confidence=1.5),
    "no thresholds": lambda card: card.pop("thresholds"),
    "classes do not match": lambda card: card["network"].update(classes=9),
    "widths do not match": lambda card: card["network"].update(widths=[8, 32]),
    "blocks do not match": lambda card: card["network"].update(blocks=2),
    "absurd widths": lambda card: card["network"].update(widths=[10**9, 10**9]),
    "largest widths": lambda card: card["network"].update(widths=[4096] * 4, blocks=32),
    "negative widths": lambda card: card["network"].update(widths=[-1, 16]),
    "no widths": lambda card: card["network"].update(widths=[]),
    "too many widths": lambda card: card["network"].update(widths=[8] * 100),
    "absurd blocks": lambda card: card["network"].update(blocks=10**9),
    "blocks of other stages": lambda card: card["network"].update(blocks=[1, 1, 1]),
    "a stage without blocks": lambda card: card["network"].update(blocks=[1, 0]),
    "an absurd stem": lambda card: card["network"].update(stem=10**9),
    "a stem that is not the weights'": lambda card: card["network"].update(stem=24),
    "pooled where the weights are not": lambda card: card["network"].update(pooled=True),
    "absurd classes": lambda card: card["network"].update(classes=10**12),
    "broken widths": lambda card: card["network"].update(widths=[8.5, 16]),
    "widths are texts": lambda card: card["network"].update(widths=["8", "16"]),
    "deviation zero": lambda card: card["network"].update(deviation=0),
    "mean no number": lambda card: card["network"].update(mean=float("nan")),
    "mean a text": lambda card: card["network"].update(mean="grey"),
    "network a list": lambda card: card.update(network=[]),
    "weights elsewhere": lambda card: card["weights"].update(file="../weights.safetensors"),
    "weights at the root": lambda card: card["weights"].update(file="/etc/hostname"),
    "weights are the folder": lambda card: card["weights"].update(file=".."),
    "weights without a name": lambda card: card["weights"].update(file=""),
    "weights with a null byte": lambda card: card["weights"].update(file="a\0b"),
    "weights with a long name": lambda card: card["weights"].update(file="w" * 5000),
    "checksum differs": lambda card: card["weights"].update(sha256="0" * 64),
    "no weights": lambda card: card.pop("weights"),
    "format a text": lambda card: card.update(format="one"),
    "garment version a text": lambda card: card.update(garment_version="one"),
    "figures a number": lambda card: card.update(figures=5),
}


@pytest.mark.parametrize("change", CHANGES)
def test_damaged_cards_are_refused(copy: Path, change: str) -> None:
    """A card with any part missing, impossible or not matching the weights is refused in one sentence."""
    edit(copy, CHANGES[change])
    refusal(copy)


def test_weights_outside_the_folder_are_not_read(copy: Path) -> None:
    """Good weights beside the folder are refused all the same: a bundle is its own folder and nothing else."""
    shutil.copy(weights_of(copy), copy.parent / "weights.safetensors")
    edit(copy, lambda card: card["weights"].update(file="../weights.safetensors"))
    refusal(copy)


def test_pickles_are_not_weights(copy: Path) -> None:
    """A pickle or a torch file under the weights' name and with the right checksum is refused and not run."""
    sprung = copy.parent / "sprung"
    replace_weights(copy, pickle.dumps(Trap(sprung)))
    refusal(copy)
    torch.save({"head.bias": torch.zeros(10)}, copy.parent / "weights.pt")
    replace_weights(copy, (copy.parent / "weights.pt").read_bytes())
    refusal(copy)
    assert not sprung.exists()


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
    other = save(tmp_path / "other", card_room.Card("other", LABELS, GROUPS, config, 1, 1.0, 0.5), Network(config))
    assert card.network != other.card.network
    replace_weights(copy, weights_of(tmp_path / "other").read_bytes())
    refusal(copy)


def test_unknown_name_lists_the_shipped(tmp_path: Path, small_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown name is refused with the names of the bundles that come with fmtag."""
    for name in ("base", "tiny"):
        shutil.copytree(small_bundle, tmp_path / "weights" / name)
    monkeypatch.setattr(registry, "_shipped_folder", lambda: tmp_path / "weights")
    with pytest.raises(BundleError, match=r"no bundle 'bsae'; shipped with fmtag: base, tiny; your own: ") as caught:
        load("bsae")
    assert "\n" not in str(caught.value)
    assert isinstance(load("tiny"), Bundle)


@pytest.mark.parametrize("name", ["", ".", "a\0b", LONG, "no/such/folder", "line\nbreak"], ids=lambda name: repr(name[:20]))
def test_impossible_names_are_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that cannot be a folder's is refused in one sentence like any unknown one."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BundleError) as caught:
        load(name)
    assert "\n" not in str(caught.value)


def test_folder_without_a_card_is_refused(tmp_path: Path) -> None:
    """A folder without a card, and a file in its place, are refused by name."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "shirt.jpg").write_bytes(b"")
    for name in ("photos", "shirt.jpg"):
        assert "card.json" in refusal(tmp_path / name)


# Cards of every format, and thresholds


def test_a_card_of_format_1_is_read(copy: Path) -> None:
    """A card from before there was a second head loads and predicts as ever: one head, no table of precisions."""
    before = Predictor(load(str(copy)), "cpu")(pictures(5))

    def older(card: Card) -> None:
        card.update(format=1)
        del card["photo_temperature"], card["thresholds"]["precisions"]
        for later in ("photo_classes", "stem", "pooled", "family", "norms", "dense", "dropout"):
            del card["network"][later]

    edit(copy, older)
    loaded = load(str(copy))
    assert (0, 1.0, {}) == (loaded.card.network.photo_classes, loaded.card.photo_temperature, loaded.card.precisions)
    assert np.array_equal(before, Predictor(loaded, "cpu")(pictures(5)))
    assert loaded.card == save(copy.parent / "new", loaded.card, loaded.network()).card


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
    """A bundle of any shape loads as it was, and predicts what the network itself says, also where norms turn signs."""
    torch.manual_seed(3)
    network = Network(config)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):  # as training might leave them: max-pools and negative weights do not swap
            torch.nn.init.normal_(module.weight)
            torch.nn.init.normal_(module.running_mean)
    saved = save(tmp_path, card_room.Card("shape", LABELS, GROUPS, config, 1, 2.0, 0.5), network.eval())
    assert config == load(str(tmp_path)).card.network
    some = pictures(5)
    with torch.no_grad():
        views = [network(stacked(some)), network(stacked(some).flip(3))] if config.photo_classes else [network(stacked(some))]
    said = torch.stack([(logits / 2).softmax(1) for logits in views]).mean(0)
    assert np.allclose(said.numpy(), Predictor(saved, "cpu")(some), atol=1e-4)


def test_a_pooled_network_halves_at_every_stage() -> None:
    """Each stage of a pooled network halves the maps, rounded down; of another one all but the first, rounded up."""
    pixels = stacked(pictures(2))
    for pooled, sides in ((True, (7, 3)), (False, (14, 7))):
        maps = Network(NetworkConfig(widths=(8, 16, 24), blocks=(2, 1, 2), pooled=pooled)).maps(pixels)
        assert [(2, 16, sides[0], sides[0]), (2, 24, sides[1], sides[1])] == [tuple(some.shape) for some in maps]


def test_the_oldest_shipped_bundle_loads() -> None:
    """The bundle `residual`, whose card is of format 1, loads, has one head, and knows thresholds by default alone."""
    folder = ROOT / "weights" / "residual"
    assert 1 == card_of(folder)["format"]
    loaded = load(str(folder))
    assert loaded.network().photo_head is None
    assert loaded.card.min_confidence == loaded.card.threshold(None)
    with pytest.raises(BundleError):
        loaded.card.threshold(0.95)


def test_a_bundle_with_two_heads_survives_saving(photo_bundle: Path, tmp_path: Path) -> None:
    """Its card says the same after loading and saving: both heads, both temperatures and the table of precisions."""
    first = load(str(photo_bundle))
    assert (11, 2.0, {"0.8": 0.31, "0.95": 0.62}) == (
        first.card.network.photo_classes,
        first.card.photo_temperature,
        first.card.precisions,
    )
    second = save(tmp_path / "again", first.card, first.network())
    assert first.card == second.card
    assert first.fingerprint == second.fingerprint


@pytest.mark.parametrize(("precision", "threshold"), [(None, 0.5), (0.8, 0.31), (0.95, 0.62), (0.95 + 1e-12, 0.62)])
def test_a_precision_has_its_threshold(photo_bundle: Path, precision: float | None, threshold: float) -> None:
    """The threshold is the one that the table has for the precision, and the default where none is asked for."""
    assert threshold == load(str(photo_bundle)).card.threshold(precision)


@pytest.mark.parametrize("precision", [0.0, 0.9, 0.951, 1.0, float("nan")])
def test_a_precision_that_the_card_lacks_is_refused(photo_bundle: Path, precision: float) -> None:
    """A precision that the table does not have is refused in one sentence that says which there are."""
    with pytest.raises(BundleError, match=r"it has: 0\.8, 0\.95\.$") as caught:
        load(str(photo_bundle)).card.threshold(precision)
    assert "\n" not in str(caught.value)


# Probabilities


def test_one_head_says_of_photos_what_it_says_of_its_own(small_bundle: Path) -> None:
    """A bundle with a single head gives the cut of a photo the very probabilities of the same picture in its own form."""
    predict = Predictor(load(str(small_bundle)), "cpu")
    assert np.array_equal(predict(pictures(9)), predict(pictures(9, native=False)))


def test_photos_are_asked_of_their_head_in_four_views(photo_bundle: Path) -> None:
    """Of photos the second head is asked, at its own temperature: the mean of both sides, as they are and smaller."""
    loaded = load(str(photo_bundle))
    batch = pictures(70, native=False)
    pixels = stacked(batch).float()
    sides = (pixels, pixels.flip(3))
    shrunk = [torch.nn.functional.interpolate(side, (24, 24), mode="bilinear", antialias=True) for side in sides]
    views = (*sides, *(torch.nn.functional.pad(side, (2, 2, 2, 2)) for side in shrunk))
    with torch.inference_mode():
        said = [torch.softmax(loaded.network().photo_logits(view) / 2.0, 1) for view in views]
    expected = torch.stack(said).mean(0)[:, :10].numpy()
    assert np.abs(expected - Predictor(loaded, "cpu")(batch)).max() < 1e-4


def test_what_somebody_wears_is_no_shoe_and_no_bag(photo_bundle: Path) -> None:
    """Of a figure's cut the labels of footwear and accessories have no probability; the others keep theirs."""
    loaded = load(str(photo_bundle))
    alone = pictures(9, native=False)
    rows = Predictor(loaded, "cpu")(alone)
    of_figures = Predictor(loaded, "cpu")([replace(picture, worn=True) for picture in alone])
    worn = np.array([loaded.card.groups[label] not in ("footwear", "accessory") for label in loaded.card.labels])
    assert (of_figures[:, ~worn] == 0).all()
    assert np.array_equal(rows[:, worn], of_figures[:, worn])


def test_fashion_mnist_is_asked_of_its_own_head(photo_bundle: Path) -> None:
    """Of Fashion-MNIST's form the first head is asked: beside another one, of picture and mirror image; it sums to 1."""
    loaded = load(str(photo_bundle))
    batch = pictures(9)
    with torch.inference_mode():
        said = [torch.softmax(loaded.network()(view), 1) for view in (stacked(batch), stacked(batch).flip(3))]
    expected = ((said[0] + said[1]) / 2).numpy()
    rows = Predictor(loaded, "cpu")(batch)
    assert np.abs(expected - rows).max() < 1e-4
    assert np.abs(rows.sum(axis=1) - 1).max() < 1e-5


def test_what_photos_lack_to_1_is_none_of_the_labels(photo_bundle: Path) -> None:
    """Of photos the labels' probabilities sum to less than 1, by the probability of none of them: never below 0."""
    loaded = load(str(photo_bundle))
    batch = pictures(50, native=False)
    rows = Predictor(loaded, "cpu")(batch)
    assert ((50, 10), np.float32) == (rows.shape, rows.dtype)
    assert (rows >= 0).all()
    with torch.inference_mode():
        none = photo_probabilities(loaded.network(), stacked(batch), loaded.card.photo_temperature)[:, 10].numpy()
    assert np.abs(none - (1 - rows.sum(axis=1))).max() < 1e-4
    assert none.max() > 1e-3


def test_kinds_of_pictures_do_not_mix_up(photo_bundle: Path) -> None:
    """Photos and Fashion-MNIST's pictures asked about together get, each in its place, bit for bit what they get apart."""
    predict = Predictor(load(str(photo_bundle)), "cpu")
    native, photos = pictures(100, 1), pictures(100, 2, native=False)
    order = np.random.default_rng(3).permutation(200)
    together = predict([(native + photos)[number] for number in order])
    apart = np.concatenate([predict(native), predict(photos)])
    assert np.array_equal(apart[order], together)


def test_probabilities_do_not_depend_on_the_batch(small_bundle: Path) -> None:
    """A picture gets the same probabilities bit for bit, however many are asked about in one call and at any place."""
    predict = Predictor(load(str(small_bundle)), "cpu")
    batch = pictures(256)
    together = predict(batch)
    for size in (1, 7, BATCH_SIZE, BATCH_SIZE + 1):
        parts = [predict(batch[start : start + size]) for start in range(0, min(256, 10 * size), size)]
        assert np.array_equal(together[: sum(map(len, parts))], np.concatenate(parts))
    assert np.array_equal(together[::-1], predict(batch[::-1]))


@pytest.mark.parametrize("count", [1, 7, 64, 65, 130])
def test_probabilities_are_probabilities(small_bundle: Path, count: int) -> None:
    """There is a row for each picture, float32, none below 0, each summing to 1."""
    rows = Predictor(load(str(small_bundle)), "cpu")(pictures(count))
    assert ((count, 10), np.float32) == (rows.shape, rows.dtype)
    assert (rows >= 0).all()
    assert np.abs(rows.sum(axis=1) - 1).max() < 1e-5


def test_no_pictures_give_no_rows(small_bundle: Path) -> None:
    """No pictures give no rows, of the right width."""
    assert (0, 10) == Predictor(load(str(small_bundle)), "cpu")([]).shape


def test_predictors_share_nothing(small_bundle: Path) -> None:
    """A second predictor of the same bundle, folded anew, gives the same: the bundle's weights are left alone."""
    loaded = load(str(small_bundle))
    first = Predictor(loaded, "cpu")(pictures(3))
    assert np.array_equal(first, Predictor(loaded, "cpu")(pictures(3)))
    assert np.array_equal(first, Predictor(load(str(small_bundle)), "cpu")(pictures(3)))


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_absent_device_is_refused(small_bundle: Path, device: str) -> None:
    """Asking for a device that the machine has not is refused in one sentence that says what it has."""
    if torch.cuda.is_available() if device == "cuda" else torch.backends.mps.is_available():
        pytest.skip(f"this machine has {device}")
    with pytest.raises(DeviceError, match=rf"no {device} device .* it has: .*cpu") as caught:
        Predictor(load(str(small_bundle)), device)
    assert "\n" not in str(caught.value)


def test_auto_takes_what_is_there(small_bundle: Path) -> None:
    """Asked for no device in particular a predictor takes one that is there."""
    assert (2, 10) == Predictor(load(str(small_bundle)))(pictures(2)).shape
