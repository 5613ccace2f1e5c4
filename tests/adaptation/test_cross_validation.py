"""Cross-validation over whole products."""

import numpy as np
import pytest
from adaptation_helpers import confident, examples_on, maps_of

from tagger.adaptation import cross_validation
from tagger.adaptation.cross_validation import cross_validate
from tagger.adaptation.examples import LabelledExamples
from tagger.adaptation.fit import STRENGTHS, STRENGTHS_BESIDE_MEANS, fit_adapter
from tagger.arrays import Classes
from tagger.inference.predictor import Features

pytestmark = pytest.mark.usefixtures("one_thread")

KINDS = [0, 1] * 12

PRODUCTS = np.arange(24) // 4 * 2 + np.array(KINDS)


def examples_in_products() -> LabelledExamples:
    """Return 24 labelled photos of 12 products."""
    return examples_on(range(24), KINDS, ("a", "b"), (0, 1), PRODUCTS.tolist())


def test_no_product_is_on_both_sides_of_a_split() -> None:
    """Each fold leaves whole products out, and every labelled photo is left out exactly once."""
    features = Features(confident(KINDS), maps_of(KINDS))
    folds: list[Classes] = []

    def features_without(left_out: Classes) -> Features:
        folds.append(left_out)
        return features

    validation = cross_validate(features_without, examples_in_products())
    assert validation is not None
    assert sorted(np.concatenate(folds)) == list(range(24))
    for left_out in folds:
        assert not set(PRODUCTS[left_out]) & set(np.delete(PRODUCTS, left_out))


def test_photos_are_tagged_by_adapters_that_do_not_know_their_product(monkeypatch: pytest.MonkeyPatch) -> None:
    """The examples of a fold's adapter share no product with the photos that it is validated on."""
    features = Features(confident(KINDS), maps_of(KINDS))
    validated: list[set[int]] = []
    trained: list[set[int]] = []

    def recorded(features: Features, rest: LabelledExamples, *more: object) -> object:
        trained.append(set(rest.products.tolist()))
        return fit_adapter(features, rest, *more)  # type: ignore[arg-type]

    def features_without(left_out: Classes) -> Features:
        validated.append(set(PRODUCTS[left_out].tolist()))
        return features

    monkeypatch.setattr(cross_validation, "fit_adapter", recorded)
    validation = cross_validate(features_without, examples_in_products())
    assert validation is not None
    assert len(validated) == len(trained) > 1
    assert all(not one & other for one, other in zip(validated, trained, strict=True))
    assert np.allclose(validation.probabilities.sum(1), 1, atol=1e-4)
    assert validation.validated.tolist() == list(range(24))


def test_one_product_per_label_cannot_be_validated() -> None:
    """Where no label has photos of two products the result is None."""
    features = Features(confident([0, 0, 1, 1]), maps_of([0, 0, 1, 1]))
    examples = examples_on(range(4), [0, 0, 1, 1], ("a", "b"), (0, 1), [0, 0, 1, 1])
    assert cross_validate(lambda left_out: features, examples) is None


def test_a_label_with_one_product_is_in_no_fold() -> None:
    """Its photos are not validated, as no adapter could know the label without them; the others are."""
    kinds = [*KINDS, 2, 2]
    features = Features(confident(kinds), maps_of(kinds))
    examples = examples_on(range(26), kinds, ("a", "b", "c"), (0, 1, 2), [*PRODUCTS.tolist(), 99, 99])
    validation = cross_validate(lambda left_out: features, examples)
    assert validation is not None
    assert validation.validated.tolist() == list(range(24))
    assert (validation.probabilities[24:] == 0).all()


@pytest.mark.slow
def test_the_strength_fits_how_much_the_examples_tell() -> None:
    """Labels that the features do not explain are regularised more than labels that they determine."""
    rng = np.random.default_rng(0)
    kinds = rng.integers(0, 2, 60)
    noise = rng.integers(0, 2, 60)
    features = Features(np.full((60, 3), 1 / 3, np.float32), maps_of(kinds.tolist(), noise=0.3))
    strengths = []
    for classes in (kinds, noise):
        validation = cross_validate(lambda left_out: features, examples_on(range(60), classes.tolist(), ("a", "b"), (-1, -1)))
        assert validation is not None
        strengths.append(validation.strength)
    assert strengths[0] < strengths[1] == STRENGTHS[-1]


@pytest.mark.slow
def test_fewer_strengths_beside_a_backbone() -> None:
    """Labels that tell nothing, regularised as strongly as possible, get the greatest of a backbone's own strengths."""
    rng = np.random.default_rng(0)
    kinds, noise = rng.integers(0, 2, 60).tolist(), rng.integers(0, 2, 60).tolist()
    features = Features(np.full((60, 3), 1 / 3, np.float32), maps_of(kinds, noise=0.3), np.zeros((60, 4), np.uint8))
    validation = cross_validate(lambda left_out: features, examples_on(range(60), noise, ("a", "b"), (-1, -1)))
    assert validation is not None
    assert validation.strength == STRENGTHS_BESIDE_MEANS[-1] < STRENGTHS[-1]


def test_many_examples_are_sampled_for_the_strength(monkeypatch: pytest.MonkeyPatch) -> None:
    """The strength is chosen on a bounded number of examples, and all of them are validated all the same."""
    monkeypatch.setattr(cross_validation, "MAX_STRENGTH_EXAMPLES", 12)
    seen: list[int] = []
    original = cross_validation.fit_heads

    def counted(features: Features, rest: LabelledExamples, strengths: tuple[float, ...]) -> object:
        seen.append(len(rest.photos))
        return original(features, rest, strengths)

    monkeypatch.setattr(cross_validation, "fit_heads", counted)
    features = Features(confident(KINDS), maps_of(KINDS))
    validation = cross_validate(lambda left_out: features, examples_in_products())
    assert validation is not None
    assert seen
    assert max(seen) <= 12
    assert validation.validated.tolist() == list(range(24))
