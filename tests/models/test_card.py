"""Cards are read without weights, in every format, and refused in one sentence where they are damaged."""
# ruff: noqa: SIM300 - the expected value stands first, as in every test here

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bundle_helpers import card_of, edit_card, product_images, refusal

from tagger.errors import BundleError
from tagger.inference.predictor import Predictor
from tagger.models.bundle import load, save
from tagger.models.card import (
    FORMAT,
    HISTORY_FILE,
    card_as_json,
    check_replaceable,
    damage_as_error,
    files_of,
    model_name,
    read,
)


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
    edit_card(copy, lambda card: card.update(format=FORMAT + 1))
    assert "update fmtag" in refusal(copy)
    (copy / "card.json").write_text(json.dumps({"kind": "fmtag-bundle", "format": FORMAT + 1}))
    assert "update fmtag" in refusal(copy)


CHANGES: dict[str, Callable[[dict[str, Any]], object]] = {
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
    """A card with a part missing, impossible or not matching the weights is refused in one sentence."""
    edit_card(copy, CHANGES[change])
    refusal(copy)


def test_a_card_of_format_1_is_read(copy: Path) -> None:
    """A card of the first format loads and predicts as ever: one head, no table of precisions."""
    before = Predictor(load(str(copy)), "cpu")(product_images(5))

    def older(card: dict[str, Any]) -> None:
        card.update(format=1)
        del card["photo_temperature"], card["thresholds"]["precisions"]
        for later in ("photo_classes", "stem", "pooled", "family", "norms", "dense", "dropout"):
            del card["network"][later]

    edit_card(copy, older)
    loaded = load(str(copy))
    assert (0, 1.0, {}) == (loaded.card.network.photo_classes, loaded.card.photo_temperature, loaded.card.precisions)
    assert np.array_equal(before, Predictor(loaded, "cpu")(product_images(5)))
    assert loaded.card == save(copy.parent / "new", loaded.card, loaded.network()).card


@pytest.mark.parametrize(("precision", "threshold"), [(None, 0.5), (0.8, 0.31), (0.95, 0.62), (0.95 + 1e-12, 0.62)])
def test_a_precision_has_its_threshold(photo_bundle: Path, precision: float | None, threshold: float) -> None:
    """The threshold is the one that the table has for the precision, and the default without a precision."""
    assert threshold == load(str(photo_bundle)).card.threshold(precision)


@pytest.mark.parametrize("precision", [0.0, 0.9, 0.951, 1.0, float("nan")])
def test_a_precision_that_the_card_lacks_is_refused(photo_bundle: Path, precision: float) -> None:
    """A precision that the table does not have is refused in one sentence that lists those that it has."""
    with pytest.raises(BundleError, match=r"it has: 0\.8, 0\.95\.$") as caught:
        load(str(photo_bundle)).card.threshold(precision)
    assert "\n" not in str(caught.value)


def test_missing_fields_are_named(copy: Path) -> None:
    """The refusal of a card without a field names the field."""
    edit_card(copy, lambda card: card.pop("labels"))
    assert "'labels' is missing" in refusal(copy)


def test_cards_are_read_without_torch_or_weights(copy: Path) -> None:
    """A card is read, with the name of its model, though its weights are gone, and without importing torch."""
    for file in copy.glob("weights-*"):
        file.unlink()
    code = f"import sys; from tagger.models.card import read; print(read({str(copy)!r}).model, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    stored = read(copy)
    assert done.stdout.split() == [stored.model, "False"]
    assert stored.model == model_name(stored.card, stored.fingerprint)
    assert stored.model == f"small@{stored.fingerprint[:8]}+g{stored.card.garment_version}"


def test_stored_names_stay(small_bundle: Path) -> None:
    """The keys of card.json are those of its format, whatever the fields are called in Python."""
    card = read(small_bundle).card
    adapted = replace(card, base_groups=card.groups, adapter_temperature=1.5, metrics={"accuracy": 0.9})
    stored = card_as_json(adapted)
    assert list(stored) == [
        *("name", "labels", "groups", "network", "garment_version", "temperature", "min_confidence", "photo_temperature"),
        *("precisions", "figures", "recipe", "data", "versions", "parent", "taught_groups", "shop_temperature"),
    ]
    assert (stored["figures"], stored["taught_groups"], stored["shop_temperature"]) == ({"accuracy": 0.9}, card.groups, 1.5)
    assert card_of(small_bundle).keys() == stored.keys() - {"min_confidence", "precisions"} | {
        *("kind", "format", "thresholds", "weights")
    }


def test_labels_of_the_network_are_the_cards_unless_an_adapter_has_others(small_bundle: Path) -> None:
    """`network_groups` are the network's own labels; without an adapter they are the card's, in their order."""
    card = read(small_bundle).card
    assert list(card.network_groups) == list(card.labels)
    adapted = replace(card, labels=("b", "a"), groups={"a": "x", "b": "y"}, base_groups=card.groups)
    assert adapted.network_groups == card.groups


def test_labels_that_do_not_fit_the_network_are_refused(small_bundle: Path) -> None:
    """A card with another number of labels than the network has classes cannot be made."""
    card = read(small_bundle).card
    with pytest.raises(ValueError, match="the network has 10 classes but 9 labels"):
        replace(card, labels=card.labels[:-1], groups={label: card.groups[label] for label in card.labels[:-1]})


def test_a_bundles_files_are_listed_whatever_they_hold(copy: Path) -> None:
    """Card, history and weights are a bundle's files, even damaged; what is no bundle has none."""
    (copy / "card.json").write_text("{")
    (copy / "notes.txt").write_text("mine")
    assert {file.name for file in files_of(copy)} == {
        "card.json",
        HISTORY_FILE,
        *(file.name for file in copy.glob("weights-*")),
    }
    assert files_of("no-such-bundle") == []


@pytest.mark.parametrize("content", ["{}", "[]", '{"kind": "other"}'])
def test_cards_of_other_programs_are_not_replaced(content: str, copy: Path) -> None:
    """A foreign card.json is refused before a new bundle replaces it; a damaged, missing or own one is not."""
    check_replaceable(copy)
    check_replaceable(copy / "nothing")
    (copy / "card.json").write_text("{")
    check_replaceable(copy)
    (copy / "card.json").write_text(content)
    with pytest.raises(BundleError, match=r"card\.json is no fmtag card.*--out"):
        check_replaceable(copy)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (PermissionError(13, "Permission denied"), "cannot be read: Permission denied"),
        (ValueError("one\ntwo"), "is damaged: one\\."),
        (KeyError("name"), "is damaged: 'name' is missing"),
        (AttributeError(), "is damaged: AttributeError"),
    ],
)
def test_every_error_of_reading_is_one_sentence(error: Exception, message: str, tmp_path: Path) -> None:
    """System errors and damage are told apart, in one line that names the folder."""
    with pytest.raises(BundleError, match=message) as caught, damage_as_error(tmp_path):
        raise error
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)
