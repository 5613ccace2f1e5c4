"""Small bundles with a backbone, and coloured product images for them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from bundle_helpers import product_images

from tagger.models import bundle
from tagger.models.backbone import Backbone
from tagger.models.fusion import Fusion
from tagger.models.imagenet import EVIDENCE, IMAGENET_CLASSES
from tagger.models.onnx_writer import OnnxWriter
from tagger.photos.colour import COLOUR_SIDE
from tagger.records import ProductImage, Region, RegionName

FEATURES, STORED = 24, 16
"""Features of the tiny backbone, and those of them that an embedding holds."""

POOL = COLOUR_SIDE // 4
"""Side in pixels of the squares whose mean colours the tiny backbone takes."""


def tiny_onnx(features: int = FEATURES, seed: int = 0, scale: float = 0.05) -> bytes:
    """Return an ONNX file with the inputs and outputs of a backbone: random functions of the mean colours of 16 squares.

    `scale` is the size of the first matrix.
    """
    rng = np.random.default_rng(seed)
    writer = OnnxWriter()
    pixels = writer.node("Transpose", writer.node("Cast", "pixels", to=1), perm=[0, 3, 1, 2])
    means = writer.node("Flatten", writer.node("AveragePool", pixels, kernel_shape=[POOL, POOL], strides=[POOL, POOL]), axis=1)
    first = writer.constant(rng.normal(0, scale, (48, features)).astype(np.float32))
    second = writer.constant(rng.normal(0, 0.1, (features, IMAGENET_CLASSES)).astype(np.float32))
    writer.node("Relu", writer.node("MatMul", means, first), output="features")
    writer.node("MatMul", "features", second, output="logits")
    side = COLOUR_SIDE
    return writer.model(
        {"pixels": ("uint8", ("n", side, side, 3))}, {"features": ("n", features), "logits": ("n", IMAGENET_CLASSES)}
    )


def tiny_backbone(seed: int = 0) -> Backbone:
    """Return a backbone of `tiny_onnx`."""
    return Backbone.of_onnx(tiny_onnx(seed=seed))


def random_fusion(features: int = FEATURES, stored: int = STORED, seed: int = 0) -> Fusion:
    """Return a fusion whose head and projection are random, and whose projection is a float16, as `Fusion.arrays` keeps it."""
    rng = np.random.default_rng(seed)
    arrays = {
        "centre": rng.uniform(0, 20, features),
        "spread": rng.uniform(5, 20, features),
        "mean": rng.normal(0, 0.1, features),
        "projection": rng.normal(0, 1, (features, stored)).astype(np.float16),
        "weight": rng.normal(0, 0.3, (stored, EVIDENCE)),
        "bias": rng.normal(0, 0.3, EVIDENCE),
        "exponents": np.array([0.3, 0.5, 0.7]),
        "none_weight": np.array([0.5, 0.5, 0.3]),
        "none_bias": np.array([-1.0]),
        "temperature": np.array([1.5]),
    }
    return Fusion(**{name: array.astype(np.float32) for name, array in arrays.items()})


def save_fused(folder: Path, small: Path, backbone: Backbone | None = None, fusion: Fusion | None = None) -> Path:
    """Save the network of a bundle with a backbone and a fusion beside it, and return the folder."""
    start = bundle.load(small)
    card = replace(start.card, name=folder.name)
    bundle.save(folder, card, start.weights, backbone=backbone or tiny_backbone(), fusion=fusion or random_fusion())
    return folder


def pictures(count: int, seed: int = 0) -> list[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]:
    """Return random pictures of 16 squares, uint8 (224, 224, 3): of finer ones the tiny backbone would see the mean alone."""
    squares = np.random.default_rng(seed).integers(0, 256, (count, 4, 4, 3), np.uint8)
    return list(squares.repeat(POOL, 1).repeat(POOL, 2))


def coloured_images(count: int, seed: int = 0) -> list[ProductImage]:
    """Return random cuts of photos with their pictures in colour."""
    images = product_images(count, seed, native=False)
    return [replace(image, colour=colour) for image, colour in zip(images, pictures(count, seed), strict=True)]


def person_image(seed: int = 0) -> ProductImage:
    """Return a person whose upper half, legs or whole may be the product."""
    names: tuple[RegionName, ...] = ("upper", "lower", "whole")
    parts = coloured_images(len(names), seed)
    regions = [Region(name, part.pixels, part.colour, 1 / 3) for name, part in zip(names, parts, strict=True)]
    return replace(parts[0], worn=True, region="upper", regions=tuple(regions))
