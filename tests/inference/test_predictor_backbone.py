"""With a backbone, what is stored of a photo gives its probabilities again, to the bit, and nothing else changes them."""
# ruff: noqa: SIM300 - the expected value stands first, as in every test here

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bundle_helpers import product_images
from fusion_helpers import STORED, coloured_images, person_image, random_fusion, save_fused
from numpy.typing import NDArray

from tagger.adaptation.fit import fit_adapter
from tagger.data.labels import GROUPS, LABELS
from tagger.errors import BundleError
from tagger.inference.fused import NATIVE, PLAIN, REGION_KINDS
from tagger.inference.predictor import Predictor, _candidates
from tagger.models import bundle
from tagger.models.bundle import Bundle
from tagger.records import ProductImage

pytestmark = pytest.mark.usefixtures("one_thread")

COUNT = 150

IMAGES = [*coloured_images(COUNT - 40), *product_images(30, 5), *(person_image(seed) for seed in range(10))]
"""Photos, images in Fashion-MNIST's own format, and people, in a random order."""

IMAGES = [IMAGES[place] for place in np.random.default_rng(4).permutation(COUNT)]


@pytest.fixture(scope="module")
def fused(fused_bundle: Path) -> Bundle:
    """The bundle with a backbone."""
    return bundle.load(fused_bundle)


