"""Fixed splits: validation images of Fashion-MNIST by a frozen permutation, groups of labelled photos by hash.

A split by the hash of a group's name depends on nothing else: photos can be added or removed and no other photo changes its
split, and all photos of a sender or product are in the same one.
"""

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from tagger.errors import DatasetError
from tagger.files import encode_text

if TYPE_CHECKING:
    from tagger.data.images import Images

VALIDATION_IMAGES = 5_000
"""Training images of Fashion-MNIST that are held out of training, for model selection and calibration."""

_SPLIT_SEED = 20170825
"""Seed of the permutation, the date of the paper on Fashion-MNIST; changing it would move images between the splits."""


def kept_for_reporting(folder: str, group: str) -> bool:
    """Return whether a group belongs to the reporting half, which neither training nor model selection may use.

    `folder` is the name of the data set's folder: the same group name in another folder may be in the other half.
    """
    return _digest(folder, group)[0] % 2 == 1


def kept_for_calibration(folder: str, group: str) -> bool:
    """Return whether a group of the other half, about one in six, is held out of training for calibration."""
    return _digest(folder, group)[1] % 6 == 0


def validation_split(images: "Images", count: int = VALIDATION_IMAGES) -> tuple["Images", "Images"]:
    """Split images into those for training and `count` for validation.

    The same images are held out whatever the training seed, so that recipes are compared on the same images and no
    training run sees the validation images of another.

    Raises:
        DatasetError: if `count` is not between 0 and the number of images.
    """
    if not 0 < count < len(images):
        raise DatasetError(
            f"{count} of {len(images)} images cannot be held out for validation; hold out at least one and leave at least one."
        )
    import torch  # not needed by the splits of photos, which evaluating uses

    # RandomState's stream is frozen by numpy's compatibility policy; torch.randperm's is not.
    order = torch.from_numpy(np.random.RandomState(_SPLIT_SEED).permutation(len(images)))
    return images.take(order[count:]), images.take(order[:count])


def _digest(folder: str, group: str) -> bytes:
    """Return the sha256 of a group's name; its first byte chooses the half, its second the calibration groups."""
    return hashlib.sha256(encode_text(f"{folder}/{group}")).digest()
