"""Adapters fit the network's output to a shop's labels, are stored with their bundle, and refuse tensors that do not fit."""

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tagger.arrays import Float32s, softmax
from tagger.errors import BundleError
from tagger.models import bundle
from tagger.models.adapter import (
    BLOCK,
    NEIGHBOURS,
    OWN,
    PREDICTED,
    PREFIX,
    WIDTH,
    ShopAdapter,
    apply_temperature,
    centre_and_spread,
    embed_maps,
)

pytestmark = pytest.mark.usefixtures("one_thread")

D, SOURCE, ENDS, PHOTOS = 6, 4, 3, 20


def random(*shape: int, seed: int = 0) -> Float32s:
    """Return normally distributed numbers, always the same."""
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def maps_of(count: int) -> Float32s:
    """Return random feature maps (count, D)."""
    return random(count, D) * 3 + 1


def probabilities_of(count: int, classes: int) -> Float32s:
    """Return random probabilities (count, classes)."""
    return softmax(random(count, classes))


def close(one: NDArray[np.floating], other: NDArray[np.floating] | float, error: float = 1e-5) -> bool:
    """Return whether no number differs by more than `error`."""
    return np.allclose(one, other, rtol=0, atol=error)


@pytest.fixture
def adapter() -> ShopAdapter:
    """An adapter with random parameters, whose memory is the catalog that its features are standardized by."""
    centre, spread = centre_and_spread(maps_of(PHOTOS))
    return ShopAdapter(
        centre=centre,
        spread=spread,
        translation=probabilities_of(SOURCE, ENDS),
        weight=0.3 * random(D, ENDS),
        bias=0.3 * random(ENDS),
        memory=embed_maps(maps_of(PHOTOS)).astype(np.float16),
        memory_probabilities=probabilities_of(PHOTOS, ENDS).astype(np.float16),
    )


def test_tensors_are_stored_under_lasting_names(adapter: ShopAdapter) -> None:
    """The names in a bundle's file stay as they are, and the adapter is read back from among other tensors."""
    tensors = adapter.tensors()
    stored = {"centre", "spread", "translation", "weight", "bias", "memory", "said"}
    assert tensors.keys() == {f"shop.{name}" for name in stored}
    again = ShopAdapter.of_tensors({"head.weight": np.zeros(1, np.float32), **tensors})
    assert again is not None
    assert all(np.array_equal(getattr(adapter, field.name), getattr(again, field.name)) for field in fields(adapter))
    assert ShopAdapter.of_tensors({"head.weight": np.zeros(1, np.float32)}) is None


def test_a_prior_weight_is_stored_where_it_counts(adapter: ShopAdapter) -> None:
    """It multiplies the log-probabilities of labels, not that of none; bundles without it are read as before."""
    assert adapter.prior_weight.tolist() == [1.0]
    weighted = replace(adapter, prior_weight=np.full(1, 0.4, np.float32))
    tensors = weighted.tensors()
    assert tensors.keys() - adapter.tensors().keys() == {f"{PREFIX}prior_weight"}
    again = ShopAdapter.of_tensors(tensors)
    assert again is not None
    assert again.prior_weight.tolist() == weighted.prior_weight.tolist()
    probabilities, embeddings = probabilities_of(5, SOURCE), adapter.embed(maps_of(5))
    head = embeddings @ adapter.weight + adapter.bias
    one, other = (some.scores(probabilities, embeddings) - head for some in (adapter, weighted))
    assert close(other, one * np.array([0.4] * (ENDS - 1) + [1.0]))


def test_missing_and_unknown_tensors_are_named(adapter: ShopAdapter) -> None:
    """An incomplete adapter is refused, and so is one with a tensor too many."""
    tensors = adapter.tensors()
    del tensors[f"{PREFIX}bias"]
    with pytest.raises(ValueError, match="missing or unknown: bias"):
        ShopAdapter.of_tensors(tensors)
    with pytest.raises(ValueError, match="missing or unknown: extra"):
        ShopAdapter.of_tensors(adapter.tensors() | {f"{PREFIX}extra": np.zeros(1, np.float32)})


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("centre", (D + 1,)),
        ("spread", (D, 1)),
        ("bias", (ENDS + 1,)),
        ("translation", (SOURCE, ENDS + 1)),
        ("prior_weight", (2,)),
        ("memory", (PHOTOS, D + 1)),
        ("memory", (PHOTOS - 1, D)),
        ("memory_probabilities", (PHOTOS, ENDS - 1)),
    ],
)
def test_shapes_that_do_not_fit_are_refused(adapter: ShopAdapter, name: str, shape: tuple[int, ...]) -> None:
    """Each tensor must have the shape that the others give it."""
    with pytest.raises(ValueError, match="adapter"):
        replace(adapter, **{name: np.zeros(shape, np.float32)})


def test_predictions_follow_the_formula(adapter: ShopAdapter) -> None:
    """The head's probabilities and those of the nearest remembered photos are averaged by weight, and rows sum to 1."""
    probabilities, maps = probabilities_of(5, SOURCE), maps_of(5) + 0.1
    embeddings = adapter.embed(maps)
    cosines = embeddings @ adapter.memory.astype(np.float32).T
    weights = np.exp((cosines - 1) / WIDTH)
    weights[cosines < np.sort(cosines, 1)[:, -NEIGHBOURS, None]] = 0
    own = adapter.head_probabilities(probabilities, embeddings)
    expected = (OWN * own + weights @ adapter.memory_probabilities.astype(np.float32)) / (OWN + weights.sum(1, keepdims=True))
    predicted = adapter.predict(probabilities, maps)
    assert close(predicted, expected / expected.sum(1, keepdims=True))
    assert close(predicted.sum(1), 1)
    assert close(adapter.predict(probabilities, maps, 2.0), apply_temperature(predicted, 2.0))


