"""A network's weights with the card that says all that is needed to use them: a folder of two files.

    NAME/card.json                       labels, groups, network, garment version, temperature, thresholds, figures, origin
    NAME/weights-1a2b3c4d.safetensors    named by its own sha256, which the card repeats in full

The card is replaced last and atomically, so a bundle is the old one or the new one. Nothing in either file is executed.
"""

import hashlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from importlib.resources import files
from pathlib import Path
from typing import Any

import platformdirs
import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from tagger.atomic import replacing
from tagger.errors import BundleError
from tagger.network import NetworkConfig, ResidualNetwork
from tagger.settings import DEFAULT_MODEL
from tagger.shop import PREFIX, Shop

FORMAT = 3
"""Grows when an older fmtag could not read the card."""

KIND = "fmtag-bundle"

DEFAULT_FILE = "default"
"""File in the user's folder with the name of the bundle that tags where none is named."""


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
    figures: dict[str, Any] = field(default_factory=dict)
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
class Bundle:
    """A card with its weights; `fingerprint` is the sha256 of the card, which holds that of the weights."""

    card: Card
    weights: Mapping[str, Tensor]
    fingerprint: str
    shop: Shop | None = None
    """What a shop has taught, where one has."""

    @property
    def model(self) -> str:
        """What the `model` column holds: name, short hash and garment version, as in `base@1a2b3c4d+g1`."""
        return f"{self.card.name}@{self.fingerprint[:8]}+g{self.card.garment_version}"

    def network(self) -> ResidualNetwork:
        """Return the network in evaluation mode, float32 on the CPU."""
        with torch.device("meta"):  # so that a card with absurd sizes takes no memory
            network = ResidualNetwork(self.card.network)
        network.load_state_dict(self.weights, assign=True)
        return network.eval()


def load(name: str) -> Bundle:
    """Return the bundle in the folder `name`, or else the user's own of that name, or else the shipped one.

    Raises `BundleError` where there is none, or it is damaged, foreign or from a newer fmtag.
    """
    folder = _find(name)
    try:
        content = (folder / "card.json").read_bytes()
        raw = _parsed(content, folder)
        weights_name, checksum = str(raw["weights"]["file"]), str(raw["weights"]["sha256"])
        if Path(weights_name).name != weights_name:
            raise ValueError("its weights lie outside its folder")
        packed = (folder / weights_name).read_bytes()
        if hashlib.sha256(packed).hexdigest() != checksum:
            raise ValueError("the weights are not those that the card was written for")
        tensors = load_tensors(packed)
        weights = {key: tensor for key, tensor in tensors.items() if not key.startswith(PREFIX)}
        bundle = Bundle(_card(raw), weights, hashlib.sha256(content).hexdigest(), Shop.of_tensors(tensors))
        bundle.network()
        _check_shop(bundle)
        return bundle
    except OSError as error:
        raise BundleError(f"The bundle {folder} cannot be read: {error.strerror or error}.") from error
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError, SafetensorError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BundleError(f"The bundle {folder} is damaged: {reason}. Fetch it again or retrain it.") from error


