"""Fixed splits: the validation images, and groups of photos by hash."""

import numpy as np
import torch

from tagger.data.fashion_mnist import _hashed
from tagger.data.images import Images
from tagger.errors import DatasetError

VALIDATION_IMAGES = 5_000
"""Training images kept out of training, for every choice and for the calibration."""


def kept_for_reporting(folder: str, group: str) -> bool:
    """Whether a group is in the half that no choice or training may look at, by its hash, so that it stays there for good."""
    return _hashed(folder, group)[0] % 2 == 1


def kept_for_calibration(folder: str, group: str) -> bool:
    """Whether a group of the other half, about one in six, is kept out of training to calibrate by."""
    return _hashed(folder, group)[1] % 6 == 0


def validation_split(pictures: Images, count: int = VALIDATION_IMAGES) -> tuple[Images, Images]:
    """Return the pictures without, and the `count` pictures of, the fixed hold-out.

    The same pictures are held out whatever the training seed, so that choices compare on the same images and
    no training run ever sees another's.
    """
    if not 0 < count < len(pictures):
        raise DatasetError(f"Cannot hold {count} of {len(pictures)} pictures out; there must be more pictures than that.")
    # RandomState's stream is frozen by numpy's compatibility policy; torch.randperm's is not.
    order = torch.from_numpy(np.random.RandomState(20170825).permutation(len(pictures)))
    return pictures.take(order[count:]), pictures.take(order[:count])
