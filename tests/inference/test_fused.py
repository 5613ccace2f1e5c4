"""Probabilities from embeddings follow the kind of the image: a photo, a part of a person, Fashion-MNIST's own format."""
# ruff: noqa: SIM300 - the expected value stands first, as in every test here

import numpy as np
import pytest
from bundle_helpers import product_images
from fusion_helpers import FEATURES, coloured_images, person_image, random_fusion

from tagger.arrays import softmax
from tagger.data.labels import GROUPS
from tagger.inference.fused import NATIVE, PLAIN, REGION_KINDS, fused_probabilities, kinds_of
from tagger.inference.predictor import _candidates
from tagger.inference.regions import impossible_labels
from tagger.models.fusion import Embeddings
from tagger.models.imagenet import EVIDENCE, IMAGENET_CLASSES
from tagger.records import RegionName

FUSION = random_fusion()

COUNT = 40


def embeddings(kind: int) -> Embeddings:
    """Return embeddings of the same random evidence for a kind of image."""
    rng = np.random.default_rng(0)
    features = rng.uniform(0, 40, (COUNT, FEATURES)).astype(np.float32)
    logits = rng.normal(0, 3, (COUNT, IMAGENET_CLASSES)).astype(np.float32)
    return FUSION.embed(softmax(rng.normal(0, 3, (COUNT, EVIDENCE))), features, logits, np.full(COUNT, kind, np.uint8))


def test_kinds_are_told_by_the_image() -> None:
    """Each part of a person has its own number, and no two kinds have the same."""
    images = [*product_images(1), *coloured_images(1), *_candidates(person_image())]
    kinds = [NATIVE, PLAIN, REGION_KINDS["upper"], REGION_KINDS["lower"], REGION_KINDS["whole"]]
    assert kinds == kinds_of(images).tolist()
    assert np.uint8 == kinds_of(images).dtype
    assert 5 == len(set(kinds))
    assert (0,) == kinds_of([]).shape


def test_stored_numbers_of_kinds_never_change() -> None:
    """They are in the ledgers."""
    assert (0, 1, {"upper": 2, "lower": 3, "whole": 4}) == (PLAIN, NATIVE, REGION_KINDS)


def test_photos_get_the_fusions_probabilities() -> None:
    """As they are."""
    packed = embeddings(PLAIN)
    assert np.array_equal(FUSION.probabilities(packed), fused_probabilities(FUSION, packed, GROUPS))


def test_native_images_keep_the_small_networks() -> None:
    """The backbone has not seen them."""
    packed = embeddings(NATIVE)
    assert np.array_equal(FUSION.small(packed), fused_probabilities(FUSION, packed, GROUPS))


@pytest.mark.parametrize("region", REGION_KINDS)
def test_a_part_of_a_person_is_nothing_that_it_cannot_show(region: RegionName) -> None:
    """Labels that it cannot show get 0, the others keep theirs, and none of them gets the rest."""
    packed = embeddings(REGION_KINDS[region])
    found, plain = fused_probabilities(FUSION, packed, GROUPS), FUSION.probabilities(packed)
    impossible = impossible_labels(region, list(GROUPS.values()))
    assert impossible.any()
    assert (found[:, :-1][:, impossible] == 0).all()
    assert np.array_equal(plain[:, :-1][:, ~impossible], found[:, :-1][:, ~impossible])
    assert np.allclose(1, found.sum(1), atol=1e-6)
    assert (found >= 0).all()


def test_rows_do_not_depend_on_their_company() -> None:
    """Kinds mixed in any order give each row the bits that it has alone."""
    mixed = np.concatenate([embeddings(kind) for kind in (PLAIN, NATIVE, *REGION_KINDS.values())])
    mixed = mixed[np.random.default_rng(1).permutation(len(mixed))]
    together = fused_probabilities(FUSION, mixed, GROUPS)
    for size in (1, 3, 64):
        parts = [fused_probabilities(FUSION, mixed[start : start + size], GROUPS) for start in range(0, len(mixed), size)]
        assert np.array_equal(together, np.concatenate(parts))
    assert (0, EVIDENCE) == fused_probabilities(FUSION, mixed[:0], GROUPS).shape


def test_the_embeddings_stay_as_they_are() -> None:
    """They may be the ledger's own bytes, which cannot be written to."""
    packed = np.frombuffer(embeddings(NATIVE).tobytes(), np.uint8).reshape(COUNT, -1)
    assert (COUNT, EVIDENCE) == fused_probabilities(FUSION, packed, GROUPS).shape
