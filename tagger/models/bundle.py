"""Load and save bundles: a folder with the weights of a network and a card with everything needed to use them.

    NAME/card.json                       labels, groups, network, extraction version, temperature, thresholds, metrics, origin
    NAME/weights-1a2b3c4d.safetensors    named by its own sha256, which the card repeats in full
    NAME/backbone-1a2b3c4d.safetensors   likewise, of a bundle with a backbone; or .onnx

The card is replaced last and atomically, so a bundle is either the old one or the new one. Nothing in either file is executed.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

from tagger.errors import BundleError, reason_of
from tagger.escaping import for_terminal
from tagger.files import as_json, atomic_write
from tagger.models import adapter as adapters
from tagger.models import fusion as fusions
from tagger.models.adapter import ShopAdapter
from tagger.models.backbone import Backbone
from tagger.models.bundle_name import DEFAULT_FILE
from tagger.models.card import (
    FORMAT,
    FORMAT_WITHOUT_BACKBONE,
    KIND,
    Card,
    StoredCard,
    StoredFile,
    card_as_json,
    damage_as_error,
    model_name,
    read,
)
from tagger.models.fusion import Fusion
from tagger.models.imagenet import LABELS as IMAGENET_LABELS
from tagger.models.network_graph import GRAPH_FAMILIES, network_graph
from tagger.models.onnx_file import read_onnx
from tagger.models.registry import is_folder, user_folder
from tagger.models.side_files import remove_own

if TYPE_CHECKING:
    from tagger.models.network import Network


@dataclass(frozen=True)
class Bundle:
    """A network's card and weights, with a backbone and its fusion, and with a shop's adapter, where it has them."""

    card: Card
    weights: Mapping[str, NDArray[Any]]
    """The network's weights and statistics by the names of its `state_dict`."""
    fingerprint: str
    """sha256 of the card's file, which holds that of the weights."""
    adapter: ShopAdapter | None = None
    backbone: Backbone | None = None
    fusion: Fusion | None = None
    """Of the network and the backbone; None where there is no backbone."""

    @property
    def model(self) -> str:
        """The bundle's identity in the `model` column, such as `base@1a2b3c4d+g1`; see `model_name`."""
        return model_name(self.card, self.fingerprint)

    def network(self) -> "Network":
        """Return the network in evaluation mode, float32 on the CPU; imports torch."""
        from tagger.models.network import build_network

        return build_network(self.card.network, self.weights)


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
        if hashlib.sha256(packed).hexdigest() != stored.weights_file.sha256:
            raise ValueError("the sha256 of the weights is not the one on the card")
        try:
            arrays = load_arrays(packed)
        except SafetensorError as error:
            raise ValueError(str(error)) from error
        weights = {key: array for key, array in arrays.items() if not key.startswith((adapters.PREFIX, fusions.PREFIX))}
        adapter, fusion = ShopAdapter.of_tensors(arrays), Fusion.of_arrays(arrays)
        bundle = Bundle(stored.card, weights, stored.fingerprint, adapter, _backbone(stored), fusion)
        _check_network(bundle, stored)
        _check_adapter(bundle)
        return bundle


def save(
    folder: Path,
    card: Card,
    network: "Mapping[str, NDArray[Any]] | Network",
    adapter: ShopAdapter | None = None,
    backbone: Backbone | None = None,
    fusion: Fusion | None = None,
) -> Bundle:
    """Write a bundle into a folder and return it as `load` would.

    A bundle in the folder is replaced, and the files that fmtag had written beside it, such as its history, are removed.

    Args:
        folder: made if it does not exist.
        card: the bundle's card.
        network: the network's weights by the names of its `state_dict`, or the network in torch.
        adapter: a shop's adapter.
        backbone: given together with its fusion, or not at all.
        fusion: of the network and the backbone.

    Raises:
        BundleError: the folder cannot be written.
        ValueError: only one of backbone and fusion is given, or the backbone cannot be one.
    """
    if (backbone is None) != (fusion is None):
        raise ValueError("a backbone is saved with its fusion, or not at all")
    if backbone is not None:
        backbone.graph()  # what could not be run must not replace a good bundle
    weights = network if isinstance(network, Mapping) else _weights_of(network)
    fused = fusion.arrays() if fusion else {}
    packed = _packed({**weights, **fused, **(adapter.tensors() if adapter else {})})
    stored_weights = _named("weights", packed, "safetensors")
    contents = {stored_weights.file: packed}
    raw = {
        "kind": KIND,
        "format": FORMAT if backbone else FORMAT_WITHOUT_BACKBONE,
        **{key: value for key, value in card_as_json(card).items() if key not in ("min_confidence", "precisions")},
        "thresholds": {"min_confidence": card.min_confidence, "precisions": card.precisions},
        "weights": stored_weights._asdict(),
    }
    if backbone and fusion:
        stored_backbone = _named("backbone", backbone.content, backbone.suffix)
        raw["backbone"] = stored_backbone._asdict()
        raw["eyes"] = _eyes(card, weights, fusion, stored_backbone.sha256)
        contents[stored_backbone.file] = backbone.content
    _write(folder, raw, contents)
    return load(folder)


