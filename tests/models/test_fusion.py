"""What goes into an embedding comes out of it, and probabilities are the same bits in any company."""

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from fusion_helpers import FEATURES, STORED, random_fusion
from numpy.typing import NDArray

from tagger.arrays import Float32s, softmax
from tagger.models.fusion import LENGTH, MAX_SIZE, OF_EMBEDDING, PREFIX, Embeddings, Fusion
from tagger.models.imagenet import EVIDENCE, IMAGENET_CLASSES, evidence

COUNT = 150

FUSION = random_fusion()


def inputs(count: int = COUNT, seed: int = 0) -> tuple[Float32s, Float32s, Float32s, NDArray[np.uint8]]:
    """Return what `Fusion.embed` takes: probabilities of the small network, features, logits and kinds."""
    rng = np.random.default_rng(seed)
    small = softmax(rng.normal(0, 3, (count, EVIDENCE)))
    features = rng.uniform(0, 40, (count, FEATURES)).astype(np.float32)
    return small, features, rng.normal(0, 3, (count, IMAGENET_CLASSES)).astype(np.float32), np.arange(count, dtype=np.uint8)


def embeddings(count: int = COUNT, seed: int = 0) -> Embeddings:
    """Return embeddings of random evidence."""
    return FUSION.embed(*inputs(count, seed))


def test_embeddings_are_rows_of_bytes() -> None:
    """Each image has `size` bytes, at most 300 at the number of features that a training keeps."""
    assert ((COUNT, FUSION.size), np.uint8) == (embeddings().shape, embeddings().dtype)
    assert random_fusion(1_280, 240).size <= MAX_SIZE == 300
    assert (0, FUSION.size) == embeddings(0).shape


def test_what_goes_in_comes_out() -> None:
    """Kinds are kept; probabilities and evidence within the rounding of their logarithms to float16; features to 127 levels."""
    small, features, logits, kinds = inputs()
    packed = FUSION.embed(small, features, logits, kinds)
    assert np.array_equal(kinds, FUSION.kinds(packed))
    assert np.abs(np.log(small.clip(1e-7)) - np.log(FUSION.small(packed))).max() < 2**-7 + 1e-5
    assert np.abs(small - FUSION.small(packed)).max() < 1e-3
    assert np.abs(evidence(logits) - FUSION.imagenet(packed)).max() < 2**-8
    expected = (FUSION.normalized(features) - FUSION.mean) @ FUSION.projection
    expected *= LENGTH / np.linalg.norm(expected, axis=1, keepdims=True)
    found = FUSION.features(packed)
    assert ((COUNT, STORED), np.float32) == (found.shape, found.dtype)
    assert np.abs(expected - found).max() < LENGTH / 127
    assert np.allclose(LENGTH, np.linalg.norm(found, axis=1), atol=1e-5)


def test_normalized_features_are_signed_roots_of_length_1() -> None:
    """A feature far from its mean counts by the root of its distance; where all are at their means nothing is divided by 0."""
    features = FUSION.centre + FUSION.spread * np.array([0.0] * (FEATURES - 2) + [4.0, -9.0], np.float32)
    expected = np.array([0.0] * (FEATURES - 2) + [2, -3]) / 13**0.5
    assert np.allclose(expected, FUSION.normalized(features[None])[0], atol=1e-6)
    assert np.array_equal(np.zeros((1, FEATURES)), FUSION.normalized(FUSION.centre[None]))


def test_probabilities_are_the_formula() -> None:
    """Labels get a product of three experts to their powers, divided by the temperature; none of them a logistic regression."""
    packed = embeddings()
    small, seen = FUSION.small(packed).astype(float), FUSION.imagenet(packed).astype(float)
    scores = FUSION.features(packed).astype(float) @ FUSION.weight + FUSION.bias
    head = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    logs = 0.3 * np.log(small[:, :-1].clip(1e-4)) + 0.5 * seen[:, :-1] + 0.7 * np.log(head[:, :-1].clip(1e-4))
    odds = [np.log(p / (1 - p)) for p in (one.clip(1e-4, 1 - 1e-4) for one in (small[:, -1], np.exp(seen[:, -1]), head[:, -1]))]
    none = 1 / (1 + np.exp(-(0.5 * odds[0] - 0.5 * odds[1] + 0.3 * odds[2] - 1)))
    known = np.exp(logs / 1.5)
    known /= known.sum(1, keepdims=True)
    found = FUSION.probabilities(packed)
    assert ((COUNT, EVIDENCE), np.float32) == (found.shape, found.dtype)
    assert np.allclose(np.concatenate([known * (1 - none[:, None]), none[:, None]], 1), found, atol=1e-5)
    assert np.allclose(head, FUSION.head(packed), atol=1e-5)
    assert np.allclose(1, found.sum(1), atol=1e-5)
    assert none.min() < 0.2 < 0.6 < none.max()


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 17, 64, 65, 149])
def test_neither_way_depends_on_the_batch(size: int) -> None:
    """Embeddings of evidence, and probabilities of embeddings, are the same to the bit in parts of any size, in any order."""
    evidence_of_all, packed = inputs(), embeddings()
    found = FUSION.probabilities(packed)
    for start in range(0, COUNT, size):
        part = slice(start, start + size)
        assert np.array_equal(packed[part], FUSION.embed(*(one[part] for one in evidence_of_all)))
        assert np.array_equal(found[part], FUSION.probabilities(packed[part]))
        assert np.array_equal(FUSION.features(packed)[part], FUSION.features(packed[part]))
    order = np.random.default_rng(size).permutation(COUNT)
    assert np.array_equal(found[order], FUSION.probabilities(packed[order]))
    assert np.array_equal(packed[order], FUSION.embed(*(one[order] for one in evidence_of_all)))


