"""An embedding is taken apart into what each expert made of the product."""

import numpy as np
import pytest
from bundle_helpers import product_images
from fusion_helpers import FEATURES, person_image, random_fusion

from tagger.arrays import softmax
from tagger.data.labels import GROUPS
from tagger.inference.experts import Experts, experts_of
from tagger.inference.fused import NATIVE, PLAIN, REGION_KINDS, kinds_of
from tagger.inference.predictor import _candidates
from tagger.models.imagenet import CLASSES, EVIDENCE, IMAGENET_CLASSES, LABELS
from tagger.records import RegionName

FUSION = random_fusion()

SMALL = softmax(np.random.default_rng(0).normal(0, 3, (1, EVIDENCE))).astype(np.float32)


def embedding(kind: int, logits: dict[int, float] | None = None) -> bytes:
    """Return the embedding of an image of some kind, with these logits of ImageNet's classes, the others 0."""
    features = np.random.default_rng(1).uniform(0, 40, (1, FEATURES)).astype(np.float32)
    seen = np.zeros((1, IMAGENET_CLASSES), np.float32)
    for place, value in (logits or {}).items():
        seen[0, place] = value
    return FUSION.embed(SMALL, features, seen, np.array([kind], np.uint8)).tobytes()


def taken_apart(kind: int, logits: dict[int, float] | None = None) -> Experts:
    """Return the experts of an image of some kind."""
    return experts_of(FUSION, embedding(kind, logits), GROUPS)


def test_the_small_network_is_kept_as_it_was() -> None:
    """Its probabilities are those that were packed, to what a float16 of their logarithms holds."""
    assert np.allclose(taken_apart(PLAIN).small, SMALL[0], rtol=0.01, atol=1e-6)


@pytest.mark.parametrize("label", [label for label in LABELS if label != "Shirt"])
def test_a_class_of_imagenet_counts_for_its_label(label: str) -> None:
    """Where ImageNet is sure of a class, its label has nearly all, and none of these next to nothing."""
    seen = taken_apart(PLAIN, {CLASSES[label][0]: 20.0}).imagenet
    assert seen is not None
    assert LABELS[seen[:-1].argmax()] == label
    assert seen[:-1].max() > 0.95
    assert seen[-1] < 0.01


def test_other_classes_of_imagenet_count_for_none_of_these() -> None:
    """Where ImageNet is sure of something that no label has, none of these has nearly all."""
    seen = taken_apart(PLAIN, {0: 20.0}).imagenet
    assert seen is not None
    assert seen[-1] > 0.95
    assert seen[:-1].max() < 0.01


def test_probabilities_sum_to_one() -> None:
    """Those of the head and of all together; with none of these there are as many as outputs."""
    experts = taken_apart(PLAIN)
    assert experts.head is not None
    for values in (experts.head, experts.together):
        assert values.shape == (EVIDENCE,)
        assert values.sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("region", REGION_KINDS)
def test_the_part_of_a_person_is_named(region: RegionName) -> None:
    """As the image that was embedded has it."""
    (image,) = (one for one in _candidates(person_image()) if one.region == region)
    experts = taken_apart(int(kinds_of([image])[0]))
    assert (experts.region, experts.native) == (region, False)
    assert taken_apart(PLAIN).region is None


def test_a_native_image_was_seen_by_the_small_network_alone() -> None:
    """The backbone's experts are left out, and the answer is the small network's."""
    experts = taken_apart(int(kinds_of(product_images(1))[0]))
    assert taken_apart(NATIVE).native
    assert experts.native
    assert experts.imagenet is None
    assert experts.head is None
    assert np.array_equal(experts.together, experts.small)


@pytest.mark.parametrize("wrong", [b"", b"\0", embedding(PLAIN) + b"\0"])
def test_another_length_is_refused(wrong: bytes) -> None:
    """An embedding of another bundle cannot be read."""
    with pytest.raises(ValueError, match=f"of {len(wrong)} bytes, and not of {FUSION.size}"):
        experts_of(FUSION, wrong, GROUPS)
