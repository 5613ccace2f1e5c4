"""Many photos: neighbours and groups as if all pairs had been compared, and memory that does not grow with the pairs."""

import numpy as np
import pytest
import torch
from adaptation_helpers import large_catalog
from torch import Tensor
from torch.nn import functional

from tagger.models import neighbours
from tagger.models.adapter import embed_maps
from tagger.models.neighbours import SAME_PRODUCT, nearest, same_looking

pytestmark = pytest.mark.usefixtures("one_thread")

NO_GROUPS = np.full(1500, -1)


@pytest.fixture
def by_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let all but the smallest catalogs go the way of large ones."""
    monkeypatch.setattr(neighbours, "EXACT", 100)
    monkeypatch.setattr(neighbours, "LEAF", 200)


def all_cosines(directions: Tensor) -> Tensor:
    """Return the cosine of each photo with each, minus infinity with itself."""
    return (directions @ directions.T).fill_diagonal_(-torch.inf)


# Neighbours --------------------------------------------------------------------------------------------------------


def test_few_photos_have_exactly_their_nearest_neighbours() -> None:
    """Up to `EXACT` photos the neighbours are those of all pairs; of fewer photos than neighbours, all others."""
    directions = embed_maps(large_catalog(400)[0].maps)
    cosines, numbers = all_cosines(directions).topk(10, 1)
    found = nearest(directions, 10)
    assert torch.equal(found.numbers, numbers)
    assert torch.equal(found.cosines, cosines)
    assert sorted(nearest(directions[:4], 10).numbers[0].tolist()) == [1, 2, 3]
    assert nearest(directions[:1], 10).numbers.shape == (1, 0)


@pytest.mark.usefixtures("by_trees")
def test_trees_miss_next_to_nothing_that_counts() -> None:
    """Of the weight of all neighbours a hundredth at most is missed; nobody is his own neighbour, or one twice."""
    directions = embed_maps(large_catalog(1500)[0].maps)
    found = nearest(directions, 10)
    everything = all_cosines(directions)
    weights = [((cosines - 1) / 0.1).exp().sum() for cosines in (found.cosines, everything.topk(10, 1)[0])]
    assert weights[0] / weights[1] > 0.99
    assert torch.allclose(found.cosines, everything.gather(1, found.numbers), atol=1e-5)
    assert all(len(set(row)) == 10 for row in found.numbers.tolist())


@pytest.mark.usefixtures("by_trees")
def test_one_picture_repeated_is_no_harder_than_many() -> None:
    """Photos that are all the same split evenly like any others, have neighbours and are one product."""
    directions = functional.normalize(torch.ones(1500, 8), dim=1)
    found = nearest(directions, 10)
    assert (found.cosines > 0.999).all()
    assert len(set(same_looking(directions, np.arange(1500), NO_GROUPS))) == 1


# Products ----------------------------------------------------------------------------------------------------------


def by_all_pairs(directions: Tensor, together: np.ndarray) -> np.ndarray:
    """Return the groups of photos by the definition: whatever a chain of pairs links, numbered as they come."""
    known = (together[:, None] == together) & (together >= 0)
    linked = (directions @ directions.T > SAME_PRODUCT).numpy() | known
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
    """Groups and their numbers are the same as by comparing each with each, also where the table names some of them."""
    monkeypatch.setattr(neighbours, "EXACT", exact)
    monkeypatch.setattr(neighbours, "LEAF", 200)
    directions = embed_maps(large_catalog(900, kinds=40)[0].maps)
    photos = np.arange(0, 900)
    together = np.where(photos % 50 == 0, photos // 100, -1)
    expected = by_all_pairs(directions, together)
    assert 1 < expected.max() < 600
    assert same_looking(directions, photos, together).tolist() == expected.tolist()
    some = photos[::2]
    assert same_looking(directions, some, together[some]).tolist() == by_all_pairs(directions[some], together[some]).tolist()
    assert same_looking(directions, some[:0], together[:0]).tolist() == []
