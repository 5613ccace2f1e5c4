"""Adapters fit the network's output to a shop's labels, are stored with their bundle, and refuse tensors that do not fit."""

from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch

from tagger.errors import BundleError
from tagger.models import bundle
from tagger.models.adapter import (
    BLOCK,
    NEIGHBOURS,
    OWN,
    PREFIX,
    WIDTH,
    ShopAdapter,
    apply_temperature,
    centre_and_spread,
    embed_maps,
)

pytestmark = pytest.mark.usefixtures("one_thread")

D, SOURCE, ENDS, PHOTOS = 6, 4, 3, 20


def rng() -> torch.Generator:
    """Return a generator that always gives the same numbers."""
    return torch.Generator().manual_seed(0)


def maps_of(count: int) -> torch.Tensor:
    """Return random feature maps (count, D)."""
    return torch.randn(count, D, generator=rng()) * 3 + 1


def probabilities_of(count: int, classes: int) -> torch.Tensor:
    """Return random probabilities (count, classes)."""
    return torch.randn(count, classes, generator=rng()).softmax(1)


@pytest.fixture
def adapter() -> ShopAdapter:
    """An adapter with random parameters, whose memory is the catalog that its features are standardized by."""
    centre, spread = centre_and_spread(maps_of(PHOTOS))
    return ShopAdapter(
        centre=centre,
        spread=spread,
        translation=probabilities_of(SOURCE, ENDS),
        weight=0.3 * torch.randn(D, ENDS, generator=rng()),
        bias=0.3 * torch.randn(ENDS, generator=rng()),
        memory=embed_maps(maps_of(PHOTOS)).half(),
        memory_probabilities=probabilities_of(PHOTOS, ENDS).half(),
    )


def test_tensors_are_stored_under_lasting_names(adapter: ShopAdapter) -> None:
    """The names in a bundle's file stay as they are, and the adapter is read back from among other tensors."""
    tensors = adapter.tensors()
    stored = {"centre", "spread", "translation", "weight", "bias", "memory", "said"}
    assert tensors.keys() == {f"shop.{name}" for name in stored}
    again = ShopAdapter.of_tensors({"head.weight": torch.zeros(1), **tensors})
    assert again is not None
    assert all(torch.equal(getattr(adapter, field.name), getattr(again, field.name)) for field in fields(adapter))
    assert ShopAdapter.of_tensors({"head.weight": torch.zeros(1)}) is None


def test_missing_and_unknown_tensors_are_named(adapter: ShopAdapter) -> None:
    """An incomplete adapter is refused, and so is one with a tensor too many."""
    tensors = adapter.tensors()
    del tensors[f"{PREFIX}bias"]
    with pytest.raises(ValueError, match="missing or unknown: bias"):
        ShopAdapter.of_tensors(tensors)
    with pytest.raises(ValueError, match="missing or unknown: extra"):
        ShopAdapter.of_tensors(adapter.tensors() | {f"{PREFIX}extra": torch.zeros(1)})


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("centre", (D + 1,)),
        ("spread", (D, 1)),
        ("bias", (ENDS + 1,)),
        ("translation", (SOURCE, ENDS + 1)),
        ("memory", (PHOTOS, D + 1)),
        ("memory", (PHOTOS - 1, D)),
        ("memory_probabilities", (PHOTOS, ENDS - 1)),
    ],
)
def test_shapes_that_do_not_fit_are_refused(adapter: ShopAdapter, name: str, shape: tuple[int, ...]) -> None:
    """Each tensor must have the shape that the others give it."""
    with pytest.raises(ValueError, match="adapter"):
        replace(adapter, **{name: torch.zeros(shape)})


def test_predictions_follow_the_formula(adapter: ShopAdapter) -> None:
    """The head's probabilities and those of the nearest remembered photos are averaged by weight, and rows sum to 1."""
    probabilities, maps = probabilities_of(5, SOURCE), maps_of(5) + 0.1
    embeddings = adapter.embed(maps)
    cosines = embeddings @ adapter.memory.float().T
    weights = ((cosines - 1) / WIDTH).exp()
    weights[cosines < cosines.topk(NEIGHBOURS, 1).values[:, -1:]] = 0
    own = adapter.head_probabilities(probabilities, embeddings)
    expected = (OWN * own + weights @ adapter.memory_probabilities.float()) / (OWN + weights.sum(1, keepdim=True))
    predicted = adapter.predict(probabilities, maps)
    assert torch.allclose(predicted, expected / expected.sum(1, keepdim=True), atol=1e-5)
    assert torch.allclose(predicted.sum(1), torch.ones(5), atol=1e-5)
    assert torch.allclose(adapter.predict(probabilities, maps, 2.0), apply_temperature(predicted, 2.0), atol=1e-5)


