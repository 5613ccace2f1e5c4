"""Explain what each network of a bundle with a backbone makes of one photo, from its embedding in the ledger."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tagger.errors import BundleError, LedgerDamagedError
from tagger.inference.experts import experts_of
from tagger.models import bundle, card, registry
from tagger.models.bundle import Bundle

NONE = "none of these"
"""Name of the probability that no label fits."""

MAX_SHOWN = 3
"""Labels of each network in the text."""

EXPERTS = {
    "small_network": "the small network, in grey",
    "imagenet_classes": "ImageNet's classes, in colour",
    "features_head": "the head on the backbone's features, in colour",
    "together": "together",
}
"""Names of the experts in JSON and in the text."""

PARTS = {"upper": "the upper body of a person", "lower": "the legs of a person", "whole": "a person from the neck down"}


def networks_of(embedding: bytes, fingerprint: str, folder: Path | None) -> dict[str, Any]:
    """Return the probabilities by each network for the photo of an embedding, as JSON values.

    Args:
        embedding: as the ledger has it.
        fingerprint: of the bundle that computed the photo's probabilities, as the ledger has it.
        folder: of a bundle to look at too, besides those that have a name and the default one.

    Raises:
        BundleError: the photo's bundle is not among these, or is damaged.
        LedgerDamagedError: the embedding is of another length than the bundle's.
    """
    found = _find(fingerprint.partition("+g")[0], _folders(folder))
    if found.fusion is None:
        raise BundleError(f"The bundle {found.model} has no backbone.")
    try:
        if not isinstance(embedding, bytes):  # SQLite keeps any type in any column
            raise ValueError("an embedding is text")
        experts = experts_of(found.fusion, embedding, found.card.network_groups)
    except ValueError as error:
        raise LedgerDamagedError(f"The ledger is damaged: {error}.") from error
    labels = list(found.card.network_groups)
    probabilities = zip(EXPERTS, (experts.small, experts.imagenet, experts.head, experts.together), strict=True)
    return {
        "part": experts.region,
        "native": experts.native,
        "adapted": found.adapter is not None,
        **{name: None if values is None else by_label(labels, values.tolist()) for name, values in probabilities},
    }


def by_label(labels: Sequence[str], probabilities: Sequence[float]) -> dict[str, float]:
    """Return probabilities of labels, and last of none of them, by label, to four digits: the greatest first, none last."""
    *known, none = zip([*labels, NONE], (round(value, 4) for value in probabilities), strict=True)
    return dict([*sorted(known, key=lambda pair: -pair[1]), none])


def networks_text(networks: Mapping[str, Any]) -> list[str]:
    """Return the result of `networks_of`, not an empty one, as lines of text: the likeliest labels by each network."""
    shown = PARTS.get(networks["part"], "the product")
    lines = [f"each network on {'an image like those of Fashion-MNIST' if networks['native'] else shown}:"]
    for name, title in EXPERTS.items():
        if networks[name] is not None:
            before = ", before the shop's adapter" if name == "together" and networks["adapted"] else ""
            rest = "its other classes" if name == "imagenet_classes" else NONE
            lines.append(f"  {title}{before}: {_likeliest(networks[name], rest)}")
    return lines


def _folders(folder: Path | None) -> Iterator[Path]:
    """Yield a folder that is given, those of all bundles that have a name, and that of the default one."""
    if folder is not None:
        yield folder
    yield from registry.user_bundles()
    yield from registry.shipped_bundles()
    with suppress(BundleError):
        yield registry.find_bundle(registry.default_model())


def _find(fingerprint: str, folders: Iterable[Path]) -> Bundle:
    for folder in folders:
        try:
            stored = card.read(folder)
        except BundleError:  # another one that is damaged
            continue
        if stored.fingerprint == fingerprint:
            return bundle.load(folder)
    raise BundleError("The bundle that scored it is not among those that have a name; give its folder with --model.")


def _likeliest(probabilities: Mapping[str, float], rest: str) -> str:
    *known, (_, none) = probabilities.items()
    return ", ".join(f"{label} {value:.4f}" for label, value in [*known[:MAX_SHOWN], (rest, none)])
