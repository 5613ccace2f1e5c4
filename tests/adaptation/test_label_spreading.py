"""Label spreading: photos that look alike agree, labels stay, and the result solves the linear system."""

import numpy as np
import pytest
from adaptation_helpers import WIDTH, confident, examples_of, examples_on, large_catalog, maps_of

from tagger.adaptation.label_spreading import spread_labels
from tagger.arrays import softmax
from tagger.inference.predictor import Features
from tagger.models.adapter import embed_maps
from tagger.models.neighbours import nearest

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("labelled", [0, 60, 300])
@pytest.mark.parametrize("repeated", [False, True])
def test_the_fixed_point_solves_the_linear_system(labelled: int, repeated: bool) -> None:
    """The iteration ends at the solution of the dense system, also where all photos are equal and their own weight is small."""
    features, classes = large_catalog(300)
    maps = np.tile(features.maps[:15], (20, 1)) if repeated else features.maps
    examples = examples_of(np.arange(300)[:labelled], classes) if labelled else None
    cosines, numbers = found = nearest(embed_maps(maps), 10)
    weights = np.zeros((300, 300))
    np.put_along_axis(weights, numbers, np.exp((cosines - 1) / 0.1), 1)
    total = weights.sum(1, keepdims=True) + 0.15
    system, constant = np.eye(300) - weights / total, 0.15 * features.probabilities / total
    if examples is not None:
        fixed = examples.photos
        system[fixed], constant[fixed] = 0.0, 0.0
        system[fixed, fixed], constant[fixed, examples.classes] = 1.0, 1.0
    solved = np.linalg.solve(system, constant)
    assert np.allclose(spread_labels(features.probabilities, found, examples), solved, rtol=0, atol=3e-6)


def test_an_uncertain_photo_takes_the_label_of_its_neighbours() -> None:
    """One photo that the network gets wrong is corrected by those that look like it, unless its own weight is great."""
    kinds = [0] * 8 + [1] * 8
    probabilities = confident(kinds)
    probabilities[0] = [0.30, 0.45, 0.20, 0.05]
    neighbours = nearest(embed_maps(maps_of(kinds)), 5)
    assert spread_labels(probabilities, neighbours)[:, :-1].argmax(1).tolist() == kinds
    assert int(spread_labels(probabilities, neighbours, self_weight=100.0)[0].argmax()) == 1


def test_labelled_photos_keep_their_labels() -> None:
    """A label stands against the network and all neighbours, and rows stay probabilities."""
    kinds = [0] * 8
    examples = examples_on([3], [1], ("a", "b"), (0, 1))
    result = spread_labels(confident(kinds, 3), nearest(embed_maps(maps_of(kinds)), 5), examples)
    assert result[3].tolist() == [0.0, 1.0, 0.0]
    assert np.allclose(result.sum(1), 1)
    assert result.dtype == np.float32


def test_photos_without_similar_ones_are_unchanged() -> None:
    """Where no photo resembles another the probabilities stay."""
    probabilities = softmax(np.random.default_rng(1).standard_normal((10, 4)))
    features = Features(probabilities, np.eye(10, WIDTH, dtype=np.float32))
    assert np.allclose(spread_labels(probabilities, features.neighbours), probabilities, atol=0.02)
