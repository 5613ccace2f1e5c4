"""Label spreading: photos that look alike agree, labels stay, and the result solves the linear system."""

import numpy as np
import pytest
import torch
from adaptation_helpers import WIDTH, confident, examples_of, examples_on, large_catalog, maps_of

from tagger.adaptation.label_spreading import spread_labels
from tagger.inference.predictor import Features
from tagger.models.adapter import embed_maps
from tagger.models.neighbours import nearest

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("labelled", [0, 60, 300])
@pytest.mark.parametrize("repeated", [False, True])
def test_the_fixed_point_solves_the_linear_system(labelled: int, repeated: bool) -> None:
    """The iteration ends at the solution of the dense system, also where all photos are equal and their own weight is small."""
    features, classes = large_catalog(300)
    maps = features.maps[:15].repeat(20, 1) if repeated else features.maps
    examples = examples_of(np.arange(300)[:labelled], classes) if labelled else None
    cosines, numbers = found = nearest(embed_maps(maps), 10)
    weights = torch.zeros(300, 300, dtype=torch.float64).scatter_(1, numbers, ((cosines - 1) / 0.1).exp().double())
    total = weights.sum(1, keepdim=True) + 0.15
    system, constant = torch.eye(300) - weights / total, 0.15 * features.probabilities / total
    if examples is not None:
        fixed = torch.from_numpy(examples.photos)
        system[fixed], constant[fixed] = 0.0, 0.0
        system[fixed, fixed], constant[fixed, torch.from_numpy(examples.classes)] = 1.0, 1.0
    solved = torch.linalg.solve(system, constant)
    assert torch.allclose(spread_labels(features.probabilities, found, examples).double(), solved, atol=3e-6)


def test_an_uncertain_photo_takes_the_label_of_its_neighbours() -> None:
    """One photo that the network gets wrong is corrected by those that look like it, unless its own weight is great."""
    kinds = [0] * 8 + [1] * 8
    probabilities = confident(kinds)
    probabilities[0] = torch.tensor([0.30, 0.45, 0.20, 0.05])
    neighbours = nearest(embed_maps(maps_of(kinds)), 5)
    assert spread_labels(probabilities, neighbours)[:, :-1].argmax(1).tolist() == kinds
    assert int(spread_labels(probabilities, neighbours, self_weight=100.0)[0].argmax()) == 1


def test_labelled_photos_keep_their_labels() -> None:
    """A label stands against the network and all neighbours, and rows stay probabilities."""
    kinds = [0] * 8
    examples = examples_on([3], [1], ("a", "b"), (0, 1))
    result = spread_labels(confident(kinds, 3), nearest(embed_maps(maps_of(kinds)), 5), examples)
    assert result[3].tolist() == [0.0, 1.0, 0.0]
    assert torch.allclose(result.sum(1), torch.ones(8))
    assert result.dtype == torch.float32


def test_photos_without_similar_ones_are_unchanged() -> None:
    """Where no photo resembles another the probabilities stay."""
    probabilities = torch.softmax(torch.randn(10, 4, generator=torch.Generator().manual_seed(1)), 1)
    features = Features(probabilities, torch.eye(10, WIDTH))
    assert torch.allclose(spread_labels(probabilities, features.neighbours), probabilities, atol=0.02)