def _write(folder: Path, raw: Mapping[str, Any], contents: Mapping[str, bytes]) -> None:
    """Write a bundle's files, the card last, and remove those of the bundle that they replace."""
    is_replacement = (folder / "card.json").is_file()
    replaced = _own_files(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            with atomic_write(folder / name) as file:
                file.write(content)
        with atomic_write(folder / "card.json") as file:
            file.write(as_json(raw))
        for name in replaced - contents.keys():
            (folder / name).unlink(missing_ok=True)
        if is_replacement:
            remove_own(folder)
    except OSError as error:
        raise BundleError(f"The bundle {folder} cannot be written: {reason_of(error)}.") from error


def _own_files(folder: Path) -> set[str]:
    """Return the names of the files of the bundle in a folder, but for its card, that are surely fmtag's, to be removed."""
    if not (folder / "card.json").is_file():
        return set()
    try:
        stored = read(folder)
    except BundleError:
        return set()
    named = {"weights": stored.weights_file} | ({"backbone": stored.backbone_file} if stored.backbone_file else {})
    return {file.file for name, file in named.items() if _is_as_written(folder, name, file)}


def _is_as_written(folder: Path, name: str, file: StoredFile) -> bool:
    """Return whether a bundle's file has the name and the content that `save` gave it."""
    try:
        return _named(name, (folder / file.file).read_bytes(), Path(file.file).suffix[1:]) == file
    except OSError:
        return False


def _named(name: str, content: bytes, suffix: str) -> StoredFile:
    """Return the name and sha256 of a file of a bundle, such as `weights-1a2b3c4d.safetensors`."""
    sha256 = hashlib.sha256(content).hexdigest()
    return StoredFile(f"{name}-{sha256[:8]}.{suffix}", sha256)


def _backbone(stored: StoredCard) -> Backbone | None:
    """Return the backbone of a bundle; raises `ValueError` if its file is not the one on the card, or cannot be one."""
    file = stored.backbone_file
    if file is None:
        return None
    suffix = Path(file.file).suffix
    if suffix == ".onnx":
        return Backbone(read_onnx(stored.folder / file.file, file.sha256), "onnx")
    content = (stored.folder / file.file).read_bytes()
    if hashlib.sha256(content).hexdigest() != file.sha256:
        raise ValueError("the sha256 of the backbone is not the one on the card")
    return Backbone(content, "safetensors")


def _eyes(card: Card, weights: Mapping[str, NDArray[Any]], fusion: Fusion, backbone_sha256: str) -> str:
    """Return the sha256 of all that computes embeddings: of the calibrated network, the backbone and the projection."""
    projection = {name: array for name, array in fusion.arrays().items() if name in fusions.OF_EMBEDDING}
    # Groups tell which labels a part of a person cannot show, and so what the small network's probabilities are cut to.
    others = f"{backbone_sha256} {card.temperature!r} {card.photo_temperature!r} {list(card.network_groups.items())}"
    return hashlib.sha256(_packed({**weights, **projection}) + others.encode()).hexdigest()


def _packed(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Return arrays as a file; safetensors writes the numbers in their order in memory, which for a view may be any."""
    return save_arrays({name: np.asarray(array, order="C") for name, array in arrays.items()})


def _weights_of(network: "Network") -> Mapping[str, NDArray[Any]]:
    from tagger.models.network import state_arrays

    return state_arrays(network)


def _check_network(bundle: Bundle, stored: StoredCard) -> None:
    """Raise an error if the weights are not those of the card's network, or backbone and fusion those of another bundle."""
    if bundle.card.network.family in GRAPH_FAMILIES:
        network_graph(bundle.card.network, bundle.weights)
    else:
        bundle.network()  # torch alone knows torchvision's networks
    if (bundle.backbone is None) != (bundle.fusion is None):
        raise ValueError("only one of backbone and fusion is there")
    if bundle.fusion is not None and stored.backbone_file is not None:
        if tuple(bundle.card.network_groups) != IMAGENET_LABELS:
            raise ValueError("the fusion's labels are not the card's")
        if _eyes(bundle.card, bundle.weights, bundle.fusion, stored.backbone_file.sha256) != stored.eyes:
            raise ValueError("the sha256 of its networks is not the one on the card")


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
