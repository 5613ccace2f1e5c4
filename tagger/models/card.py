"""Read and check a bundle's card, `card.json`, without its weights and without importing torch."""

import hashlib
import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple

from tagger.errors import BundleError, reason_of
from tagger.models.bundle_name import check_name
from tagger.models.config import NetworkConfig
from tagger.models.registry import find_bundle, is_folder, shipped_bundles, user_folder

FORMAT = 7
"""Format of cards; incremented when older versions of fmtag could not read new cards."""

FORMAT_WITHOUT_BACKBONE = 6
"""Format of the cards of bundles without a backbone, which fmtag 0.1.0 reads."""

KIND = "fmtag-bundle"
"""Value of `kind` by which a `card.json` of fmtag is told from those of other programs."""

HISTORY_FILE = "history.csv"
"""File in a bundle's folder with the metrics of each epoch of its training; not every bundle has one."""

STORED_NAMES = {"metrics": "figures", "base_groups": "taught_groups", "adapter_temperature": "shop_temperature"}
"""Names in `card.json` of fields that are called otherwise in Python; they cannot change without a new format."""


@dataclass(frozen=True)
class Card:
    """Everything needed to use a bundle's weights, and where they come from."""

    name: str
    labels: tuple[str, ...]
    """Labels of the tags, in the order of the probabilities."""
    groups: dict[str, str]
    """The group of each label."""
    network: NetworkConfig
    garment_version: int
    """`photos.product.VERSION` of the product images that the bundle was trained for."""
    temperature: float
    """Divides the logits before the softmax (Guo et al. 2017, arXiv 1706.04599)."""
    min_confidence: float
    """Tags below this calibrated probability, 0..1, are flagged."""
    photo_temperature: float = 1.0
    """Divides the logits of the head for photos, if the network has one."""
    precisions: dict[str, float] = field(default_factory=dict)
    """Thresholds by precision, the share of unflagged tags that are right: from "0.95" to a probability, 0..1."""
    metrics: dict[str, Any] = field(default_factory=dict)
    """Metrics on the data that was not trained on."""
    recipe: dict[str, Any] = field(default_factory=dict)
    """Settings of the training or the adaptation."""
    data: dict[str, str] = field(default_factory=dict)
    """sha256 of each file trained on."""
    versions: dict[str, str] = field(default_factory=dict)
    """Versions of the packages that it was trained with."""
    parent: str = ""
    """The bundle that was adapted to a shop, as in the `model` column; empty for one without an adapter."""
    base_groups: dict[str, str] = field(default_factory=dict)
    """Labels of the network's heads, in order, with their groups, of a bundle with an adapter; empty for others."""
    adapter_temperature: float = 1.0
    """Divides the logarithms of the adapter's probabilities."""

    @property
    def network_groups(self) -> dict[str, str]:
        """Labels of the network's heads, in order, with their groups; an adapter's labels may be others."""
        return self.base_groups or {label: self.groups[label] for label in self.labels}

    def __post_init__(self) -> None:
        """Refuse values that cannot be used, as a damaged card may hold."""
        if len(set(self.labels)) != len(self.labels) or len(self.labels) < 2:
            raise ValueError("the labels must be at least two, all different")
        if set(self.groups) != set(self.labels):
            raise ValueError("every label must have a group")
        if len(self.network_groups) != self.network.classes:
            raise ValueError(f"the network has {self.network.classes} classes but {len(self.network_groups)} labels")
        thresholds = (self.min_confidence, *self.precisions.values())
        temperatures = (self.temperature, self.photo_temperature, self.adapter_temperature)
        if not all(math.isfinite(some) and some > 0 for some in temperatures) or not all(0 <= some <= 1 for some in thresholds):
            raise ValueError("temperatures must be positive and thresholds within 0..1")

    def threshold(self, precision: float | None) -> float:
        """Return the threshold below which tags are flagged, 0..1: the default, or the one for a precision.

        Raises `BundleError` if the card has no threshold for that precision; the message lists those that it has.
        """
        if precision is None:
            return self.min_confidence
        for known, threshold in self.precisions.items():
            if math.isclose(float(known), precision):
                return threshold
        known = ", ".join(self.precisions) or "none"
        raise BundleError(f"The bundle {self.name} has no threshold for a precision of {precision}; it has: {known}.")


class StoredFile(NamedTuple):
    """A file of a bundle as its card names it; the fields are the keys in `card.json`."""

    file: str
    """Its name in the bundle's folder."""
    sha256: str


