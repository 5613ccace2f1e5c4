"""A shop is learnt from its photos and labels: what settles, what is translated, what is never mixed up."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tagger.adaptation.active_learning import select_photos
from tagger.adaptation.examples import LabelledExamples
from tagger.adaptation.fit import cross_validate, fit_adapter, fit_translation
from tagger.arrays import Classes
from tagger.errors import BundleError
from tagger.inference.predictor import Features
from tagger.models import bundle
from tagger.models.adapter import ShopAdapter

WIDTH = 64


def look_at(kinds: Sequence[int], said: Sequence[Sequence[float]], seed: int = 0, noise: float = 0.15) -> Features:
    """Return a look at photos of some kinds, each near its kind's own direction, with what the network says of them."""
    centres = torch.randn(8, WIDTH, generator=torch.Generator().manual_seed(9))[list(kinds)]
    rng = torch.Generator().manual_seed(seed)
    return Features(torch.tensor(said, dtype=torch.float32), centres + noise * torch.randn(len(kinds), WIDTH, generator=rng))


def lesson(photos: Sequence[int], classes: Sequence[int], labels: Sequence[str], known: Sequence[int]) -> LabelledExamples:
    """Return a lesson in which every photo is a product of its own."""
    numbers = np.array(photos, np.int64)
    return LabelledExamples(tuple(labels), tuple(known), numbers, np.array(classes, np.int64), np.arange(len(numbers)))


SURE = {0: [0.97, 0.01, 0.01, 0.01], 1: [0.01, 0.97, 0.01, 0.01], 2: [0.01, 0.01, 0.97, 0.01], 3: [0.01, 0.01, 0.01, 0.97]}


def tags(shop: ShopAdapter, look: Features) -> list[int]:
    """Return the likeliest label of each photo."""
    return shop.predict(look.probabilities, look.maps)[:, :-1].argmax(1).tolist()


def test_a_doubtful_photo_hears_those_that_look_like_it() -> None:
    """What the network cannot tell, photos that look alike settle, without any label."""
    kinds = [0] * 8 + [1] * 8
    said: list[list[float]] = [SURE[kind] for kind in kinds]
    said[0] = [0.30, 0.45, 0.20, 0.05]
    look = look_at(kinds, said)
    assert int(look.probabilities[0].argmax()) == 1
    assert tags(fit_adapter(look), look) == kinds


def test_photos_like_no_other_keep_their_answers() -> None:
    """Where nothing looks alike nothing changes: a catalog that teaches nothing does no harm."""
    look = Features(torch.softmax(torch.randn(10, 4, generator=torch.Generator().manual_seed(1)), 1), torch.eye(10, WIDTH))
    answered = fit_adapter(look).predict(look.probabilities, look.maps)
    assert torch.allclose(answered, look.probabilities, atol=0.02)


def test_a_new_photo_unlike_the_catalog_keeps_the_networks_answer() -> None:
    """The memory speaks of what it has seen alone."""
    shop = fit_adapter(look_at([0] * 10 + [1] * 10, [SURE[0]] * 10 + [SURE[1]] * 10))
    stranger = look_at([7], [[0.2, 0.2, 0.5, 0.1]])
    assert torch.allclose(shop.predict(stranger.probabilities, stranger.maps), stranger.probabilities, atol=0.02)


def test_answers_are_probabilities_and_labelled_photos_keep_their_labels() -> None:
    """Every row sums to 1, and what a label says of a photo that is remembered stands."""
    kinds = [0, 1, 2] * 6
    look = look_at(kinds, [SURE[(kind + 1) % 3] for kind in kinds])
    shop = fit_adapter(look, lesson(range(9), kinds[:9], ("a", "b", "c"), (0, 1, 2)))
    answered = shop.predict(look.probabilities, look.maps)
    assert torch.allclose(answered.sum(1), torch.ones(len(kinds)), atol=1e-4)
    assert answered[:9, :-1].argmax(1).tolist() == kinds[:9]


def test_a_label_of_the_shops_own_is_learnt_and_others_stay() -> None:
    """What the network calls none is a label now, and labels that the table is silent about are as right as before."""
    kinds = [0, 1, 2, 3] * 10
    look = look_at(kinds, [SURE[kind] for kind in kinds])
    belts = [number for number, kind in enumerate(kinds) if kind == 3]
    shop = fit_adapter(look, lesson(belts[:5], [3] * 5, ("a", "b", "c", "belt"), (0, 1, 2, -1)))
    assert tags(shop, look) == kinds