def save(folder: Path, card: Card, network: ResidualNetwork, shop: Shop | None = None) -> Bundle:
    """Write a bundle into `folder`, replacing the one that is there, and return it as `load` would."""
    tensors = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    packed = save_tensors(tensors | (shop.tensors() if shop else {}))
    checksum = hashlib.sha256(packed).hexdigest()
    weights_name = f"weights-{checksum[:8]}.safetensors"
    raw = {
        "kind": KIND,
        "format": FORMAT,
        **{key: value for key, value in asdict(card).items() if key not in ("min_confidence", "precisions")},
        "thresholds": {"min_confidence": card.min_confidence, "precisions": card.precisions},
        "weights": {"file": weights_name, "sha256": checksum},
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(folder / weights_name) as file:
            file.write(packed)
        with replacing(folder / "card.json") as file:
            file.write((json.dumps(raw, indent=2, ensure_ascii=False) + "\n").encode())
        for old in folder.glob("weights-*.safetensors"):
            if old.name != weights_name:
                old.unlink()
    except OSError as error:
        raise BundleError(f"The bundle {folder} cannot be written: {error.strerror or error}.") from error
    return load(str(folder))


def _check_shop(bundle: Bundle) -> None:
    """Raise a `ValueError` where card and tensors disagree on whether a shop has taught the bundle, and what."""
    card, shop = bundle.card, bundle.shop
    if (shop is None) != (not card.taught_groups):
        raise ValueError("what the card says that a shop has taught is not what the weights hold")
    if shop is not None and shop.translation.shape != (len(card.network_groups) + 1, len(card.labels) + 1):
        raise ValueError("the shop's labels are not the card's")


def shipped() -> list[Path]:
    """Return the folders of the bundles that come with fmtag."""
    return _bundles_in(_shipped_folder())


def own() -> list[Path]:
    """Return the folders of the user's own bundles."""
    folder = user_folder()
    return _bundles_in(folder) if folder.is_dir() else []


def _bundles_in(folder: Path) -> list[Path]:
    return sorted(one for one in folder.iterdir() if (one / "card.json").is_file())


def user_folder() -> Path:
    """Return where a user's own bundles lie by name: `FMTAG_MODELS`, else the place for data that the system knows."""
    given = os.environ.get("FMTAG_MODELS")
    return Path(given) if given else platformdirs.user_data_path("fmtag", appauthor=False) / "models"


def place_for(out: str) -> Path:
    """Return the folder for a new bundle: a bare name is one in the user's folder, anything else a path.

    Raises `BundleError` for the name of a shipped bundle, which would be hidden by it.
    """
    if Path(out).name != out or out in (".", ".."):
        return Path(out)
    if out in (folder.name for folder in shipped()):
        raise BundleError(f"{out} is the name of a bundle that comes with fmtag; give the new one another name.")
    return user_folder() / out


def default_model() -> str:
    """Return the bundle that tags where none is named: the one that the user has set, else the shipped one."""
    try:
        return (user_folder() / DEFAULT_FILE).read_text(encoding="utf-8").strip() or DEFAULT_MODEL
    except OSError:
        return DEFAULT_MODEL


def set_default_model(name: str) -> Bundle:
    """Make the bundle `name` the one that tags where none is named, and return it; raises `BundleError` if there is none."""
    loaded = load(name)
    named = any(folder.name == name for folder in (*own(), *shipped()))
    kept = name if named else str(Path(name).resolve())
    try:
        user_folder().mkdir(parents=True, exist_ok=True)
        with replacing(user_folder() / DEFAULT_FILE) as file:
            file.write(f"{kept}\n".encode())
    except OSError as error:
        raise BundleError(f"{user_folder()} cannot be written: {error.strerror or error}.") from error
    return loaded


def _shipped_folder() -> Path:
    """Return where the bundles lie: inside the package when installed from a wheel, beside it in a checkout."""
    packaged = Path(str(files("tagger"))) / "weights"
    return packaged if packaged.is_dir() else Path(__file__).resolve().parent.parent / "weights"


def _find(name: str) -> Path:
    for folder in (Path(name), user_folder() / name, _shipped_folder() / name):
        if os.path.isfile(folder / "card.json"):
            return folder
    if os.path.exists(name):  # unlike Path's, false for names that no folder can have
        raise BundleError(f"{name} is no bundle: it holds no card.json; give a bundle's folder or name.")
    known, made = (", ".join(folder.name for folder in some) or "none" for some in (shipped(), own()))
    raise BundleError(
        f"There is no bundle {name!r}; shipped with fmtag: {known}; your own: {made}. A bundle's folder works too."
    )


def _parsed(content: bytes, folder: Path) -> dict[str, Any]:
    raw = json.loads(content)
    if not isinstance(raw, dict) or raw.get("kind") != KIND:
        raise BundleError(f"{folder / 'card.json'} is no fmtag card; give a bundle's folder or name.")
    if not isinstance(raw.get("format"), int) or raw["format"] > FORMAT:
        raise BundleError(f"The bundle {folder} is from a newer fmtag; update fmtag to use it.")
    return raw


def _card(raw: dict[str, Any]) -> Card:
    # Cards of format 1 know one head alone and have no table of precisions, those of format 2 no shop.
    known = {"photo_classes": 0, **raw["network"]}
    network = {item.name: known[item.name] for item in fields(NetworkConfig)}
    thresholds = raw["thresholds"]
    return Card(
        name=str(raw["name"]),
        labels=tuple(map(str, raw["labels"])),
        groups={str(label): str(group) for label, group in raw["groups"].items()},
        network=NetworkConfig(**{**network, "widths": tuple(network["widths"])}),
        garment_version=int(raw["garment_version"]),
        temperature=float(raw["temperature"]),
        min_confidence=float(thresholds["min_confidence"]),
        photo_temperature=float(raw.get("photo_temperature", 1.0)),
        precisions={str(float(key)): float(value) for key, value in thresholds.get("precisions", {}).items()},
        figures=dict(raw["figures"]),
        recipe=dict(raw["recipe"]),
        data=dict(raw["data"]),
        versions=dict(raw["versions"]),
        parent=str(raw.get("parent", "")),
        taught_groups={str(label): str(group) for label, group in raw.get("taught_groups", {}).items()},
        shop_temperature=float(raw.get("shop_temperature", 1.0)),
    )
