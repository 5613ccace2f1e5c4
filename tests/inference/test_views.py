"""The views in NumPy are those that networks were trained and calibrated with, in torch."""

import numpy as np
import torch

from tagger.inference import torch_network
from tagger.inference.views import both_sides, network_input, photo_views, smaller

IMAGES = np.random.default_rng(0).integers(0, 256, (20, 28, 28), np.uint8)


def test_views_are_those_of_torch() -> None:
    """The four views of a photo's cut, in their order, differ from torch's by rounding alone."""
    for image in IMAGES:
        expected = torch.cat([view.float() for view in torch_network.photo_views(torch.from_numpy(image[None, None]))])[:, 0]
        views = photo_views(image)
        assert ((4, 28, 28), np.float32) == (views.shape, views.dtype)
        assert np.abs(expected.numpy() - views).max() < 1e-4


def test_a_flip_is_horizontal() -> None:
    """The second of both sides is the mirror image, and the first the image itself."""
    one, other = both_sides(IMAGES[0])
    assert np.array_equal(IMAGES[0], one)
    assert np.array_equal(IMAGES[0, :, ::-1], other)


def test_a_smaller_view_does_not_depend_on_the_others() -> None:
    """An image is downscaled to the same bits alone, among others, and at any place."""
    images = IMAGES.astype(np.float32)
    together = smaller(images)
    assert np.array_equal(together[7:8], smaller(images[7:8]))
    assert np.array_equal(together[::-1], smaller(images[::-1]))


def test_flat_images_keep_their_value() -> None:
    """A flat image is as bright when downscaled, within a border of two pixels of 0."""
    shrunk = smaller(np.full((1, 28, 28), 200, np.float32))
    assert np.abs(shrunk[:, 2:-2, 2:-2] - 200).max() < 1e-3
    shrunk[:, 2:-2, 2:-2] = 0
    assert not shrunk.any()


def test_the_networks_input_is_contiguous() -> None:
    """Images become float32 with a channel, in one block of memory also where the images were a view."""
    given = network_input(IMAGES[:, :, ::-1])
    assert ((20, 1, 28, 28), np.float32, True) == (given.shape, given.dtype, given.flags.c_contiguous)
    assert np.array_equal(IMAGES[:, :, ::-1], given[:, 0])
