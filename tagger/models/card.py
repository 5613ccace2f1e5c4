"""What a bundle says of itself: `card.json`, read without its weights, so that torch is loaded only where a network is needed.

Here too: where bundles lie, shipped and a user's own, and which of them tags where none is named.
"""

import hashlib
import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from tagger.errors import BundleError
from tagger.models.bundle_name import check_name
from tagger.models.config import NetworkConfig
from tagger.models.registry import find_bundle, is_folder, shipped_bundles, user_folder

FORMAT = 6
"""Grows when an older fmtag could not read the card."""

KIND = "fmtag-bundle"


HISTORY_FILE = "history.csv"
"""File in a bundle's folder that tells how its training went, a row an epoch; not every bundle has one."""


@dataclass(frozen=True)
class Card:
    """What a bundle says of itself."""

    name: str
    labels: tuple[str, ...]
    groups: dict[str, str]
    network: NetworkConfig
    garment_version: int
    temperature: float
    """Logits are divided by this before the softmax (Guo et al. 2017, arXiv 1706.04599)."""
    min_confidence: float
    """Tags below this calibrated probability, 0..1, are flagged."""
    photo_temperature: float = 1.0
    """The same for the logits of the head for photos, where there is one."""
    precisions: dict[str, float] = field(default_factory=dict)
    """The threshold to ask for so that a share of the unflagged tags is right: from "0.95" to the probability, 0..1."""
    metrics: dict[str, Any] = field(default_factory=dict)
    recipe: dict[str, Any] = field(default_factory=dict)
    data: dict[str, str] = field(default_factory=dict)
    """sha256 of each file trained on."""
    versions: dict[str, str] = field(default_factory=dict)
    parent: str = ""
    """The bundle that a shop has taught, as its `model` column names it; empty for one that was trained."""
    taught_groups: dict[str, str] = field(default_factory=dict)
    """The labels of the network's own heads, in their order, with their groups, where a shop has taught others."""
    shop_temperature: float = 1.0
    """The logarithms of what the shop's part says are divided by this."""

    @property
    def network_groups(self) -> dict[str, str]:
        """The labels of the network's heads, in their order, with their groups."""
        return self.taught_groups or {label: self.groups[label] for label in self.labels}

    def __post_init__(self) -> None:
        """Refuse what cannot be used."""
        if len(set(self.labels)) != len(self.labels) or len(self.labels) < 2:
            raise ValueError("at least two labels, all different, are needed")
        if set(self.groups) != set(self.labels):
            raise ValueError("every label needs a group")
        if len(self.network_groups) != self.network.classes:
            raise ValueError(f"{self.network.classes} different labels of the network are needed")
        thresholds = (self.min_confidence, *self.precisions.values())
        temperatures = (self.temperature, self.photo_temperature, self.shop_temperature)
        if not all(math.isfinite(some) and some > 0 for some in temperatures) or not all(0 <= some <= 1 for some in thresholds):
            raise ValueError("temperatures must be positive and thresholds within 0..1")

    def threshold(self, precision: float | None) -> float:
        """Return the least confidence of an unflagged tag: the default, or the one for a `precision` of the card's table.

        Raises `BundleError` where the table has no such precision.
        """
        if precision is None:
            return self.min_confidence
        for known, threshold in self.precisions.items():
            if math.isclose(float(known), precision):
                return threshold
        known = ", ".join(self.precisions) or "none"
        raise BundleError(f"The bundle {self.name} has no threshold for a precision of {precision}; it has: {known}.")


@dataclass(frozen=True)
class StoredCard:
    """A card as it lies in its bundle's folder, with the name and sha256 of the weights that it was written for."""

    folder: Path
    card: Card
    fingerprint: str
    """sha256 of the card's file, which holds that of the weights."""
    weights_file: str
    weights_sha256: str

    def weights(self) -> bytes:
        """Return the weights' file."""
        return (self.folder / self.weights_file).read_bytes()

    @property
    def model(self) -> str:
        """What the `model` column holds: name, short hash and garment version, as in `base@1a2b3c4d+g1`."""
        return model_name(self.card, self.fingerprint)


def card_as_json(card: Card) -> dict[str, Any]:
    """Return the card's fields by their names in `card.json`; its `metrics` are called figures there."""
    return {"figures" if name == "metrics" else name: value for name, value in asdict(card).items()}


def model_name(card: Card, fingerprint: str) -> str:
    """Return what the `model` column holds, as `Signed.model` says."""
    return f"{card.name}@{fingerprint[:8]}+g{card.garment_version}"


