"""A shop is learnt from its photos and labels: what settles, what is translated, what is never mixed up."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tagger.adaptation.fit import fit_adapter
from tagger.errors import BundleError
from tagger.inference.predictor import Features
from tagger.models import bundle
from tagger.models.adapter import BLOCK

WIDTH = 64


def look_at(kinds: Sequence[int], said: Sequence[Sequence[float]], seed: int = 0, noise: float = 0.15) -> Features:
    """Return a look at photos of some kinds, each near its kind's own direction, with what the network says of them."""
    centres = torch.randn(8, WIDTH, generator=torch.Generator().manual_seed(9))[list(kinds)]
    rng = torch.Generator().manual_seed(seed)
    return Features(torch.tensor(said, dtype=torch.float32), centres + noise * torch.randn(len(kinds), WIDTH, generator=rng))


SURE = {0: [0.97, 0.01, 0.01, 0.01], 1: [0.01, 0.97, 0.01, 0.01], 2: [0.01, 0.01, 0.97, 0.01], 3: [0.01, 0.01, 0.01, 0.97]}


def test_a_new_photo_unlike_the_catalog_keeps_the_networks_answer() -> None:
    """The memory speaks of what it has seen alone."""
    shop = fit_adapter(look_at([0] * 10 + [1] * 10, [SURE[0]] * 10 + [SURE[1]] * 10))
    stranger = look_at([7], [[0.2, 0.2, 0.5, 0.1]])
    assert torch.allclose(shop.predict(stranger.probabilities, stranger.maps), stranger.probabilities, atol=0.02)


def test_photos_are_answered_the_same_in_any_number() -> None:
    """More photos than are computed at once get the answers that each of them gets alone."""
    look = look_at([number % 3 for number in range(BLOCK + 50)], [SURE[number % 3] for number in range(BLOCK + 50)])
    shop = fit_adapter(look)
    answers = shop.predict(look.probabilities, look.maps)
    for some in (slice(0, 64), slice(BLOCK - 10, BLOCK + 50)):
        assert torch.allclose(answers[some], shop.predict(look.probabilities[some], look.maps[some]), atol=1e-5)


def test_a_shop_is_saved_with_its_bundle(tmp_path: Path, photo_bundle: Path) -> None:
    """Loaded again it answers the same; a card that knows nothing of it is refused as damaged."""
    parent = bundle.load(str(photo_bundle))
    ends = len(parent.card.labels) + 1
    said: Tensor = torch.softmax(torch.randn(20, ends, generator=torch.Generator().manual_seed(2)), 1)
    look = Features(said, torch.randn(20, WIDTH, generator=torch.Generator().manual_seed(3)))
    shop = fit_adapter(look)
    card = replace(parent.card, taught_groups=parent.card.groups, parent=parent.model)
    loaded = bundle.save(tmp_path / "mine", card, parent.network(), shop)
    assert loaded.shop is not None
    assert torch.equal(loaded.shop.predict(look.probabilities, look.maps), shop.predict(look.probabilities, look.maps))
    assert loaded.card.parent == parent.model
    with pytest.raises(BundleError, match="damaged"):
        bundle.save(tmp_path / "torn", parent.card, parent.network(), shop)