def test_without_a_head_labels_are_translated() -> None:
    """With a head of zeros the network's probabilities are those of the labels that they translate to."""
    adapter = ShopAdapter(
        *(torch.zeros(D), torch.ones(D), torch.eye(ENDS), torch.zeros(D, ENDS), torch.zeros(ENDS)),
        *(torch.zeros(1, D).half(), torch.full((1, ENDS), 1 / ENDS).half()),
    )
    probabilities = probabilities_of(7, ENDS)
    head = adapter.head_probabilities(probabilities, adapter.embed(maps_of(7)))
    assert torch.allclose(head, probabilities, atol=1e-4)


def test_embeddings_are_standardized_and_of_length_1(adapter: ShopAdapter) -> None:
    """Embeddings of chosen photos are those among all, in blocks of any number, and a constant column is no division by 0."""
    maps = maps_of(BLOCK + 3)
    embeddings = adapter.embed(maps)
    assert torch.allclose(embeddings.norm(dim=1), torch.ones(len(maps)), atol=1e-5)
    standardized = (maps - adapter.centre) / adapter.spread
    assert torch.allclose(embeddings, standardized / standardized.norm(dim=1, keepdim=True), atol=1e-5)
    chosen = torch.tensor([BLOCK + 2, 0, BLOCK])
    assert torch.equal(adapter.embed(maps, chosen), embeddings[chosen])
    assert embed_maps(torch.ones(3, D)).isfinite().all()
    centre, spread = centre_and_spread(torch.tensor([[1.0], [3.0]]))
    assert (centre.item(), spread.item()) == (2.0, pytest.approx(1.0, abs=1e-5))


def test_a_temperature_of_1_changes_nothing() -> None:
    """Temperatures above 1 flatten probabilities, below 1 they sharpen them; 1 leaves them."""
    probabilities = torch.tensor([[0.7, 0.3, 0.0]])
    assert torch.allclose(apply_temperature(probabilities, 1.0), probabilities, atol=1e-6)
    assert apply_temperature(probabilities, 2.0).max() < 0.7 < apply_temperature(probabilities, 0.5).max()


def memory_only(photos: torch.Tensor, probabilities: torch.Tensor) -> ShopAdapter:
    """Return an adapter without a head that remembers a catalog's feature maps (n, d) with probabilities (n, labels + 1)."""
    d, ends = photos.shape[1], probabilities.shape[1]
    centre, spread = centre_and_spread(photos)
    head = (torch.eye(ends), torch.zeros(d, ends), torch.zeros(ends))
    return ShopAdapter(centre, spread, *head, embed_maps(photos).half(), probabilities.half())


def test_a_photo_unlike_the_catalog_keeps_the_networks_probabilities() -> None:
    """Remembered photos change the tags of photos that look like them, and of no others."""
    catalog = torch.randn(20, 64, generator=rng())
    adapter = memory_only(catalog, torch.tensor([0.97, 0.01, 0.01, 0.01]).repeat(20, 1))
    doubtful = torch.tensor([[0.2, 0.2, 0.5, 0.1]])
    assert torch.allclose(
        adapter.predict(doubtful, 5 * torch.randn(1, 64, generator=torch.Generator().manual_seed(5))), doubtful, atol=0.02
    )
    assert adapter.predict(doubtful, catalog[:1])[0, 0] > 0.85


def test_photos_get_the_same_probabilities_in_any_number(adapter: ShopAdapter) -> None:
    """More photos than are computed at once get the probabilities that each of them gets alone."""
    probabilities, maps = probabilities_of(BLOCK + 50, SOURCE), maps_of(BLOCK + 50)
    rows = adapter.predict(probabilities, maps)
    for some in (slice(0, 64), slice(BLOCK - 10, BLOCK + 50)):
        assert torch.allclose(rows[some], adapter.predict(probabilities[some], maps[some]), atol=1e-5)


def test_an_adapter_is_saved_with_its_bundle(tmp_path: Path, photo_bundle: Path) -> None:
    """Loaded again it gives the same probabilities; a card that knows nothing of it, or has other labels, is damaged."""
    parent = bundle.load(photo_bundle)
    labels = len(parent.card.labels)
    maps, probabilities = torch.randn(20, 64, generator=rng()), probabilities_of(20, labels + 1)
    adapter = memory_only(maps, probabilities)
    card = replace(parent.card, base_groups=parent.card.groups, parent=parent.model)
    loaded = bundle.save(tmp_path / "mine", card, parent.network(), adapter)
    assert loaded.adapter is not None
    assert torch.equal(loaded.adapter.predict(probabilities, maps), adapter.predict(probabilities, maps))
    assert loaded.card.parent == parent.model
    with pytest.raises(BundleError, match="damaged: only one of card and weights has an adapter"):
        bundle.save(tmp_path / "without", parent.card, parent.network(), adapter)
    with pytest.raises(BundleError, match="damaged: only one of card and weights has an adapter"):
        bundle.save(tmp_path / "missing", card, parent.network())
    fewer = replace(card, labels=card.labels[:-1], groups={label: card.groups[label] for label in card.labels[:-1]})
    with pytest.raises(BundleError, match="damaged: the shop's labels are not the card's"):
        bundle.save(tmp_path / "other", fewer, parent.network(), adapter)
