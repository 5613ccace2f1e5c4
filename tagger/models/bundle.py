"""Load and save bundles: a folder with the weights of a network and a card with everything needed to use them.

    NAME/card.json                       labels, groups, network, extraction version, temperature, thresholds, metrics, origin
    NAME/weights-1a2b3c4d.safetensors    named by its own sha256, which the card repeats in full

The card is replaced last and atomically, so a bundle is either the old one or the new one. Nothing in either file is executed.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from tagger.errors import BundleError, reason_of
from tagger.escaping import for_terminal
from tagger.files import as_json, atomic_write
from tagger.models.adapter import PREFIX, ShopAdapter
from tagger.models.bundle_name import DEFAULT_FILE
from tagger.models.card import FORMAT, KIND, Card, card_as_json, damage_as_error, model_name, read
from tagger.models.network import Network
from tagger.models.registry import is_folder, user_folder
from tagger.models.side_files import remove_own


@dataclass(frozen=True)
class Bundle:
    """A network's card and weights, with a shop's adapter where it has one."""

    card: Card
    weights: Mapping[str, Tensor]
    """The network's `state_dict`."""
    fingerprint: str
    """sha256 of the card's file, which holds that of the weights."""
    adapter: ShopAdapter | None = None

    @property
    def model(self) -> str:
        """The bundle's identity in the `model` column, such as `base@1a2b3c4d+g1`; see `model_name`."""
        return model_name(self.card, self.fingerprint)

    def network(self) -> Network:
        """Return the network in evaluation mode, float32 on the CPU."""
        with torch.device("meta"):  # a card with absurd sizes takes no memory
            network = Network(self.card.network)
        network.load_state_dict(self.weights, assign=True)
        return network.eval()


def load(name: str | Path) -> Bundle:
    """Load a bundle.

    Args:
        name: a bundle's name, or its folder: a `Path`, or a string with a separator, such as `./mine`. A user's own bundle
            comes before a shipped one of the same name.

    Raises:
        BundleError: it is missing, damaged, no bundle of fmtag, or from a newer fmtag.
    """
    stored = read(name)
    with damage_as_error(stored.folder):
        packed = stored.weights()
        if hashlib.sha256(packed).hexdigest() != stored.weights_sha256:
            raise ValueError("the sha256 of the weights is not the one on the card")
        try:
            tensors = load_tensors(packed)
        except SafetensorError as error:
            raise ValueError(str(error)) from error
        weights = {key: tensor for key, tensor in tensors.items() if not key.startswith(PREFIX)}
        bundle = Bundle(stored.card, weights, stored.fingerprint, ShopAdapter.of_tensors(_arrays(tensors)))
        bundle.network()
        _check_adapter(bundle)
        return bundle


def save(folder: Path, card: Card, network: Network, adapter: ShopAdapter | None = None) -> Bundle:
    """Write a bundle into a folder and return it as `load` would.

    A bundle in the folder is replaced, and the files that fmtag had written beside it, such as its history, are removed. Raises
    `BundleError` if the folder cannot be written.
    """
    tensors = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    added = adapter.tensors() if adapter else {}
    packed = save_tensors(tensors | {name: torch.from_numpy(array) for name, array in added.items()})
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
            file.write(as_json(raw))
        if replaced is not None and replaced != weights:
            replaced.unlink(missing_ok=True)
        if is_replacement:
            remove_own(folder)
    except OSError as error:
        raise BundleError(f"The bundle {folder} cannot be written: {reason_of(error)}.") from error
    return load(folder)


def _arrays(tensors: Mapping[str, Tensor]) -> dict[str, NDArray[Any]]:
    return {name: tensor.numpy() for name, tensor in tensors.items() if name.startswith(PREFIX)}


def _weights_in(folder: Path) -> Path | None:
    """Return the weights' file of the bundle in a folder; None if it is not surely fmtag's, and so not to be removed."""
    if not (folder / "card.json").is_file():
        return None
    try:
        stored = read(folder)
        whole = hashlib.sha256(stored.weights()).hexdigest() == stored.weights_sha256
    except (BundleError, OSError):
        return None
    own = stored.weights_file == _weights_name(stored.weights_sha256)
    return folder / stored.weights_file if whole and own else None


def _weights_name(sha256: str) -> str:
    return f"weights-{sha256[:8]}.safetensors"


def _check_adapter(bundle: Bundle) -> None:
    """Raise `ValueError` if card and weights disagree on whether the bundle has an adapter, and on its labels."""
    card, adapter = bundle.card, bundle.adapter
    if (adapter is None) != (not card.base_groups):
        raise ValueError("only one of card and weights has an adapter")
    if adapter is not None and adapter.translation.shape != (len(card.network_groups) + 1, len(card.labels) + 1):
        raise ValueError("the shop's labels are not the card's")


def set_default_model(name: str) -> Bundle:
    """Set the user's default bundle, by name or folder, and return it.

    Raises `BundleError` if it cannot be loaded, or the setting cannot be written.
    """
    loaded = load(name)
    kept = str(Path(name).resolve()) if is_folder(name) else name
    if for_terminal(kept) != kept:
        raise BundleError(f"The path {kept} holds characters that a line of text cannot; rename the folder.")
    place = user_folder() / DEFAULT_FILE
    if place.is_dir():
        raise BundleError(
            f"{place} is a folder, but the default bundle's name is kept in a file of that name; rename the folder."
        )
    try:
        user_folder().mkdir(parents=True, exist_ok=True)
        with atomic_write(place) as file:
            file.write(f"{kept}\n".encode())
    except OSError as error:
        raise BundleError(f"{place} cannot be written: {reason_of(error)}.") from error
    return loaded
