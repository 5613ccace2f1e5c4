"""A bundle's networks give each image's outputs alone, whatever other images there are, and tell their speed."""

from dataclasses import fields
from pathlib import Path

import numpy as np
from bundle_helpers import product_images
from fusion_helpers import coloured_images

from tagger.inference.network_runner import NetworkRunner, joined_outputs
from tagger.models.bundle import load
from tagger.records import NetworkOutputs


def same(one: NetworkOutputs, other: NetworkOutputs) -> bool:
    """Return whether outputs are equal to the bit."""
    return all(np.array_equal(getattr(one, field.name), getattr(other, field.name)) for field in fields(NetworkOutputs))


def test_images_are_computed_alone(fused_bundle: Path) -> None:
    """The outputs of several images, natives among them, are those of each one, in their order."""
    runner = NetworkRunner(load(str(fused_bundle)), "cpu")
    assert runner.alone
    images = [*coloured_images(5), *product_images(3)]
    together = runner.run(images)
    assert same(together, joined_outputs([runner.run([image]) for image in images]))
    assert together.features is not None
    assert together.features[:5].any(axis=1).all()
    assert not together.features[5:].any()


def test_bundles_without_a_backbone_have_no_features(small_bundle: Path) -> None:
    """Their outputs are those of the small network alone, also where there is no image."""
    runner = NetworkRunner(load(str(small_bundle)), "cpu")
    for count in (0, 1, 4):
        outputs = runner.run(product_images(count))
        assert outputs.features is None
        assert outputs.logits is None
        assert count == len(outputs.small) == len(outputs.maps)


def test_speed_is_given_for_every_batch_size(small_bundle: Path) -> None:
    """The throughput of each batch size is positive."""
    speeds = NetworkRunner(load(str(small_bundle)), "cpu").images_per_second((1, 64), seconds=0.01)
    assert {1, 64} == speeds.keys()
    assert all(speed > 0 for speed in speeds.values())