@dataclass(frozen=True)
class StoredCard:
    """A card with the folder that it was read from, and the names and sha256 of the bundle's other files."""

    folder: Path
    card: Card
    fingerprint: str
    """sha256 of the card's file, which holds that of the weights."""
    weights_file: StoredFile
    backbone_file: StoredFile | None = None
    """The weights of the backbone, in safetensors, or the backbone as an ONNX file; None for a bundle without one."""
    eyes: str = ""
    """sha256 of all that computes the embedding of a product image, without what stands on top; empty without a backbone.

    Bundles of equal eyes compute their probabilities from the same embeddings."""

    def weights(self) -> bytes:
        """Return the content of the weights' file."""
        return (self.folder / self.weights_file.file).read_bytes()

    @property
    def model(self) -> str:
        """The bundle's identity in the `model` column, such as `base@1a2b3c4d+g1`; see `model_name`."""
        return model_name(self.card, self.fingerprint)


def card_as_json(card: Card) -> dict[str, Any]:
    """Return the card's fields by their names in `card.json`."""
    return {STORED_NAMES.get(name, name): value for name, value in asdict(card).items()}


def model_name(card: Card, fingerprint: str) -> str:
    """Return a bundle's identity in the `model` column, such as `base@1a2b3c4d+g1`: name, short hash, extraction version."""
    return f"{card.name}@{fingerprint[:8]}+g{card.garment_version}"


def read(name: str | Path) -> StoredCard:
    """Read the card of a bundle.

    Args:
        name: a bundle's name, or its folder: a `Path`, or a string with a separator, such as `./mine`. A user's own bundle
            comes before a shipped one of the same name.

    Raises:
        BundleError: it is missing, damaged, no card of fmtag, or from a newer fmtag.
    """
    folder = find_bundle(name)
    with damage_as_error(folder):
        content = (folder / "card.json").read_bytes()
        raw = _parsed(content, folder)
        fingerprint = hashlib.sha256(content).hexdigest()
        backbone = _stored_file(raw["backbone"]) if "backbone" in raw else None
        return StoredCard(folder, _card(raw), fingerprint, _stored_file(raw["weights"]), backbone, str(raw.get("eyes", "")))


def _stored_file(entry: Mapping[str, Any]) -> StoredFile:
    name, sha256 = str(entry["file"]), str(entry["sha256"])
    if Path(name).name != name:
        raise ValueError(f"its file {name} is outside its folder")
    return StoredFile(name, sha256)


def files_of(name: str | Path) -> list[Path]:
    """Return the files of the bundle that `read` would find, even a damaged one; an empty list if it does not exist."""
    try:
        folder = find_bundle(name)
    except BundleError:
        return []
    weights_and_networks = (*folder.glob("weights-*.safetensors"), *folder.glob("backbone-????????.*"))
    return [folder / "card.json", folder / HISTORY_FILE, *weights_and_networks]


def check_replaceable(folder: Path) -> None:
    """Raise `BundleError` if a folder for a new bundle holds the `card.json` of another program."""
    try:
        raw = json.loads((folder / "card.json").read_bytes())
    except (OSError, ValueError, RecursionError):
        return  # missing, or damaged and so to be replaced
    if not isinstance(raw, dict) or raw.get("kind") != KIND:
        raise BundleError(f"{folder / 'card.json'} is no fmtag card and would be replaced; give --out another folder.")


@contextmanager
def damage_as_error(folder: Path) -> Iterator[None]:
    """Turn every error of reading a bundle's files into a `BundleError` of one sentence."""
    try:
        yield
    except OSError as error:
        raise BundleError(f"The bundle {folder} cannot be read: {reason_of(error)}.") from error
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        if isinstance(error, KeyError):
            reason = f"{reason} is missing"
        raise BundleError(f"The bundle {folder} is damaged: {reason}. Fetch it again or retrain it.") from error


def bundle_folder(out: str) -> Path:
    """Return the folder for a new bundle: for a bare name, one in the user's folder of bundles; otherwise the path.

    Raises `BundleError` for the name of a shipped bundle, which the new one would hide, for a name that no bundle can have, and
    as `check_replaceable` does.
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
    # Older formats lack fields: a second head and precisions (1), an adapter (1, 2), pools (1 to 3), families (1 to 4).
    network = {item.name: raw["network"][item.name] for item in fields(NetworkConfig) if item.name in raw["network"]}
    for several in ("widths", "blocks", "dense"):
        if isinstance(network.get(several), list):
            network[several] = tuple(network[several])
    thresholds = raw["thresholds"]
    # Raises for lone surrogates, which no output takes.
    "".join((str(raw["name"]), *map(str, raw["labels"]), *map(str, raw["groups"].values()))).encode()
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
        metrics=dict(raw[STORED_NAMES["metrics"]]),
        recipe=dict(raw["recipe"]),
        data=dict(raw["data"]),
        versions=dict(raw["versions"]),
        parent=str(raw.get("parent", "")),
        base_groups={str(label): str(group) for label, group in raw.get(STORED_NAMES["base_groups"], {}).items()},
        adapter_temperature=float(raw.get(STORED_NAMES["adapter_temperature"], 1.0)),
    )
