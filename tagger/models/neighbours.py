"""Find nearest neighbours, and groups of photos of the same product, in near-linear time and bounded memory.

Up to `EXACT` photos are compared in all pairs. Of more, only pairs that share a leaf of a random-projection tree are compared
(Dasgupta and Freund 2008, "Random projection trees and low dimensional manifolds"): each tree splits the photos at the median
along random lines until a leaf holds at most `LEAF`. Similar photos share a leaf of nearly every tree, and a neighbour that is
missed is a distant one, which weighs little. All leaves have the same size, so that even a catalog of one image, repeated,
takes no longer.
"""

from collections.abc import Iterator
from math import ceil, log2
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tagger.arrays import Float32s, largest

SAME_PRODUCT = 0.95
"""Cosine similarity of two photos' embeddings from which on they are taken to show one product."""

EXACT = 8_192
"""Number of photos up to which all pairs are compared, which takes 4 * EXACT ** 2 bytes."""

LEAF, TREES = 1_024, 12
"""Most photos of a leaf, and number of trees: more of either find more distant neighbours, in proportionally more time."""

Indices: TypeAlias = NDArray[np.int64]


class Neighbours(NamedTuple):
    """The k photos nearest to each of n photos, in no particular order."""

    cosines: Float32s
    """Cosine similarities, float32 (n, k); minus infinity if a photo has fewer than k neighbours."""
    numbers: Indices
    """Indices of the neighbours, int64 (n, k)."""


def nearest(embeddings: Float32s, count: int) -> Neighbours:
    """Return the `count` nearest neighbours, or all n - 1, of each photo, for embeddings of length 1, float32 (n, d)."""
    n = len(embeddings)
    k = min(count, n - 1)
    cosines = np.full((n, k), -np.inf, np.float32)
    numbers = np.zeros((n, k), np.int64)
    place = np.full(n, -1)
    if not k:
        return Neighbours(cosines, numbers)
    for leaf in _leaves(embeddings, np.arange(n)):
        rows = embeddings[leaf]
        alike = rows @ rows.T
        np.fill_diagonal(alike, -np.inf)
        # A neighbour that another tree has found already must not be found twice.
        place[leaf] = np.arange(len(leaf))
        found = place[numbers[leaf]]
        place[leaf] = -1
        row, column = np.nonzero((found >= 0) & np.isfinite(cosines[leaf]))
        alike[row, found[row, column]] = -np.inf
        more, at = largest(alike, min(k, len(leaf) - 1))
        cosines[leaf], order = largest(np.concatenate([cosines[leaf], more], 1), k)
        numbers[leaf] = np.take_along_axis(np.concatenate([numbers[leaf], leaf[at]], 1), order, 1)
    return Neighbours(cosines, numbers)


def same_looking(embeddings: Float32s, photos: Indices, together: Indices) -> Indices:
    """Group photos of the same product: connected components of those that look the same or are known to belong together.

    Args:
        embeddings: of length 1, float32 (n, d), of all photos of a catalog.
        photos: indices of the photos to group (m,).
        together: known groups (m,): photos with the same number belong together, unless it is negative.

    Returns:
        The group of each photo (m,), numbered from 0 in order of first appearance.
    """
    members, groups = [np.flatnonzero(together >= 0)], [together[together >= 0]]
    first = int(together.max(initial=-1)) + 1
    for leaf in _leaves(embeddings, photos):
        rows = embeddings[photos[leaf]]
        linked = _linked(rows @ rows.T > SAME_PRODUCT)
        members.append(leaf)
        groups.append(first + linked)
        first += int(linked.max(initial=-1)) + 1
    count = len(photos)
    return _components(np.concatenate(members), count + np.concatenate(groups), count + first)[:count]


def _linked(alike: NDArray[np.bool_]) -> Indices:
    """Return the connected component of each of m photos, for a symmetric matrix (m, m) of pairs that look the same."""
    count = len(alike)
    # First link each photo to the first one like it: m photos that all look the same would otherwise be m * m edges.
    photos, first_alike = np.arange(count), alike.argmax(1)
    partly = _components(photos, first_alike, count)
    row, column = np.nonzero(alike & (partly[:, None] != partly))
    return _components(np.concatenate([row, photos]), np.concatenate([column, first_alike]), count)


def _components(one: Indices, other: Indices, count: int) -> Indices:
    """Return the connected component of each of `count` nodes, for edges between the nodes `one` and `other` (e,)."""
    # Imported here, as it takes a tenth of a second, and every run that tags photos imports this module.
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import connected_components

    graph = csr_matrix((np.ones(len(one), np.int8), (one, other)), shape=(count, count))
    _, numbers = connected_components(graph, directed=False)
    return np.asarray(numbers, np.int64)


def _leaves(embeddings: Float32s, photos: Indices) -> Iterator[Indices]:
    """Yield sets of photos to compare in all pairs, as positions in `photos` (m,): all up to `EXACT`, else leaf by leaf."""
    count = len(photos)
    if count <= EXACT:
        if count:
            yield np.arange(count)
        return
    rng = np.random.default_rng(0)
    levels = ceil(log2(count / LEAF))
    for _ in range(TREES):
        # Project on differences of random pairs: they point where photos differ, which random directions hardly do.
        one, other = photos[rng.integers(0, count, (2, levels))]
        heights = (embeddings @ (embeddings[one] - embeddings[other]).T)[photos]
        ties = rng.random(count)
        node = np.zeros(count, np.int64)
        for level in range(levels):
            order = np.lexsort((ties, heights[:, level], node))
            node[order] = np.arange(count) * 2 ** (level + 1) // count
        order = np.argsort(node, kind="stable")
        yield from np.split(order, np.flatnonzero(np.diff(node[order])) + 1)