@pytest.fixture(scope="module")
def adapted(fused: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The same with an adapter of a shop on top."""
    adapter = fit_adapter(Predictor(fused, "cpu").extract(coloured_images(60, seed=9)))
    card = replace(fused.card, name="shop", base_groups=fused.card.network_groups, parent=fused.model)
    return bundle.save(tmp_path_factory.mktemp("shop") / "shop", card, fused.weights, adapter, fused.backbone, fused.fusion)


@pytest.fixture(params=["fused", "adapted"])
def either(request: pytest.FixtureRequest) -> Bundle:
    """The bundle with a backbone, without an adapter or with one."""
    found: Bundle = request.getfixturevalue(request.param)
    return found


def scored(predict: Predictor, images: list[ProductImage]) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Return probabilities and embeddings."""
    probabilities, embeddings = predict.score(images)
    assert embeddings is not None
    return probabilities, embeddings


def test_an_embedding_gives_the_probabilities_of_its_photo(either: Bundle) -> None:
    """To the bit, in any order and company; embeddings have `embedding_size` bytes."""
    predict = Predictor(either, "cpu")
    probabilities, embeddings = scored(predict, IMAGES)
    assert ((COUNT, 10), np.float32) == (probabilities.shape, probabilities.dtype)
    assert ((COUNT, predict.embedding_size), np.uint8) == (embeddings.shape, embeddings.dtype)
    assert len(np.unique(embeddings, axis=0)) == COUNT
    for size in (1, 7, 64, 65, COUNT):
        parts = [predict.probabilities_of(embeddings[start : start + size]) for start in range(0, COUNT, size)]
        assert np.array_equal(probabilities, np.concatenate(parts))
    assert np.array_equal(probabilities[::-1], predict.probabilities_of(embeddings[::-1]))
    assert np.array_equal(probabilities, predict(IMAGES))


def test_scores_depend_on_neither_batch_nor_order(either: Bundle) -> None:
    """Nor on another predictor of the same bundle."""
    probabilities, embeddings = scored(Predictor(either, "cpu"), IMAGES)
    predict = Predictor(either, "cpu")
    for size in (1, 13, 64):
        for start in range(0, min(COUNT, 5 * size), size):
            part = slice(start, start + size)
            again = scored(predict, IMAGES[part])
            assert np.array_equal(probabilities[part], again[0])
            assert np.array_equal(embeddings[part], again[1])
    assert np.array_equal(embeddings[::-1], scored(predict, IMAGES[::-1])[1])


def test_bundles_on_the_same_networks_have_the_same_embeddings(fused: Bundle, adapted: Bundle) -> None:
    """An adapter changes what is made of them."""
    first, second = scored(Predictor(fused, "cpu"), IMAGES), scored(Predictor(adapted, "cpu"), IMAGES)
    assert np.array_equal(first[1], second[1])
    assert not np.array_equal(first[0], second[0])
    assert np.array_equal(second[0], Predictor(adapted, "cpu").probabilities_of(first[1]))


def test_native_images_keep_the_small_networks_answer(fused: Bundle, photo_bundle: Path) -> None:
    """Within the rounding of its logarithms to float16, and with the same label wherever the small network is not in doubt."""
    images = product_images(COUNT, 7)
    expected = Predictor(bundle.load(photo_bundle), "cpu")(images)
    found = Predictor(fused, "cpu")(images)
    assert np.abs(expected - found).max() < 1e-3
    two = np.sort(expected, 1)[:, -2:]
    clear = two[:, 1] - two[:, 0] > 2e-3
    assert clear.mean() > 0.9
    assert np.array_equal(expected.argmax(1)[clear], found.argmax(1)[clear])


def test_photos_are_told_by_both_networks(fused: Bundle) -> None:
    """Another picture in colour, and another one in grey, change the probabilities."""
    predict = Predictor(fused, "cpu")
    first, second = coloured_images(2)
    rows = predict([first, replace(first, colour=second.colour), replace(first, pixels=second.pixels)])
    assert len(np.unique(rows, axis=0)) == 3


def test_rows_are_probabilities(either: Bundle) -> None:
    """None is negative, and a row sums to at most 1, the rest being that of none of the labels."""
    rows = Predictor(either, "cpu")(coloured_images(COUNT))
    assert (rows >= 0).all()
    assert (rows.sum(1) <= 1 + 1e-5).all()
    assert (0, 10) == Predictor(either, "cpu")([]).shape


def test_kinds_and_features_come_from_the_embedding(fused: Bundle) -> None:
    """`extract` gives the fusion's probabilities, its features as maps, and kinds that tell parts of people."""
    predict, fusion = Predictor(fused, "cpu"), fused.fusion
    assert fusion is not None
    features = predict.extract(IMAGES)
    assert features.embeddings is not None
    assert ((COUNT, 11), (COUNT, STORED)) == (features.probabilities.shape, features.maps.shape)
    assert np.array_equal(fusion.features(features.embeddings), features.maps)
    for image, kind in zip(IMAGES, fusion.kinds(features.embeddings), strict=True):
        expected = {NATIVE} if image.native else set(REGION_KINDS.values()) if image.regions else {PLAIN}
        assert kind in expected


def test_of_a_person_the_most_probable_part_is_taken(fused: Bundle) -> None:
    """A person's row is that of one of the parts, scored as a photo of its own, and not of the same part for everybody."""
    predict = Predictor(fused, "cpu")
    people = [person_image(seed) for seed in range(20)]
    rows, embeddings = scored(predict, people)
    kinds = set()
    for person, row, embedding in zip(people, rows, embeddings, strict=True):
        parts, packed = scored(predict, list(_candidates(person)))
        place = [bytes(one) for one in packed].index(bytes(embedding))
        assert np.array_equal(parts[place], row)
        kinds.add(int(embedding[0]))
    assert len(kinds) > 1


def test_a_bundle_without_a_backbone_has_no_embeddings(photo_bundle: Path) -> None:
    """Its scores come with None, and embeddings are refused in one sentence."""
    predict = Predictor(bundle.load(photo_bundle), "cpu")
    assert predict.score(coloured_images(2))[1] is None
    assert 0 == predict.embedding_size
    with pytest.raises(BundleError, match=r"^The bundle shops has no backbone, and so no embeddings\.$"):
        predict.probabilities_of(np.zeros((1, 60), np.uint8))


def test_an_adapter_may_have_other_labels(fused: Bundle, tmp_path: Path) -> None:
    """Its columns are the shop's labels, also for embeddings that the bundle before it had stored."""
    predict = Predictor(fused, "cpu")
    features = predict.extract(coloured_images(60, seed=9))
    adapter = fit_adapter(features)
    chosen = [0, 3, 10]
    own = replace(
        adapter,
        translation=adapter.translation[:, chosen],
        weight=adapter.weight[:, chosen],
        bias=adapter.bias[chosen],
        memory_probabilities=adapter.memory_probabilities[:, chosen],
    )
    labels = ("hat", "belt")
    card = replace(
        fused.card,
        labels=labels,
        groups=dict.fromkeys(labels, "x"),
        base_groups={one: GROUPS[one] for one in LABELS},
        parent="p",
    )
    saved = bundle.save(tmp_path / "own", card, fused.weights, own, fused.backbone, fused.fusion)
    rows, embeddings = scored(Predictor(saved, "cpu"), IMAGES)
    assert (COUNT, 2) == rows.shape
    assert np.array_equal(rows, Predictor(saved, "cpu").probabilities_of(scored(predict, IMAGES)[1]))
    assert np.array_equal(scored(predict, IMAGES)[1], embeddings)


def test_another_calibration_gives_other_probabilities_from_the_same_embeddings(
    fused: Bundle, photo_bundle: Path, tmp_path: Path
) -> None:
    """A higher temperature of the fusion makes tags of photos less sure; native images keep theirs."""
    warm = replace(random_fusion(), temperature=np.array([4.0], np.float32))
    other = Predictor(bundle.load(save_fused(tmp_path / "warm", photo_bundle, fusion=warm)), "cpu")
    photos, natives = coloured_images(40), product_images(40)
    rows, embeddings = scored(Predictor(fused, "cpu"), [*photos, *natives])
    found = other.probabilities_of(embeddings)
    assert (found[:40].max(1) < rows[:40].max(1)).mean() > 0.9
    assert np.array_equal(rows[40:], found[40:])
    assert np.array_equal(found, other([*photos, *natives]))
