"""Class means: where the labels of a catalog are, in the features of a backbone."""

from dataclasses import replace

import numpy as np
import pytest
from adaptation_helpers import confident, examples_on, maps_of

from tagger.adaptation.class_means import with_class_means
from tagger.adaptation.fit import fit_adapter, fit_head, with_pseudo_labels
from tagger.arrays import Float32s
from tagger.inference.predictor import Features
from tagger.models.adapter import ShopAdapter, centre_and_spread

pytestmark = pytest.mark.usefixtures("one_thread")


def backbone_features(probabilities: Float32s, maps: Float32s) -> Features:
    """Return features as a bundle with a backbone gives them."""
    return Features(probabilities, maps, np.zeros((len(maps), 4), np.uint8))


def without_head(features: Features) -> ShopAdapter:
    """Return an adapter whose head adds nothing."""
    (ends, d), (centre, spread) = (features.probabilities.shape[1], features.maps.shape[1]), centre_and_spread(features.maps)
    return ShopAdapter(
        *(centre, spread, np.eye(ends, dtype=np.float32), np.zeros((d, ends), np.float32), np.zeros(ends, np.float32)),
        *(np.zeros((0, d), np.float16), np.zeros((0, ends), np.float16)),
    )


def tags(adapter: ShopAdapter, features: Features) -> list[int]:
    """Return the most probable label of each photo by the head alone."""
    return adapter.head_probabilities(features.probabilities, adapter.embed(features.maps))[:, :-1].argmax(1).tolist()


def test_photos_near_the_others_of_a_label_get_it() -> None:
    """Photos that the network gives a wrong label, not too surely, are right by their neighbours in feature space, also new."""
    kinds = [0, 1, 2] * 20
    probabilities = confident(kinds)
    wrong = [3, 10, 41]
    probabilities[wrong] = [[0.6, 0.3, 0.05, 0.05] if kinds[photo] else [0.3, 0.6, 0.05, 0.05] for photo in wrong]
    features = backbone_features(probabilities, maps_of(kinds, noise=0.6))
    adapter = with_class_means(without_head(features), features)
    assert [tags(without_head(features), features)[photo] == kinds[photo] for photo in wrong] != [True] * 3
    assert tags(adapter, features) == kinds
    new = backbone_features(np.full((30, 4), 0.25, np.float32), maps_of(kinds[:30], noise=0.6, seed=7))
    assert tags(adapter, new) == kinds[:30]


def test_a_label_that_the_catalog_lacks_has_no_mean() -> None:
    """In a catalog of one label the tags stay, and the mean of an absent label is short."""
    kinds = [0] * 40
    probabilities = confident(kinds)
    features = backbone_features(probabilities, maps_of(kinds, noise=1.0))
    adapter = with_class_means(without_head(features), features)
    assert tags(adapter, features) == kinds
    assert np.linalg.norm(adapter.weight[:, 1:-1], axis=0).max() < 5


def test_none_has_no_mean() -> None:
    """The last column stays as it is, and photos of none of the labels move no mean."""
    kinds = [0, 1] * 10
    mixed = [*kinds, *[3] * 30]
    features = backbone_features(confident(mixed), maps_of(mixed))
    adapter = with_class_means(without_head(features), features)
    assert (adapter.weight[:, -1] == 0).all()
    assert adapter.bias[-1] == 0
    head = adapter.head_probabilities(features.probabilities, adapter.embed(features.maps))
    assert np.allclose(head[:, -1], features.probabilities[:, -1], atol=1e-4)


def test_labelled_photos_keep_their_labels() -> None:
    """Labelled photos move the mean of their label to where the network would not look for it."""
    kinds = [0, 1, 2] * 10
    features = backbone_features(confident([0] * 30), maps_of(kinds))
    examples = examples_on(range(9), kinds[:9], ("a", "b", "c"), (0, 1, 2))
    adapter = with_class_means(replace(without_head(features), prior_weight=np.full(1, 0.1, np.float32)), features, examples)
    assert tags(adapter, features) == kinds


def test_only_bundles_with_a_backbone_have_class_means() -> None:
    """The head of a bundle without a backbone is zero without labels, and its prior has the weight 1."""
    kinds = [0, 1, 2] * 10
    examples = examples_on(range(9), kinds[:9], ("a", "b", "c"), (0, 1, 2))
    alone, beside = Features(confident(kinds), maps_of(kinds)), backbone_features(confident(kinds), maps_of(kinds))
    assert not fit_adapter(alone).weight.any()
    assert fit_adapter(beside).weight.any()
    assert fit_head(alone, examples, 1e-3).prior_weight[0] == 1 > fit_head(beside, examples, 1e-3).prior_weight[0]
    assert fit_adapter(beside).prior_weight[0] == 1  # without labels nothing shows that the network is too sure


def test_pseudo_labels_beside_labelled_photos_are_surer() -> None:
    """A label with a labelled photo is filled up with photos of the probability `sure` or more, one without as ever."""
    probabilities = confident([0] * 40 + [1] * 40)
    unsure = probabilities.copy()
    unsure[10] = [0.85, 0.05, 0.05, 0.05]
    examples = examples_on([0], [0], ("a", "b"), (0, 1))
    photos, labels = with_pseudo_labels(unsure[:12], examples, sure=0.8)
    assert 10 in photos[labels == 0]
    assert 10 not in with_pseudo_labels(unsure[:12], examples, sure=0.86)[0]
    labels = with_pseudo_labels(probabilities, examples, sure=2)[1]
    assert np.bincount(labels).tolist() == [1, 20]
