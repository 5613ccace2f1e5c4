"""Label spreading among the photos of a catalog that look alike.

Zhou, Bousquet, Lal, Weston and Schoelkopf 2003, "Learning with local and global consistency", on a graph of nearest neighbours.
"""

import numpy as np
from scipy.sparse import csr_matrix

from tagger.adaptation.examples import LabelledExamples
from tagger.arrays import Float32s
from tagger.models.neighbours import Neighbours

KERNEL_WIDTH, SELF_WEIGHT = 0.1, 0.15
"""Edge weights are exp((cosine - 1) / KERNEL_WIDTH), and a photo's own probabilities weigh SELF_WEIGHT. Both are wider than
`tagger.models.adapter.WIDTH` and `OWN`: photos of one catalog differ less in what else a photo shows."""

TOLERANCE = 1e-6
"""Greatest error of a probability, a hundredth of the resolution of the float16 in which it is stored."""


def spread_labels(
    probabilities: Float32s, neighbours: Neighbours, examples: LabelledExamples | None = None, self_weight: float = SELF_WEIGHT
) -> Float32s:
    """Return the probabilities (n, K + 1) of a catalog's photos smoothed over their neighbours, float32.

    The fixed point of the weighted mean of a photo's own probabilities, with weight `self_weight`, and its neighbours' smoothed
    ones. Labelled photos keep their labels. The iteration converges, as the photo's own probabilities have a positive weight.
    """
    count, k = neighbours.cosines.shape
    weights = np.exp((neighbours.cosines - 1) / KERNEL_WIDTH).astype(np.float64)
    total = weights.sum(1, keepdims=True) + self_weight
    labelled = np.zeros(count, bool)
    result = probabilities.astype(np.float64)
    if examples is not None:
        labelled[examples.photos] = True
        result[labelled] = 0.0
        result[examples.photos, examples.classes] = 1.0
    columns, row_starts = neighbours.numbers.ravel(), np.arange(count + 1) * k
    transition = csr_matrix(((weights / total).ravel(), columns, row_starts), shape=(count, count))
    free = np.flatnonzero(~labelled)
    if not len(free):
        return result.astype(np.float32)
    from_labelled, from_free = transition[free][:, np.flatnonzero(labelled)], transition[free][:, free]
    constant = (self_weight / total)[free] * result[free] + from_labelled @ result[labelled]
    rate = float(from_free.sum(1).max())  # an iteration leaves at most this fraction of the error
    current, change = result[free], np.inf
    while change * rate > TOLERANCE * (1 - rate):
        previous, current = current, constant + from_free @ current
        change = float(np.abs(current - previous).max())
    result[free] = current
    return result.astype(np.float32).clip(0, 1)