def test_without_a_head_labels_are_translated() -> None:
    """With a head of zeros the network's probabilities are those of the labels that they translate to."""
    adapter = ShopAdapter(
        *(np.zeros(D, np.float32), np.ones(D, np.float32), np.eye(ENDS, dtype=np.float32)),
        *(np.zeros((D, ENDS), np.float32), np.zeros(ENDS, np.float32)),
        *(np.zeros((1, D), np.float16), np.full((1, ENDS), 1 / ENDS, np.float16)),
    )
    probabilities = probabilities_of(7, ENDS)
    head = adapter.head_probabilities(probabilities, adapter.embed(maps_of(7)))
    assert close(head, probabilities, 1e-4)


def test_embeddings_are_standardized_and_of_length_1(adapter: ShopAdapter) -> None:
    """Embeddings of chosen photos are those among all, in blocks of any number, and a constant column is no division by 0."""
    maps = maps_of(BLOCK + 3)
    embeddings = adapter.embed(maps)
    assert close(np.linalg.norm(embeddings, axis=1), 1)
    standardized = (maps - adapter.centre) / adapter.spread
    assert close(embeddings, standardized / np.linalg.norm(standardized, axis=1, keepdims=True))
    chosen = np.array([BLOCK + 2, 0, BLOCK])
    assert np.array_equal(adapter.embed(maps, chosen), embeddings[chosen])
    assert np.isfinite(embed_maps(np.ones((3, D), np.float32))).all()
    centre, spread = centre_and_spread(np.array([[1], [3]], np.float32))
    assert (centre.item(), spread.item()) == (2.0, pytest.approx(1.0, abs=1e-5))


def test_a_temperature_of_1_changes_nothing() -> None:
    """Temperatures above 1 flatten probabilities, below 1 they sharpen them; 1 leaves them."""
    probabilities = np.array([[0.7, 0.3, 0.0]], np.float32)
    assert close(apply_temperature(probabilities, 1.0), probabilities, 1e-6)
    assert apply_temperature(probabilities, 2.0).max() < 0.7 < apply_temperature(probabilities, 0.5).max()


def memory_only(photos: Float32s, probabilities: Float32s) -> ShopAdapter:
    """Return an adapter without a head that remembers a catalog's feature maps (n, d) with probabilities (n, labels + 1)."""
    d, ends = photos.shape[1], probabilities.shape[1]
    centre, spread = centre_and_spread(photos)
    head = (np.eye(ends, dtype=np.float32), np.zeros((d, ends), np.float32), np.zeros(ends, np.float32))
    return ShopAdapter(centre, spread, *head, embed_maps(photos).astype(np.float16), probabilities.astype(np.float16))


def test_a_photo_unlike_the_catalog_keeps_the_networks_probabilities() -> None:
    """Remembered photos change the tags of photos that look like them, and of no others."""
    catalog = random(20, 64)
    adapter = memory_only(catalog, np.tile(np.array([0.97, 0.01, 0.01, 0.01], np.float32), (20, 1)))
    doubtful = np.array([[0.2, 0.2, 0.5, 0.1]], np.float32)
    assert close(adapter.predict(doubtful, 5 * random(1, 64, seed=5)), doubtful, 0.02)
    assert adapter.predict(doubtful, catalog[:1])[0, 0] > 0.85


@pytest.mark.parametrize(("width", "remembered"), [(6, 20), (256, 300), (1088, 1000)])
def test_photos_get_the_same_probabilities_in_any_number_and_order(width: int, remembered: int) -> None:
    """A photo has the same probabilities, to the bit, alone, in any order and among any number of others."""
    count = 2 * PREDICTED + 9
    catalog = random(remembered, width)
    adapter = replace(
        memory_only(catalog, softmax(random(remembered, 11, seed=1))), weight=random(width, 11, seed=2), bias=random(11, seed=3)
    )
    probabilities = softmax(random(count, 11, seed=4))
    maps = np.resize(catalog, (count, width)) + 0.3 * random(count, width, seed=5)
    rows = adapter.predict(probabilities, maps)
    shuffled = np.random.default_rng(6).permutation(count)
    for some in (slice(0, 1), slice(1, 8), slice(PREDICTED - 10, PREDICTED + 50), shuffled):
        assert np.array_equal(rows[some], adapter.predict(probabilities[some], maps[some]))


def test_an_adapter_is_saved_with_its_bundle(tmp_path: Path, photo_bundle: Path) -> None:
    """Loaded again it gives the same probabilities; a card that knows nothing of it, or has other labels, is damaged."""
    parent = bundle.load(photo_bundle)
    labels = len(parent.card.labels)
    maps, probabilities = random(20, 64), probabilities_of(20, labels + 1)
    adapter = memory_only(maps, probabilities)
    card = replace(parent.card, base_groups=parent.card.groups, parent=parent.model)
    loaded = bundle.save(tmp_path / "mine", card, parent.network(), adapter)
    assert loaded.adapter is not None
    assert np.array_equal(loaded.adapter.predict(probabilities, maps), adapter.predict(probabilities, maps))
    assert loaded.card.parent == parent.model
    with pytest.raises(BundleError, match="damaged: only one of card and weights has an adapter"):
        bundle.save(tmp_path / "without", parent.card, parent.network(), adapter)
    with pytest.raises(BundleError, match="damaged: only one of card and weights has an adapter"):
        bundle.save(tmp_path / "missing", card, parent.network())
    fewer = replace(card, labels=card.labels[:-1], groups={label: card.groups[label] for label in card.labels[:-1]})
    with pytest.raises(BundleError, match="damaged: the shop's labels are not the card's"):
        bundle.save(tmp_path / "other", fewer, parent.network(), adapter)
