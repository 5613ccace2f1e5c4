"""Shop adapters: translation, head, pseudo-labels, memory, temperature."""

from collections.abc import Sequence

import numpy as np
import pytest
from adaptation_helpers import confident, examples_of, examples_on, large_catalog, maps_of

from tagger.adaptation import fit
from tagger.adaptation.fit import (
    balanced_subset,
    confidence_keeping_temperature,
    fit_adapter,
    fit_head,
    fit_translation,
    with_pseudo_labels,
)
from tagger.arrays import Classes, Float32s, softmax
from tagger.inference.predictor import Features
from tagger.models import neighbours
from tagger.models.adapter import ShopAdapter, apply_temperature

pytestmark = pytest.mark.usefixtures("one_thread")


def predicted(adapter: ShopAdapter, features: Features) -> list[int]:
    """Return the most probable label of each photo."""
    return adapter.predict(features.probabilities, features.maps)[:, :-1].argmax(1).tolist()


# Labels


def test_a_label_split_from_another_leaves_that_one_right() -> None:
    """Photos to which the network gives another label get the shop's own, and correct uses of that other label stay."""
    kinds = [0, 1, 2, 3] * 12
    features = Features(confident([kind % 3 for kind in kinds]), maps_of(kinds))  # the network gives kind 3 the first label
    labelled = [number for number, kind in enumerate(kinds) if kind == 3][:5]
    adapter = fit_adapter(features, examples_on(labelled, [3] * 5, ("a", "b", "c", "skirt"), (0, 1, 2, -1)))
    assert predicted(adapter, features) == kinds


def test_a_label_of_the_shops_own_is_learned_and_others_stay() -> None:
    """What the network calls none becomes a label, and labels that the table does not name stay as accurate."""
    kinds = [0, 1, 2, 3] * 10
    features = Features(confident(kinds), maps_of(kinds))
    belts = [number for number, kind in enumerate(kinds) if kind == 3]
    adapter = fit_adapter(features, examples_on(belts[:5], [3] * 5, ("a", "b", "c", "belt"), (0, 1, 2, -1)))
    assert predicted(adapter, features) == kinds


def test_photos_labelled_as_none_lower_all_labels() -> None:
    """Photos that resemble those labelled `-` are more likely none of the labels."""
    kinds = [0, 1] * 10
    features = Features(confident([0] * 20), maps_of(kinds))
    adapter = fit_adapter(features, examples_on([0, 2, 4, 1, 3, 5], [0, 0, 0, 2, 2, 2], ("a", "b"), (0, 1)))
    # The network has three labels and this shop two: the third one's probability goes to none.
    none = adapter.predict(features.probabilities, features.maps)[:, -1]
    assert none[1::2].min() > 0.5 > none[0::2].max()


def test_predictions_are_probabilities_and_keep_labels() -> None:
    """Every row sums to 1, and labelled photos get their labels even where the network was wrong on all of them."""
    kinds = [0, 1, 2] * 6
    features = Features(confident([(kind + 1) % 3 for kind in kinds]), maps_of(kinds))
    adapter = fit_adapter(features, examples_on(range(9), kinds[:9], ("a", "b", "c"), (0, 1, 2)))
    probabilities = adapter.predict(features.probabilities, features.maps)
    assert np.allclose(probabilities.sum(1), 1, atol=1e-4)
    assert probabilities[:9, :-1].argmax(1).tolist() == kinds[:9]


def test_caution_gives_neighbours_less_weight() -> None:
    """An uncertain photo between certain ones follows them, and keeps its own label in a cautious adaptation."""
    kinds = [0] * 8 + [1] * 8
    probabilities = confident(kinds)
    probabilities[0] = [0.05, 0.9, 0.03, 0.02]
    features = Features(probabilities, maps_of(kinds))
    remembered = [fit_adapter(features, cautious=cautious).memory_probabilities[0, 1].item() for cautious in (False, True)]
    assert remembered[0] < 0.5 < remembered[1]


# Translation


