"""A bundle's networks give each image's outputs alone, whatever other images there are, and tell their speed."""
# ruff: noqa: SIM300 - the expected value stands first, as in every test here

from dataclasses import fields, replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from bundle_helpers import product_images
from efficientnet_helpers import random_weights
from fusion_helpers import coloured_images, random_fusion, save_fused

from tagger.errors import BundleError
from tagger.inference import torch_backbone
from tagger.inference.device import ComputeDevice
from tagger.inference.network_runner import NetworkRunner, joined_outputs
from tagger.inference.onnx_backbone import OnnxBackbone
from tagger.inference.torch_backbone import TorchBackbone
from tagger.models.backbone import Backbone
from tagger.models.bundle import load
from tagger.models.efficientnet_graph import FEATURES
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


IN_TORCH = cast(ComputeDevice, "cpu:0")
"""A name of the CPU in torch alone, which stands for a GPU."""

DEVICES = [IN_TORCH, pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU"))]


@pytest.fixture(scope="module")
def photos_backbone(photo_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle whose backbone is the weights of EfficientNet-Lite0."""
    folder = tmp_path_factory.mktemp("bundles") / "efficient"
    return save_fused(folder, photo_bundle, Backbone.of_weights(random_weights()), random_fusion(FEATURES))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.usefixtures("one_thread")
def test_a_gpu_gives_the_rows_of_the_cpu(photos_backbone: Path, device: ComputeDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    """As near as sums of float32 allow, natives among photos, in the order of the images; both networks run in torch."""
    monkeypatch.setattr(torch_backbone, "TorchBackbone", lambda backbone, device: TorchBackbone(backbone, device, 2))
    images = [*coloured_images(3), *product_images(2), *coloured_images(1, seed=1)]
    bundle = load(photos_backbone)
    runner = NetworkRunner(bundle, device)
    assert not runner.alone
    assert isinstance(runner._backbone, TorchBackbone)
    expected, outputs = NetworkRunner(bundle, "cpu").run(images), runner.run(images)
    for field in fields(NetworkOutputs):
        one, other = getattr(expected, field.name), getattr(outputs, field.name)
        assert np.abs(one - other).max() < 1e-4 * max(1, np.abs(one).max())


@pytest.mark.usefixtures("one_thread")
def test_a_backbone_in_onnx_stays_with_onnx_runtime(fused_bundle: Path) -> None:
    """Torch cannot read it; the small network runs in torch beside it."""
    images = coloured_images(3)
    runner = NetworkRunner(load(fused_bundle), IN_TORCH)
    assert isinstance(runner._backbone, OnnxBackbone)
    expected = NetworkRunner(load(fused_bundle), "cpu").run(images)
    assert expected.features is not None
    assert np.array_equal(expected.features, cast(NetworkOutputs, runner.run(images)).features)


@pytest.mark.usefixtures("one_thread")
def test_a_gpu_is_warm_when_the_networks_are_open(fused_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels are loaded with the networks; on the CPU there are none to load."""
    warmed: list[str] = []
    monkeypatch.setattr(NetworkRunner, "warm_up", lambda runner: warmed.append("warm"))
    NetworkRunner(load(fused_bundle), "cpu")
    assert [] == warmed
    NetworkRunner(load(fused_bundle), IN_TORCH)
    assert ["warm"] == warmed


def test_a_backbone_of_another_width_is_refused(fused_bundle: Path, photos_backbone: Path) -> None:
    """On a GPU as on the CPU it is one sentence."""
    mixed = replace(load(photos_backbone), fusion=load(fused_bundle).fusion)
    for device in ("cpu", IN_TORCH):
        with pytest.raises(BundleError, match="1280 features, and the fusion takes 24"):
            NetworkRunner(mixed, cast(ComputeDevice, device))
