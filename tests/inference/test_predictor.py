"""Predictors give the network's calibrated probabilities, the same ones in any batch."""
# ruff: noqa: SIM300 - the expected value stands first, as in every test here

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from bundle_helpers import product_images, stacked

from tagger.data.labels import GROUPS
from tagger.errors import DeviceError
from tagger.inference.predictor import Predictor
from tagger.inference.settings import BATCH_SIZE
from tagger.inference.torch_network import photo_probabilities, photo_views, pool_maps
from tagger.models.bundle import load
from tagger.records import RegionName

pytestmark = pytest.mark.usefixtures("one_thread")

ON_FLOOR = {"footwear", "accessory"}
"""Groups of labels that no part of a person between neck and feet shows."""


def test_probabilities_are_the_networks(small_bundle: Path) -> None:
    """The probabilities are the softmax of the network's logits over the temperature, though its norms are folded."""
    loaded = load(str(small_bundle))
    batch = product_images(5)
    with torch.inference_mode():
        logits = loaded.network()(stacked(batch))
    expected = torch.softmax(logits / loaded.card.temperature, 1).numpy()
    assert np.abs(expected - Predictor(loaded, "cpu")(batch)).max() < 1e-4


def test_temperature_is_applied(small_bundle: Path) -> None:
    """A higher temperature makes the probabilities less confident and keeps the most probable label."""
    loaded = load(str(small_bundle))
    before = Predictor(loaded, "cpu")(product_images(20))
    after = Predictor(replace(loaded, card=replace(loaded.card, temperature=5.0)), "cpu")(product_images(20))
    assert np.array_equal(before.argmax(axis=1), after.argmax(axis=1))
    assert (after.max(axis=1) < before.max(axis=1)).all()


def test_a_single_head_serves_both_kinds_of_images(small_bundle: Path) -> None:
    """A bundle with a single head gives a photo's cut the very probabilities of the same image in Fashion-MNIST's format."""
    predict = Predictor(load(str(small_bundle)), "cpu")
    assert np.array_equal(predict(product_images(9)), predict(product_images(9, native=False)))


def test_cuts_are_scored_by_the_photo_head_in_four_views(photo_bundle: Path) -> None:
    """Photos' cuts are scored by the second head at its own temperature: the mean of image and flip, in both sizes."""
    loaded = load(str(photo_bundle))
    batch = product_images(70, native=False)
    pixels = stacked(batch).float()
    sides = (pixels, pixels.flip(3))
    shrunk = [torch.nn.functional.interpolate(side, (24, 24), mode="bilinear", antialias=True) for side in sides]
    views = (*sides, *(torch.nn.functional.pad(side, (2, 2, 2, 2)) for side in shrunk))
    with torch.inference_mode():
        probabilities = [torch.softmax(loaded.network().photo_logits(view) / 2.0, 1) for view in views]
    expected = torch.stack(probabilities).mean(0)[:, :10].numpy()
    assert np.abs(expected - Predictor(loaded, "cpu")(batch)).max() < 1e-4


@pytest.mark.parametrize(
    ("region", "groups"),
    [("upper", {"upper body", "full body"}), ("lower", {"lower body"}), ("whole", {*GROUPS.values()} - ON_FLOOR)],
)
def test_a_part_of_a_person_is_nothing_else(photo_bundle: Path, region: RegionName, groups: set[str]) -> None:
    """Labels that a part of a person cannot show get 0, and the others keep their probabilities."""
    loaded = load(str(photo_bundle))
    alone = product_images(9, native=False)
    rows = Predictor(loaded, "cpu")(alone)
    worn_rows = Predictor(loaded, "cpu")([replace(picture, worn=True, region=region) for picture in alone])
    possible = np.array([loaded.card.groups[label] in groups for label in loaded.card.labels])
    assert (worn_rows[:, ~possible] == 0).all()
    assert np.array_equal(rows[:, possible], worn_rows[:, possible])


def test_native_images_are_scored_by_the_first_head(photo_bundle: Path) -> None:
    """Images in Fashion-MNIST's format are scored by the first of two heads, averaged over image and flip; rows sum to 1."""
    loaded = load(str(photo_bundle))
    batch = product_images(9)
    with torch.inference_mode():
        one, other = [torch.softmax(loaded.network()(view), 1) for view in (stacked(batch), stacked(batch).flip(3))]
    expected = ((one + other) / 2).numpy()
    rows = Predictor(loaded, "cpu")(batch)
    assert np.abs(expected - rows).max() < 1e-4
    assert np.abs(rows.sum(axis=1) - 1).max() < 1e-5


