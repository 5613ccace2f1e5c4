"""Neighbours and products of many photos are those of comparing all pairs, or nearly."""

import numpy as np
import pytest

from tagger.arrays import Float32s, largest
from tagger.models import neighbours
from tagger.models.adapter import embed_maps
from tagger.models.neighbours import SAME_PRODUCT, nearest, same_looking

pytestmark = pytest.mark.usefixtures("one_thread")

NO_GROUPS = np.full(1500, -1)


def embeddings_of(photos: int, kinds: int = 12) -> Float32s:
    """Return embeddings of photos of some kinds, in threes of one product."""
    rng = np.random.default_rng(0)
    products = rng.integers(kinds, size=photos // 3 + 1)
    centres = rng.standard_normal((kinds, 48), np.float32)[products]
    centres += 0.5 * rng.standard_normal((len(products), 48), np.float32)
    return embed_maps(centres.repeat(3, 0)[:photos] + 0.2 * rng.standard_normal((photos, 48), np.float32))


@pytest.fixture
def by_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use trees for all but the smallest catalogs."""
    monkeypatch.setattr(neighbours, "EXACT", 100)
    monkeypatch.setattr(neighbours, "LEAF", 200)


def all_cosines(embeddings: Float32s) -> Float32s:
    """Return the cosine of each photo with each, minus infinity with itself."""
    cosines = embeddings @ embeddings.T
    np.fill_diagonal(cosines, -np.inf)
    return cosines


def test_few_photos_have_exactly_their_nearest_neighbours() -> None:
    """Up to `EXACT` photos the neighbours are those of all pairs; of fewer photos than neighbours, all others."""
    embeddings = embeddings_of(400)
    expected = np.argsort(-all_cosines(embeddings), 1)[:, :10]
    found = nearest(embeddings, 10)
    assert np.array_equal(np.sort(found.numbers, 1), np.sort(expected, 1))
    assert np.array_equal(found.cosines, np.take_along_axis(all_cosines(embeddings), found.numbers, 1))
    assert sorted(nearest(embeddings[:4], 10).numbers[0].tolist()) == [1, 2, 3]
    assert nearest(embeddings[:1], 10).numbers.shape == (1, 0)


@pytest.mark.usefixtures("by_trees")
def test_trees_miss_little_of_the_weight() -> None:
    """At most a hundredth of the weight of all neighbours is missed; no photo is its own neighbour, or one twice."""
    embeddings = embeddings_of(1500)
    found = nearest(embeddings, 10)
    everything = all_cosines(embeddings)
    weights = [np.exp((cosines - 1) / 0.1).sum() for cosines in (found.cosines, largest(everything, 10)[0])]
    assert weights[0] / weights[1] > 0.99
    assert np.allclose(found.cosines, np.take_along_axis(everything, found.numbers, 1), atol=1e-5)
    assert all(len(set(row)) == 10 for row in found.numbers.tolist())


@pytest.mark.usefixtures("by_trees")
def test_one_image_repeated_is_split_like_others() -> None:
    """Photos that are all the same are split evenly, have neighbours and are one product."""
    embeddings = np.full((1500, 8), 8**-0.5, np.float32)
    found = nearest(embeddings, 10)
    assert (found.cosines > 0.999).all()
    assert len(set(same_looking(embeddings, np.arange(1500), NO_GROUPS))) == 1


def by_all_pairs(embeddings: Float32s, together: np.ndarray) -> np.ndarray:
    """Return the groups of photos by the definition: whatever a chain of pairs links, numbered as they come."""
    known = (together[:, None] == together) & (together >= 0)
    linked = (embeddings @ embeddings.T > SAME_PRODUCT) | known
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