def read(name: str | Path) -> StoredCard:
    """Return the card of the bundle `name`: a name, or a folder where it is a `Path` or written with a separator (`./x`).

    Of two bundles of one name the user's own comes before the shipped one. Raises `BundleError` where there is none, or it is
    damaged, foreign or from a newer fmtag.
    """
    folder = find_bundle(name)
    with damage_as_error(folder):
        content = (folder / "card.json").read_bytes()
        raw = _parsed(content, folder)
        weights_file, weights_sha256 = str(raw["weights"]["file"]), str(raw["weights"]["sha256"])
        if Path(weights_file).name != weights_file:
            raise ValueError("its weights lie outside its folder")
        return StoredCard(folder, _card(raw), hashlib.sha256(content).hexdigest(), weights_file, weights_sha256)


def files_of(name: str | Path) -> list[Path]:
    """Return the files of the bundle that `read` would find, which may be damaged; none where there is no such bundle."""
    try:
        folder = find_bundle(name)
    except BundleError:
        return []
    return [folder / "card.json", folder / HISTORY_FILE, *folder.glob("weights-*.safetensors")]


def check_replaceable(folder: Path) -> None:
    """Raise `BundleError` where the folder for a new bundle holds the `card.json` of another program."""
    try:
        raw = json.loads((folder / "card.json").read_bytes())
    except (OSError, ValueError, RecursionError):
        return  # none, or a damaged one, which a new bundle mends
    if not isinstance(raw, dict) or raw.get("kind") != KIND:
        raise BundleError(f"{folder / 'card.json'} is no fmtag card and would be replaced; give --out another folder.")


@contextmanager
def damage_as_error(folder: Path) -> Iterator[None]:
    """Turn whatever is wrong with a bundle's files into a `BundleError` of one sentence."""
    try:
        yield
    except OSError as error:
        raise BundleError(f"The bundle {folder} cannot be read: {error.strerror or error}.") from error
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BundleError(f"The bundle {folder} is damaged: {reason}. Fetch it again or retrain it.") from error


def bundle_folder(out: str) -> Path:
    """Return the folder for a new bundle: a bare name is one in the user's folder, anything else a path.

    Raises `BundleError` for the name of a shipped bundle, which would be hidden by it, where no bundle can be so named, and as
    `check_replaceable` does.
    """
    is_name = not is_folder(out)
    check_name(out if is_name else os.path.basename(os.path.realpath(out)))
    if is_name and out in (folder.name for folder in shipped_bundles()):
        raise BundleError(f"{out} is the name of a bundle that comes with fmtag; give the new one another name.")
    folder = user_folder() / out if is_name else Path(out)
    check_replaceable(folder)
    return folder


def _parsed(content: bytes, folder: Path) -> dict[str, Any]:
    raw = json.loads(content)
    if not isinstance(raw, dict) or raw.get("kind") != KIND:
        raise BundleError(f"{folder / 'card.json'} is no fmtag card; give a bundle's folder or name.")
    if not isinstance(raw.get("format"), int) or raw["format"] > FORMAT:
        raise BundleError(f"The bundle {folder} is from a newer fmtag; update fmtag to use it.")
    return raw


def _card(raw: dict[str, Any]) -> Card:
    # Older cards lack what their fmtag did not know: a second head and precisions (1), a shop (2), pools (3), families (4).
    network = {item.name: raw["network"][item.name] for item in fields(NetworkConfig) if item.name in raw["network"]}
    for several in ("widths", "blocks", "dense"):
        if isinstance(network.get(several), list):
            network[several] = tuple(network[several])
    thresholds = raw["thresholds"]
    "".join((str(raw["name"]), *map(str, raw["labels"]), *map(str, raw["groups"].values()))).encode()  # or no output takes them
    return Card(
        name=str(raw["name"]),
        labels=tuple(map(str, raw["labels"])),
        groups={str(label): str(group) for label, group in raw["groups"].items()},
        network=NetworkConfig(**network),
        garment_version=int(raw["garment_version"]),
        temperature=float(raw["temperature"]),
        min_confidence=float(thresholds["min_confidence"]),
        photo_temperature=float(raw.get("photo_temperature", 1.0)),
        precisions={str(float(key)): float(value) for key, value in thresholds.get("precisions", {}).items()},
        metrics=dict(raw["figures"]),
        recipe=dict(raw["recipe"]),
        data=dict(raw["data"]),
        versions=dict(raw["versions"]),
        parent=str(raw.get("parent", "")),
        taught_groups={str(label): str(group) for label, group in raw.get("taught_groups", {}).items()},
        shop_temperature=float(raw.get("shop_temperature", 1.0)),
    )