def test_rows_of_cuts_sum_to_1_with_none_of_the_labels(photo_bundle: Path) -> None:
    """The probabilities of a photo's labels sum to one minus that of none of them, and none is negative."""
    loaded = load(str(photo_bundle))
    batch = product_images(50, native=False)
    rows = Predictor(loaded, "cpu")(batch)
    assert ((50, 10), np.float32) == (rows.shape, rows.dtype)
    assert (rows >= 0).all()
    with torch.inference_mode():
        none = photo_probabilities(loaded.network(), stacked(batch), loaded.card.photo_temperature)[:, 10].numpy()
    assert np.abs(none - (1 - rows.sum(axis=1))).max() < 1e-4
    assert none.max() > 1e-3


def test_kinds_of_images_do_not_mix_up(photo_bundle: Path) -> None:
    """Cuts and native images scored together get, each in its place, the probabilities that they get apart, bit for bit."""
    predict = Predictor(load(str(photo_bundle)), "cpu")
    native, photos = product_images(100, 1), product_images(100, 2, native=False)
    order = np.random.default_rng(3).permutation(200)
    together = predict([(native + photos)[number] for number in order])
    apart = np.concatenate([predict(native), predict(photos)])
    assert np.array_equal(apart[order], together)


def test_probabilities_do_not_depend_on_the_batch(small_bundle: Path) -> None:
    """An image gets the same probabilities bit for bit, in a call of any size and at any position."""
    predict = Predictor(load(str(small_bundle)), "cpu")
    batch = product_images(256)
    together = predict(batch)
    for size in (1, 7, BATCH_SIZE, BATCH_SIZE + 1):
        parts = [predict(batch[start : start + size]) for start in range(0, min(256, 10 * size), size)]
        assert np.array_equal(together[: sum(map(len, parts))], np.concatenate(parts))
    assert np.array_equal(together[::-1], predict(batch[::-1]))


@pytest.mark.parametrize("count", [1, 7, 64, 65, 130])
def test_probabilities_are_probabilities(small_bundle: Path, count: int) -> None:
    """Each image has a row, float32, with no negative value and the sum 1."""
    rows = Predictor(load(str(small_bundle)), "cpu")(product_images(count))
    assert ((count, 10), np.float32) == (rows.shape, rows.dtype)
    assert (rows >= 0).all()
    assert np.abs(rows.sum(axis=1) - 1).max() < 1e-5


def test_no_images_give_no_rows(small_bundle: Path) -> None:
    """No images give no rows, of the right width."""
    assert (0, 10) == Predictor(load(str(small_bundle)), "cpu")([]).shape


def test_predictors_share_nothing(small_bundle: Path) -> None:
    """A second predictor of the same bundle, folded anew, gives the same: the bundle's weights are left alone."""
    loaded = load(str(small_bundle))
    first = Predictor(loaded, "cpu")(product_images(3))
    assert np.array_equal(first, Predictor(loaded, "cpu")(product_images(3)))
    assert np.array_equal(first, Predictor(load(str(small_bundle)), "cpu")(product_images(3)))


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_absent_device_is_refused(small_bundle: Path, device: str) -> None:
    """A device that the machine lacks is refused in one sentence that lists those that it has."""
    if torch.cuda.is_available() if device == "cuda" else torch.backends.mps.is_available():
        pytest.skip(f"this machine has {device}")
    with pytest.raises(DeviceError, match=rf"no {device} device .* it has: .*cpu") as caught:
        Predictor(load(str(small_bundle)), device)
    assert "\n" not in str(caught.value)


def test_auto_takes_what_is_there(small_bundle: Path) -> None:
    """Without a device a predictor takes an available one."""
    assert (2, 10) == Predictor(load(str(small_bundle)))(product_images(2)).shape


def test_features_do_not_depend_on_an_adapter_and_keep_the_order(photo_bundle: Path) -> None:
    """`extract` gives the probabilities of labels and none, and pooled maps, of mixed images in their order."""
    predict = Predictor(load(str(photo_bundle)), "cpu")
    images = [*product_images(3, 1), *product_images(70, 2, native=False), *product_images(2, 3)]
    features = predict.extract(images)
    assert (75, 11) == tuple(features.probabilities.shape)
    assert np.array_equal(features.probabilities[:, :-1], predict(images))
    assert np.allclose(features.probabilities.sum(1), 1, atol=1e-5)
    network = load(str(photo_bundle)).network()
    with torch.inference_mode():
        views = [pool_maps(network.maps(view)) for view in photo_views(stacked(images[3:5]))]
    assert np.allclose(torch.stack(views).mean(0).numpy(), features.maps[3:5], atol=1e-3)
    assert (75, views[0].shape[1]) == features.maps.shape
