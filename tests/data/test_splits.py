"""Splits are fixed: groups by the hash of their names, validation images by a frozen permutation."""
# ruff: noqa: SIM300 - the expected value stands first

import numpy as np
import pytest
import torch

from tagger.data.images import Images
from tagger.data.splits import VALIDATION_IMAGES, kept_for_calibration, kept_for_reporting, validation_split
from tagger.errors import DatasetError


def numbered(count: int) -> Images:
    """Return images of one pixel pair that holds their number, which is their label too."""
    pixels = torch.zeros(count, 1, 1, 2, dtype=torch.uint8)
    pixels[:, 0, 0, 0], pixels[:, 0, 0, 1] = torch.arange(count) // 256, torch.arange(count) % 256
    return Images(pixels, torch.arange(count))


def test_training_and_validation_are_disjoint_and_complete() -> None:
    """Validation and training images are disjoint and together all images, each with its label."""
    training, validation = validation_split(numbered(1000), 100)
    assert (900, 100) == (len(training), len(validation))
    assert list(range(1000)) == sorted(training.labels.tolist() + validation.labels.tolist())
    for part in (training, validation):
        assert torch.equal(part.labels, part.pixels[:, 0, 0, 0].long() * 256 + part.pixels[:, 0, 0, 1])


def test_the_validation_images_are_fixed() -> None:
    """The same 5,000 of 60,000 images are held out whatever the global seeds, and in every version of fmtag."""
    images = numbered(60_000)
    held_out = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        np.random.seed(seed)
        held_out.append(validation_split(images)[1].labels)
    assert torch.equal(*held_out)
    assert VALIDATION_IMAGES == len(held_out[0]) == 5_000
    # numpy freezes RandomState's stream, so that bundles of all versions stay comparable.
    assert np.random.RandomState(20170825).permutation(60_000)[:5_000].tolist() == held_out[0].tolist()


@pytest.mark.parametrize(("count", "possible"), [(-1, False), (0, False), (1, True), (79, True), (80, False), (81, False)])
def test_at_least_one_image_is_held_out_and_one_is_left(count: int, possible: bool) -> None:
    """Of 80 images 1 to 79 can be held out; other numbers are refused in one sentence with both numbers."""
    if possible:
        assert (80 - count, count) == tuple(map(len, validation_split(numbered(80), count)))
        return
    with pytest.raises(DatasetError, match=f"^{count} of 80 images cannot be held out"):
        validation_split(numbered(80), count)


GROUPS = [str(number) for number in range(3000)]


def test_about_half_is_kept_for_reporting() -> None:
    """About half of the groups is kept for reporting, and about a sixth of the others for calibration."""
    for folder in ("images", "packshots"):
        others = [group for group in GROUPS if not kept_for_reporting(folder, group)]
        assert 0.5 == pytest.approx(len(others) / len(GROUPS), abs=0.03)
        assert 1 / 6 == pytest.approx(np.mean([kept_for_calibration(folder, group) for group in others]), abs=0.03)


def test_splits_depend_on_names_alone() -> None:
    """The split of a group depends on the names of folder and group alone, and differs between folders."""
    assert [False, True, False] == [
        kept_for_reporting(*names) for names in (("packshots", "28"), ("packshots", "149"), ("home", "227"))
    ]
    expected = "000001000110010000000000000001010000100"
    assert expected == "".join(str(int(kept_for_calibration("home", str(group)))) for group in range(len(expected)))
    one, other = ([kept_for_reporting(folder, group) for group in GROUPS] for folder in ("one", "other"))
    assert 0.4 < np.mean(np.array(one) == np.array(other)) < 0.6
