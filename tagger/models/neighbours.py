"""Which photos look alike: nearest neighbours, and groups of photos that look the same, in near-linear time and bounded memory.

Up to `EXACT` photos are compared each with each. Of more, only those that share a leaf of some random-projection trees are
(Dasgupta and Freund 2008, "Random projection trees and low dimensional manifolds"): each tree splits the photos at the median
along random lines until at most `LEAF` are together. Photos that look alike share a leaf of nearly every tree, and one that
is missed is as far away as those that count little. All leaves have the same size, so that not even a catalog of a single
picture, repeated, takes longer.
"""

from collections.abc import Iterator
from math import ceil, log2
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components
from torch import Tensor

SAME_PRODUCT = 0.95
"""Cosine of two photos' directions from which on they are taken to show one product."""

EXACT = 8_192
"""Photos up to which all pairs are compared, which takes 4 * EXACT ** 2 bytes."""

LEAF, TREES = 1_024, 12
"""Photos of a leaf at most, and trees: more of either find more of the distant neighbours, in proportionally more time."""

Numbers = NDArray[np.int64]


class Neighbours(NamedTuple):
    """The photos nearest to each of n photos, k of them in no particular order."""

    cosines: Tensor
    """Float32 (n, k); minus infinity where a photo has fewer than k neighbours."""
    numbers: Tensor
    """Their numbers, int64 (n, k)."""


def nearest(directions: Tensor, count: int) -> Neighbours:
    """Find the `count` photos nearest to each of n others, or all n - 1, for directions of length 1, float32 (n, d)."""
    n = len(directions)
    k = min(count, n - 1)
    cosines = torch.full((n, k), -torch.inf)
    numbers = torch.zeros(n, k, dtype=torch.int64)
    place = torch.full((n,), -1)
    for leaf in _leaves(directions, np.arange(n)):
        among = torch.from_numpy(leaf)
        rows = directions[among]
        alike = rows @ rows.T
        alike.fill_diagonal_(-torch.inf)
        # What another tree has found already must not be found twice.
        place[among] = torch.arange(len(leaf))
        found = place[numbers[among]]
        place[among] = -1
        row, column = torch.nonzero((found >= 0) & cosines[among].isfinite(), as_tuple=True)
        alike[row, found[row, column]] = -torch.inf
        more, at = alike.topk(min(k, len(leaf) - 1), 1)
        cosines[among], order = torch.cat([cosines[among], more], 1).topk(k, 1)
        numbers[among] = torch.cat([numbers[among], among[at]], 1).gather(1, order)
    return Neighbours(cosines, numbers)


def same_looking(directions: Tensor, photos: Numbers, together: Numbers) -> Numbers:
    """Group photos that look the same, or are known to belong together, and all that these link.

    `directions` (n, d) are those of a catalog, of which `photos` (m,) are grouped; those with one number in `together` (m,)
    belong together, where it is not negative. Returns the number of each one's group (m,), counted from 0 as they come.
    """
    members, groups = [np.flatnonzero(together >= 0)], [together[together >= 0]]
    first = int(together.max(initial=-1)) + 1
    for leaf in _leaves(directions, photos):
        rows = directions[torch.from_numpy(photos[leaf])]
        linked = _linked((rows @ rows.T > SAME_PRODUCT).numpy())
        members.append(leaf)
        groups.append(first + linked)
        first += int(linked.max(initial=-1)) + 1
    count = len(photos)
    places = np.concatenate(members), count + np.concatenate(groups)
    graph = csr_matrix((np.ones(len(places[0]), np.int8), places), shape=(count + first, count + first))
    _, numbers = connected_components(graph, directed=False)
    return np.asarray(numbers[:count], np.int64)


def _linked(alike: NDArray[np.bool_]) -> Numbers:
    """Return the connected component of each of m photos, for a symmetric matrix (m, m) of which look the same."""
    count = len(alike)
    # First each with the first one like it: else many photos that all look the same would be as many edges squared.
    star = csr_matrix((np.ones(count, np.int8), (np.arange(count), alike.argmax(1))), shape=alike.shape)
    _, partly = connected_components(star, directed=False)
    row, column = np.nonzero(alike & (partly[:, None] != partly))
    edges = np.concatenate([row, np.arange(count)]), np.concatenate([column, alike.argmax(1)])
    _, linked = connected_components(csr_matrix((np.ones(len(edges[0]), np.int8), edges), shape=alike.shape), directed=False)
    return np.asarray(linked, np.int64)


def _leaves(directions: Tensor, photos: Numbers) -> Iterator[Numbers]:
    """Yield which of the `photos` (m,) of a catalog are to be compared with each other, as places among these m.

    All at once up to `EXACT` of them, else the leaves of one tree after another.
    """
    count = len(photos)
    if count <= EXACT:
        if count:
            yield np.arange(count)
        return
    rng = np.random.default_rng(0)
    levels = ceil(log2(count / LEAF))
    for _ in range(TREES):
        # Differences of photos point where photos differ; a line in any direction at all would hardly tell them apart.
        one, other = torch.from_numpy(photos[rng.integers(0, count, (2, levels))])
        heights = (directions @ (directions[one] - directions[other]).T).numpy()[photos]
        ties = rng.random(count)
        node = np.zeros(count, np.int64)
        for level in range(levels):
            order = np.lexsort((ties, heights[:, level], node))
            node[order] = np.arange(count) * 2 ** (level + 1) // count
        order = np.argsort(node, kind="stable")
        yield from np.split(order, np.flatnonzero(np.diff(node[order])) + 1)