def test_photos_labelled_as_none_teach_none() -> None:
    """Photos like those labelled `-` are more likely none of the labels afterwards."""
    kinds = [0, 1] * 10
    look = look_at(kinds, [SURE[0]] * 20)
    shop = fit_adapter(look, lesson([0, 2, 4, 1, 3, 5], [0, 0, 0, 2, 2, 2], ("a", "b"), (0, 1)))
    # The network has three labels and this shop two: what lies behind the third goes to none.
    none = shop.predict(look.probabilities, look.maps)[:, -1]
    assert none[1::2].min() > 0.5 > none[0::2].max()


def test_a_label_without_photos_is_known_by_its_name() -> None:
    """Rows of the translation are probabilities, and the network's own word for a label comes first."""
    look = look_at([0, 1, 2], [SURE[0], SURE[1], SURE[2]])
    rows = fit_translation(look.probabilities, lesson([0], [0], ("a", "b", "c"), (0, 1, 2)))
    assert torch.allclose(rows.sum(1), torch.ones(4))
    assert rows.argmax(1).tolist() == [0, 1, 2, 3]


def test_no_product_is_on_both_sides_of_a_split() -> None:
    """Cross-validation leaves whole products out, and every labelled photo just once."""
    kinds = [0, 1] * 12
    look = look_at(kinds, [SURE[kind] for kind in kinds])
    products = np.arange(24) // 4 * 2 + np.array(kinds)
    taught = replace(lesson(range(24), kinds, ("a", "b"), (0, 1)), products=products)
    asked: list[Classes] = []

    def look_without(left_out: Classes) -> Features:
        asked.append(left_out)
        return look

    trial = cross_validate(look_without, taught)
    assert trial is not None
    assert sorted(np.concatenate(asked)) == list(range(24))
    for left_out in asked:
        assert not set(products[left_out]) & set(np.delete(products, left_out))


def test_one_product_a_label_cannot_be_tried() -> None:
    """Where no label has photos of two products there is nothing to measure, and that is said."""
    look = look_at([0, 0, 1, 1], [SURE[0]] * 2 + [SURE[1]] * 2)
    taught = replace(lesson(range(4), [0, 0, 1, 1], ("a", "b"), (0, 1)), products=np.array([0, 0, 1, 1]))
    assert cross_validate(lambda left_out: look, taught) is None


def test_picks_are_doubtful_varied_and_none_twice() -> None:
    """Of photos that show the same one is picked, and doubtful ones before sure ones."""
    kinds = [0, 0, 0, 1, 2, 3]
    said = [[0.4, 0.3, 0.2, 0.1]] * 3 + [SURE[1], [0.3, 0.3, 0.3, 0.1], SURE[3]]
    picked = select_photos(look_at(kinds, said, noise=0.0), 10)
    assert len(picked) == len(set(picked)) == 4
    assert {kinds[number] for number in picked[:2]} == {0, 2}
    assert len(select_photos(look_at(kinds, said, noise=0.0), 2)) == 2


def test_a_shop_is_saved_with_its_bundle(tmp_path: Path, photo_bundle: Path) -> None:
    """Loaded again it answers the same; a card that knows nothing of it is refused as damaged."""
    parent = bundle.load(str(photo_bundle))
    ends = len(parent.card.labels) + 1
    said: Tensor = torch.softmax(torch.randn(20, ends, generator=torch.Generator().manual_seed(2)), 1)
    look = Features(said, torch.randn(20, WIDTH, generator=torch.Generator().manual_seed(3)))
    shop = fit_adapter(look)
    card = replace(parent.card, base_groups=parent.card.groups, parent=parent.model)
    loaded = bundle.save(tmp_path / "mine", card, parent.network(), shop)
    assert loaded.adapter is not None
    assert torch.equal(loaded.adapter.predict(look.probabilities, look.maps), shop.predict(look.probabilities, look.maps))
    assert loaded.card.parent == parent.model
    with pytest.raises(BundleError, match="damaged"):
        bundle.save(tmp_path / "torn", parent.card, parent.network(), shop)