def test_a_label_without_photos_is_known_by_its_name() -> None:
    """Rows of the translation are probabilities, and a label of the same name has the greatest."""
    features = Features(confident([0, 1, 2]), maps_of([0, 1, 2]))
    rows = fit_translation(features.probabilities, examples_on([0], [0], ("a", "b", "c"), (0, 1, 2)))
    assert np.allclose(rows.sum(1), 1)
    assert rows.argmax(1).tolist() == [0, 1, 2, 3]


def test_a_label_without_a_photo_left_gets_a_uniform_distribution() -> None:
    """A fold may leave a label of the shop's own without any photo: its translation stays finite."""
    rows = fit_translation(confident([0, 1, 2]), examples_on([0], [0], ("a", "b", "skirt"), (0, 1, -1)))
    assert np.isfinite(rows).all()
    assert np.allclose(rows.sum(1), 1)


def test_each_label_is_translated_by_its_own_photos() -> None:
    """The translation follows Bayes' rule with a pseudo-count of 20 for the label of the same name."""
    probabilities = np.array([[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 1, 0]], np.float32)
    rows = fit_translation(probabilities, examples_on([0, 1, 2], [1, 1, 0], ("a", "b"), (0, 1)))
    likelihood = np.array([[20 / 21, 2 / 22, 0], [1 / 21, 20 / 22, 0], [0, 0, 1]]) + 1e-4
    assert np.allclose(rows, likelihood / likelihood.sum(1, keepdims=True), atol=1e-5)


# Head


def uneven(counts: Sequence[int]) -> tuple[Float32s, Classes]:
    """Return overlapping inputs (n, 2) of two classes with these numbers of examples, and the classes."""
    classes = np.repeat([0, 1], counts)
    noise = np.random.default_rng(5).standard_normal((len(classes), 2), np.float32)
    return noise + 1.5 * np.eye(2, dtype=np.float32)[classes], classes


def test_repeated_examples_change_nothing() -> None:
    """The loss is a mean over the examples: all of them given twice or three times, the same strength gives the same head."""
    inputs, classes = uneven((12, 5))
    offset = np.zeros((len(classes), 2), np.float32)
    weight, bias = fit._fit_softmax_regression(inputs, offset, classes, 1e-2)
    for times in (2, 3):
        repeated = np.tile(np.arange(len(classes)), times)
        again = fit._fit_softmax_regression(inputs[repeated], offset[repeated], classes[repeated], 1e-2)
        assert np.allclose(again[0], weight, atol=1e-3)
        assert np.allclose(again[1], bias, atol=1e-3)


def test_sample_weights_sum_to_one() -> None:
    """The strength is relative to the mean loss over classes: the gradient at the solution balances exactly that."""
    inputs, classes = uneven((40, 4))
    offset = np.zeros((len(classes), 2), np.float32)
    weight, bias = fit._fit_softmax_regression(inputs, offset, classes, 1e-2)
    errors = softmax(inputs @ weight + bias) - np.eye(2)[classes]
    errors /= 2 * np.bincount(classes)[classes][:, None]
    assert np.abs(inputs.T @ errors + 2e-2 * weight).max() < 1e-4
    assert np.abs(errors.sum(0) + 2e-2 * bias).max() < 1e-4


def test_rare_classes_weigh_as_much_as_frequent_ones() -> None:
    """Repeating one class alone leaves the decision where it was."""
    inputs, classes = uneven((10, 10))
    more = np.concatenate([inputs, *[inputs[:10]] * 9]), np.concatenate([classes, *[classes[:10]] * 9])
    once, often = (
        fit._fit_softmax_regression(rows, np.zeros((len(of), 2), np.float32), of, 1e-2)
        for rows, of in ((inputs, classes), more)
    )
    assert np.allclose(once[0], often[0], atol=1e-3)
    assert np.allclose(once[1], often[1], atol=1e-3)


