"""Bundles that tests damage, and product images for predictors."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tagger.errors import BundleError
from tagger.models.bundle import load
from tagger.records import ProductImage


def product_images(count: int, seed: int = 0, native: bool = True) -> list[ProductImage]:
    """Return random images in Fashion-MNIST's own format, or cuts of photos."""
    pixels = np.random.default_rng(seed).integers(0, 256, (count, 28, 28), np.uint8)
    return [ProductImage(image, found=True, native=native) for image in pixels]


def stacked(images: list[ProductImage]) -> torch.Tensor:
    """Return the pixels as a network takes them, uint8 (n, 1, 28, 28)."""
    return torch.from_numpy(np.stack([image.pixels for image in images])[:, None])


def card_of(folder: Path) -> dict[str, Any]:
    """Return the content of a bundle's card.json."""
    card: dict[str, Any] = json.loads((folder / "card.json").read_text())
    return card


def edit_card(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the content of a bundle's card.json."""
    card = card_of(folder)
    change(card)
    (folder / "card.json").write_text(json.dumps(card))


def weights_of(folder: Path) -> Path:
    """Return the weights' file that a bundle's card names."""
    return folder / str(card_of(folder)["weights"]["file"])


def replace_weights(folder: Path, content: bytes) -> None:
    """Replace a bundle's weights, and their sha256 on the card, so that the checksum does not reveal it."""
    weights_of(folder).write_bytes(content)
    edit_card(folder, lambda card: card["weights"].update(sha256=hashlib.sha256(content).hexdigest()))


def refusal(folder: Path) -> str:
    """Return the one sentence, naming the folder, with which loading a bundle is refused."""
    with pytest.raises(BundleError) as caught:
        load(str(folder))
    message = str(caught.value)
    assert "\n" not in message
    assert str(folder) in message
    assert len(message) < 500
    return message
