"""A network's weights with the card that says all that is needed to use them: a folder of two files.

    NAME/card.json                       labels, groups, network, garment version, temperature, thresholds, figures, origin
    NAME/weights-1a2b3c4d.safetensors    named by its own sha256, which the card repeats in full

The card is replaced last and atomically, so a bundle is the old one or the new one. Nothing in either file is executed.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from tagger.errors import BundleError
from tagger.escaping import for_terminal
from tagger.file_names import escape_surrogates
from tagger.files import atomic_write
from tagger.models.adapter import PREFIX, ShopAdapter
from tagger.models.bundle_name import DEFAULT_FILE
from tagger.models.card import FORMAT, KIND, Card, card_as_json, damage_as_error, model_name, read
from tagger.models.network import Network
from tagger.models.registry import is_folder, user_folder
from tagger.models.side_files import remove_own


@dataclass(frozen=True)
class Bundle:
    """A card with its weights; `fingerprint` is the sha256 of the card, which holds that of the weights."""

    card: Card
    weights: Mapping[str, Tensor]
    fingerprint: str
    shop: ShopAdapter | None = None
    """What a shop has taught, where one has."""

    @property
    def model(self) -> str:
        """What the `model` column holds: name, short hash and garment version, as in `base@1a2b3c4d+g1`."""
        return model_name(self.card, self.fingerprint)

    def network(self) -> Network:
        """Return the network in evaluation mode, float32 on the CPU."""
        with torch.device("meta"):  # so that a card with absurd sizes takes no memory
            network = Network(self.card.network)
        network.load_state_dict(self.weights, assign=True)
        return network.eval()


def load(name: str | Path) -> Bundle:
    """Return the bundle `name`: a name, or a folder where it is a `Path` or written with a separator (`./x`).

    Of two bundles of one name the user's own comes before the shipped one. Raises `BundleError` where there is none, or it is
    damaged, foreign or from a newer fmtag.
    """
    signed = read(name)
    with damage_as_error(signed.folder):
        packed = signed.weights()
        if hashlib.sha256(packed).hexdigest() != signed.weights_sha256:
            raise ValueError("the weights are not those that the card was written for")
        try:
            tensors = load_tensors(packed)
        except SafetensorError as error:
            raise ValueError(str(error)) from error
        weights = {key: tensor for key, tensor in tensors.items() if not key.startswith(PREFIX)}
        bundle = Bundle(signed.card, weights, signed.fingerprint, ShopAdapter.of_tensors(tensors))
        bundle.network()
        _check_shop(bundle)
        return bundle


def save(folder: Path, card: Card, network: Network, shop: ShopAdapter | None = None) -> Bundle:
    """Write a bundle into `folder`, replacing the one that is there, and return it as `load` would.

    What fmtag had written beside the old one, such as its history, is removed.
    """
    tensors = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    packed = save_tensors(tensors | (shop.tensors() if shop else {}))
    checksum = hashlib.sha256(packed).hexdigest()
    weights = folder / _weights_name(checksum)
    raw = {
        "kind": KIND,
        "format": FORMAT,
        **{key: value for key, value in card_as_json(card).items() if key not in ("min_confidence", "precisions")},
        "thresholds": {"min_confidence": card.min_confidence, "precisions": card.precisions},
        "weights": {"file": weights.name, "sha256": checksum},
    }
    is_replacement = (folder / "card.json").is_file()
    replaced = _weights_in(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_write(weights) as file:
            file.write(packed)
        with atomic_write(folder / "card.json") as file:
            file.write((escape_surrogates(json.dumps(raw, indent=2, ensure_ascii=False)) + "\n").encode())
        if replaced is not None and replaced != weights:
            replaced.unlink(missing_ok=True)
        if is_replacement:
            remove_own(folder)
    except OSError as error:
        raise BundleError(f"The bundle {folder} cannot be written: {error.strerror or error}.") from error
    return load(folder)


def _weights_in(folder: Path) -> Path | None:
    """Return the weights of the bundle in a folder, None where there is none: other files are not for a new one to remove."""
    if not (folder / "card.json").is_file():
        return None
    try:
        signed = read(folder)
        whole = hashlib.sha256(signed.weights()).hexdigest() == signed.weights_sha256
    except (BundleError, OSError):
        return None
    own = signed.weights_file == _weights_name(signed.weights_sha256)
    return folder / signed.weights_file if whole and own else None


def _weights_name(sha256: str) -> str:
    return f"weights-{sha256[:8]}.safetensors"


def _check_shop(bundle: Bundle) -> None:
    """Raise a `ValueError` where card and tensors disagree on whether a shop has taught the bundle, and what."""
    card, shop = bundle.card, bundle.shop
    if (shop is None) != (not card.taught_groups):
        raise ValueError("what the card says that a shop has taught is not what the weights hold")
    if shop is not None and shop.translation.shape != (len(card.network_groups) + 1, len(card.labels) + 1):
        raise ValueError("the shop's labels are not the card's")


def set_default_model(name: str) -> Bundle:
    """Make the bundle `name` the one that tags where none is named, and return it; raises `BundleError` if there is none."""
    loaded = load(name)
    kept = str(Path(name).resolve()) if is_folder(name) else name
    if for_terminal(kept) != kept:
        raise BundleError(f"The path {kept} cannot be kept in a line of text; rename the folder.")
    place = user_folder() / DEFAULT_FILE
    if place.is_dir():
        raise BundleError(f"{place} is a folder, where the default bundle's name is kept; rename that folder.")
    try:
        user_folder().mkdir(parents=True, exist_ok=True)
        with atomic_write(place) as file:
            file.write(f"{kept}\n".encode())
    except OSError as error:
        raise BundleError(f"{place} cannot be written: {error.strerror or error}.") from error
    return loaded