def test_a_stronger_regularisation_gives_smaller_weights() -> None:
    """The head's weights shrink with the strength."""
    kinds = [0, 1, 2, 3] * 10
    features = Features(confident([kind % 3 for kind in kinds]), maps_of(kinds))
    examples = examples_on(range(40), kinds, ("a", "b", "c", "d"), (0, 1, 2, -1))
    norms = [float(np.linalg.norm(fit_head(features, examples, strength).weight)) for strength in (1e-4, 1e-3, 1e-2)]
    assert norms == sorted(norms, reverse=True)
    assert norms[0] > 1.5 * norms[-1]


def test_pseudo_labels_fill_up_labels_with_few_photos() -> None:
    """Only confident photos without a label are used, up to 20 per label with the labelled ones, and none of the shop's own."""
    classes = [0] * 40 + [1] * 5 + [2] * 3
    probabilities = confident(classes)
    probabilities[10] = [0.79, 0.11, 0.05, 0.05]
    examples = examples_on([0, 1, 2, 45], [0, 0, 0, 2], ("a", "b", "skirt"), (0, 1, -1))
    photos, labels = with_pseudo_labels(probabilities, examples)
    assert np.bincount(labels).tolist() == [20, 5, 1]
    assert photos[:4].tolist() == [0, 1, 2, 45]
    assert len(set(photos.tolist())) == len(photos)
    assert 10 not in photos
    assert set(photos[labels == 1].tolist()) == set(range(40, 45))


# Memory and temperature


def test_rare_labels_are_remembered_whole() -> None:
    """Above the maximum frequent labels give up photos first, and those that stay are spread over the catalog."""
    classes = np.array([0] * 500 + [1] * 20 + [2] * 300)
    kept = balanced_subset(classes, 220)
    assert np.bincount(classes[kept]).tolist() == [100, 20, 100]
    assert kept.tolist() == sorted(set(kept.tolist()))
    assert kept[0] == 0
    assert kept[-1] == 819
    assert balanced_subset(classes, 820).tolist() == list(range(820))


def test_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """An adapter remembers so many photos and no more, at hardly any loss of accuracy."""
    features, classes = large_catalog(900)
    examples = examples_of(np.arange(900), classes)
    whole = fit_adapter(features, examples, 1e-3)
    monkeypatch.setattr(fit, "MAX_MEMORY", 300)
    fewer = fit_adapter(features, examples, 1e-3)
    assert (len(whole.memory), len(fewer.memory), len(fewer.memory_probabilities)) == (900, 300, 300)
    accuracy = [float(np.mean(predicted(adapter, features) == classes)) for adapter in (whole, fewer)]
    assert accuracy[1] > accuracy[0] - 0.05


def test_large_catalogs_are_tagged_as_by_all_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    """With approximate neighbours the accuracy differs by at most 0.002 from that with all pairs."""
    features, classes = large_catalog(1500)
    examples = examples_of(np.arange(0, 1500, 10), classes)
    accuracy = []
    for exact in (100, 10_000):
        monkeypatch.setattr(neighbours, "EXACT", exact)
        monkeypatch.setattr(neighbours, "LEAF", 200)
        fresh = Features(features.probabilities, features.maps)  # whose neighbours are not found yet
        adapter = fit_adapter(fresh, examples, 1e-3)
        accuracy.append(float(np.mean(predicted(adapter, fresh) == classes)))
    assert accuracy[1] > 0.9
    assert accuracy[0] == pytest.approx(accuracy[1], abs=0.002)


def test_without_labels_confidence_stays_as_it_was() -> None:
    """At the temperature found, the mean confidence is that of the network, although neighbours have softened it."""
    features, _ = large_catalog(200)
    adapter = fit_adapter(features)
    temperature = confidence_keeping_temperature(features, adapter)
    probabilities = adapter.predict(features.probabilities, features.maps)
    wanted = float(features.probabilities[:, :-1].max(1).mean())
    assert float(apply_temperature(probabilities, temperature)[:, :-1].max(1).mean()) == pytest.approx(wanted, abs=1e-4)
    assert temperature != pytest.approx(1.0, abs=0.01)