def test_the_layout_of_memory_does_not_matter() -> None:
    """Views into larger arrays, and arrays in Fortran's order, give the same bits."""
    evidence_of_all, packed = inputs(), embeddings()
    assert np.array_equal(packed, FUSION.embed(*(np.asfortranarray(one) for one in evidence_of_all)))
    spaced = np.zeros((COUNT, 2 * FUSION.size), np.uint8)
    spaced[:, ::2] = packed
    assert np.array_equal(FUSION.probabilities(packed), FUSION.probabilities(spaced[:, ::2]))
    assert np.array_equal(FUSION.probabilities(packed), FUSION.probabilities(np.asfortranarray(packed)))


@pytest.mark.parametrize("factor", [0.0, 1e-30, 1e6, -1e6])
def test_extreme_features_give_probabilities(factor: float) -> None:
    """Pictures far from all others, black ones and those that the backbone has not seen have probabilities too."""
    small, features, logits, kinds = inputs(5)
    packed = FUSION.embed(small, features * np.float32(factor), logits * np.float32(abs(factor) ** 0.5), kinds)
    found = FUSION.probabilities(packed)
    assert np.isfinite(found).all()
    assert np.allclose(1, found.sum(1), atol=1e-5)
    assert np.isfinite(FUSION.features(packed)).all()


def test_certain_networks_leave_a_choice() -> None:
    """Probabilities of 0 and 1 exclude no label: another expert can still contradict."""
    small, features, logits, kinds = inputs(20)
    small[:] = np.eye(EVIDENCE)[0]
    found = FUSION.probabilities(FUSION.embed(small, features, logits, kinds))
    assert (found > 0).all()
    assert len(set(found.argmax(1))) > 1


def test_arrays_are_read_as_they_were_written() -> None:
    """A fusion read from a file's arrays, among those of the network, gives the same embeddings and probabilities."""
    arrays = FUSION.arrays()
    read = Fusion.of_arrays({**arrays, "head.bias": np.zeros(3)})
    assert read is not None
    assert np.array_equal(embeddings(), read.embed(*inputs()))
    assert np.array_equal(FUSION.probabilities(embeddings()), read.probabilities(embeddings()))
    assert np.float16 == arrays[f"{PREFIX}projection"].dtype
    assert Fusion.of_arrays({"head.bias": np.zeros(3)}) is None
    assert {*OF_EMBEDDING} < arrays.keys() == {PREFIX + field.name for field in fields(Fusion)}


@pytest.mark.parametrize("name", [name.removeprefix(PREFIX) for name in OF_EMBEDDING])
def test_embeddings_depend_on_what_is_listed(name: str) -> None:
    """Another centre, spread, mean or projection gives other embeddings."""
    assert not np.array_equal(embeddings(), replace(FUSION, **{name: getattr(FUSION, name) + 1}).embed(*inputs()))


@pytest.mark.parametrize(
    "name", sorted({field.name for field in fields(Fusion)} - {one.removeprefix(PREFIX) for one in OF_EMBEDDING})
)
def test_embeddings_do_not_depend_on_the_rest(name: str) -> None:
    """Another head or calibration gives the same embeddings and other probabilities."""
    array = getattr(FUSION, name)
    other = replace(FUSION, **{name: array + np.linspace(0.5, 1, array.size, dtype=np.float32).reshape(array.shape)})
    assert np.array_equal(embeddings(), other.embed(*inputs()))
    assert not np.array_equal(FUSION.probabilities(embeddings()), other.probabilities(embeddings()))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"centre": np.zeros(3)}, r"the fusion's centre has the shape \(3,\), not \(24,\)"),
        ({"weight": np.zeros((STORED, 5))}, r"the fusion's weight has the shape \(16, 5\), not \(16, 11\)"),
        ({"weight": np.zeros((STORED, 5)), "bias": np.zeros(5)}, r"not \(16, 11\)"),
        ({"projection": np.zeros(24)}, "no matrix"),
        ({"exponents": np.zeros(2)}, "exponents has the shape"),
        ({"temperature": np.zeros(1)}, "cannot be used"),
        ({"temperature": np.array([-1.0])}, "cannot be used"),
        ({"spread": np.zeros(FEATURES)}, "cannot be used"),
        ({"mean": np.full(FEATURES, np.nan)}, "cannot be used"),
        ({"none_bias": np.array([np.inf])}, "cannot be used"),
        ({"projection": np.zeros((FEATURES, 270)), "weight": np.zeros((270, EVIDENCE))}, "takes 317 bytes, more than 300"),
    ],
)
def test_arrays_that_cannot_be_used_are_refused(change: dict[str, Any], reason: str) -> None:
    """Each of them with the reason."""
    with pytest.raises(ValueError, match=reason):
        replace(FUSION, **change)


def test_missing_and_unknown_arrays_are_named() -> None:
    """An incomplete fusion is refused by the names of the arrays."""
    arrays = FUSION.arrays()
    arrays[f"{PREFIX}more"] = arrays.pop(f"{PREFIX}mean")
    with pytest.raises(ValueError, match="missing or unknown: mean, more"):
        Fusion.of_arrays(arrays)
