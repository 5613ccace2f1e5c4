"""Neighbours and products of many photos are those of comparing all pairs, or nearly."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tagger.models import neighbours
from tagger.models.adapter import embed_maps
from tagger.models.neighbours import SAME_PRODUCT, nearest, same_looking

pytestmark = pytest.mark.usefixtures("one_thread")

NO_GROUPS = np.full(1500, -1)


def embeddings_of(photos: int, kinds: int = 12) -> Tensor:
    """Return embeddings of photos of some kinds, in threes of one product."""
    rng = torch.Generator().manual_seed(0)
    products = torch.randint(kinds, (photos // 3 + 1,), generator=rng)
    centres = torch.randn(kinds, 48, generator=rng)[products] + 0.5 * torch.randn(len(products), 48, generator=rng)
    return embed_maps(centres.repeat_interleave(3, 0)[:photos] + 0.2 * torch.randn(photos, 48, generator=rng))


@pytest.fixture
def by_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use trees for all but the smallest catalogs."""
    monkeypatch.setattr(neighbours, "EXACT", 100)
    monkeypatch.setattr(neighbours, "LEAF", 200)


def all_cosines(embeddings: Tensor) -> Tensor:
    """Return the cosine of each photo with each, minus infinity with itself."""
    return (embeddings @ embeddings.T).fill_diagonal_(-torch.inf)


def test_few_photos_have_exactly_their_nearest_neighbours() -> None:
    """Up to `EXACT` photos the neighbours are those of all pairs; of fewer photos than neighbours, all others."""
    embeddings = embeddings_of(400)
    cosines, numbers = all_cosines(embeddings).topk(10, 1)
    found = nearest(embeddings, 10)
    assert torch.equal(found.numbers, numbers)
    assert torch.equal(found.cosines, cosines)
    assert sorted(nearest(embeddings[:4], 10).numbers[0].tolist()) == [1, 2, 3]
    assert nearest(embeddings[:1], 10).numbers.shape == (1, 0)


@pytest.mark.usefixtures("by_trees")
def test_trees_miss_little_of_the_weight() -> None:
    """At most a hundredth of the weight of all neighbours is missed; no photo is its own neighbour, or one twice."""
    embeddings = embeddings_of(1500)
    found = nearest(embeddings, 10)
    everything = all_cosines(embeddings)
    weights = [((cosines - 1) / 0.1).exp().sum() for cosines in (found.cosines, everything.topk(10, 1)[0])]
    assert weights[0] / weights[1] > 0.99
    assert torch.allclose(found.cosines, everything.gather(1, found.numbers), atol=1e-5)
    assert all(len(set(row)) == 10 for row in found.numbers.tolist())


@pytest.mark.usefixtures("by_trees")
def test_one_image_repeated_is_split_like_others() -> None:
    """Photos that are all the same are split evenly, have neighbours and are one product."""
    embeddings = functional.normalize(torch.ones(1500, 8), dim=1)
    found = nearest(embeddings, 10)
    assert (found.cosines > 0.999).all()
    assert len(set(same_looking(embeddings, np.arange(1500), NO_GROUPS))) == 1


def by_all_pairs(embeddings: Tensor, together: np.ndarray) -> np.ndarray:
    """Return the groups of photos by the definition: whatever a chain of pairs links, numbered as they come."""
    known = (together[:, None] == together) & (together >= 0)
    linked = (embeddings @ embeddings.T > SAME_PRODUCT).numpy() | known
    numbers, group = np.full(len(linked), -1), 0
    for photo in range(len(linked)):
        if numbers[photo] < 0:
            waiting = [photo]
            while waiting:
                numbers[waiting] = group
                waiting = np.flatnonzero(linked[waiting].any(0) & (numbers < 0)).tolist()
            group += 1
    return numbers


@pytest.mark.parametrize("exact", [10_000, 100])
def test_products_are_those_of_all_pairs(exact: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Groups and their numbers are those of comparing all pairs, also where some groups are known."""
    monkeypatch.setattr(neighbours, "EXACT", exact)
    monkeypatch.setattr(neighbours, "LEAF", 200)
    embeddings = embeddings_of(900, kinds=40)
    photos = np.arange(0, 900)
    together = np.where(photos % 50 == 0, photos // 100, -1)
    expected = by_all_pairs(embeddings, together)
    assert 1 < expected.max() < 600
    assert same_looking(embeddings, photos, together).tolist() == expected.tolist()
    some = photos[::2]
    assert same_looking(embeddings, some, together[some]).tolist() == by_all_pairs(embeddings[some], together[some]).tolist()
    assert same_looking(embeddings, some[:0], together[:0]).tolist() == []
