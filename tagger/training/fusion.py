"""Learn a fusion of a small network and a pretrained backbone, calibrate it, and write both as one bundle."""

import hashlib
import platform
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from tagger import __version__
from tagger.arrays import Flags, Float32s, Floats
from tagger.catalog.output_paths import Input, Output, check_output_paths
from tagger.data.clothing import LABEL_TABLES, table_checksum
from tagger.data.fashion_mnist import fashion_mnist_checksums, load_fashion_mnist
from tagger.data.labels import GROUPS, LABELS, NONE
from tagger.data.splits import validation_split
from tagger.errors import TrainingError
from tagger.inference.fused import PLAIN, fused_probabilities
from tagger.inference.onnx_backbone import OnnxBackbone
from tagger.inference.predictor import Predictor
from tagger.metrics.calibration import PHOTO_PRECISION, PRECISIONS, fit_temperature, threshold_at_precision
from tagger.metrics.classification import classification_report
from tagger.models import bundle
from tagger.models.backbone import Backbone
from tagger.models.bundle_name import check_name
from tagger.models.card import check_replaceable
from tagger.models.fusion import Fusion
from tagger.models.published_backbone import read_backbone
from tagger.models.softmax_regression import fit_softmax_regression
from tagger.photos.product import VERSION
from tagger.training.fusion_pictures import Pictures, collect_pictures
from tagger.training.fusion_settings import FusionSettings

STORED_FEATURES = 160
"""d, the number of principal components that an embedding holds."""

WHITENING = 0.25
"""Each component is divided by its standard deviation to this power: 0 keeps the variances, 1 makes them all equal."""

SPREAD_FLOOR = 0.05
"""Added to the features' standard deviations, as a share of their mean: features that hardly ever vary stay small."""

MAX_ROWS_OF_COMPONENTS = 6_000
"""Pictures from which the principal components are computed."""

STAGED_WEIGHT, PAINTED_WEIGHT = 1.0, 1.0
"""Weights of a class of staged and of painted pictures in the head, where the same class of photos weighs 1."""

STRENGTH = 3e-4
"""Strength of the head's L2 regularisation."""

EXPONENTS = (0.5, 0.7, 0.5)
"""Weights of the logarithms of the small network, ImageNet's classes and the head.

These, the weights and the strength above, and the three factors below were chosen on the half of two shops' photos that
decisions may use, and on the calibration photos."""

NONE_WEIGHT = (0.5, 0.5, 0.3)
"""Weights of their log-odds of none of the labels."""

PUBLISHED = {
    "network": "EfficientNet-Lite0, trained on ImageNet",
    "origin": "TensorFlow's authors (tensorflow/tpu, efficientnet/lite); PyTorch conversion by ML Illustrated",
    "licence": "Apache-2.0",
}
"""What the card says of the published backbone; of an ONNX file nothing is known."""

PICTURES_PER_NOTE = 5_120
"""Pictures between two notes on the progress; they come in hundreds."""

CALIBRATION_IS_EASIER = 0.78
"""Errors allowed on the calibration pictures for each error allowed on photos, which are harder."""

NONE_PRIOR = 0.2
"""Share of photos of none of the labels that the calibration assumes."""

TEMPERATURE_FACTOR = 0.75
"""Temperature as a share of the one that fits the calibration pictures, which are harder to tell than a shop's photos."""

PAINTED_SHARE = 0.3
"""Weight of a painted picture in the calibration, where a photo weighs 1."""


def train_fusion(settings: FusionSettings, notify: Callable[[str], None] = lambda text: None) -> bundle.Bundle:
    """Learn a fusion of the network of a bundle and a backbone, and write it as the bundle `settings.out`.

    Neither network is changed. The head learns from labelled photos and painted pictures; temperature, bias of "none of these"
    and thresholds are fitted to pictures of other senders and seeds. `notify` gets sentences on what is done. Raises
    `TrainingError` where the bundle or the backbone cannot be fused, or the photos are too few.
    """
    check_name(settings.name or settings.out.resolve().name)
    inputs = [Input("the backbone", settings.backbone)]
    inputs += [Input("a table of labels", settings.photos / name) for name in LABEL_TABLES]
    check_output_paths([Output("--out", settings.out, "folder")], inputs)
    check_replaceable(settings.out)
    start = bundle.load(settings.start)
    _check_start(start)
    backbone = read_backbone(settings.backbone)
    try:
        runner = OnnxBackbone(backbone)
    except ValueError as error:
        raise TrainingError(f"{settings.backbone} cannot be used: {error}.") from error
    predictor = Predictor(start, "cpu")
    images, held_out = validation_split(load_fashion_mnist("train", settings.data))
    learning, calibrating = (
        collect_pictures(
            settings.photos,
            (part.pixels[:, 0].numpy(), part.labels.numpy()),
            predictor,
            runner,
            settings.seed,
            calibration,
            partial(_notify_of_progress, notify),
        )
        for part, calibration in ((images, False), (held_out, True))
    )
    notify(f"{len(learning):,} pictures to learn from, {len(calibrating):,} to calibrate on; half of the senders are kept out.")
    fusion = calibrated(fit_fusion(learning), calibrating)
    thresholds, metrics = _measure(fusion, calibrating)
    card = replace(
        start.card,
        name=settings.name or settings.out.resolve().name,
        garment_version=VERSION,
        precisions={str(precision): threshold for precision, threshold in thresholds.items()},
        min_confidence=thresholds[PHOTO_PRECISION],
        metrics=start.card.metrics | {"calibration": metrics, "fusion_trained_on": len(learning)},
        recipe=_recipe(settings, start, backbone),
        data=start.card.data | fashion_mnist_checksums() | table_checksum(settings.photos),
        versions={"fmtag": __version__, "numpy": np.__version__, "python": platform.python_version()},
    )
    return bundle.save(settings.out, card, start.weights, backbone=backbone, fusion=fusion)


def _notify_of_progress(notify: Callable[[str], None], done: int) -> None:
    """Say now and then how many pictures are done, as all of them take minutes."""
    if done % PICTURES_PER_NOTE == 0:
        notify(f"{done:,} pictures")


def _check_start(start: bundle.Bundle) -> None:
    """Raise `TrainingError` unless a bundle is a single network with Fashion-MNIST's labels and a head for photos."""
    if start.card.labels != LABELS or start.card.network.photo_classes != NONE + 1 or start.adapter or start.backbone:
        raise TrainingError(
            f"{start.model} cannot be fused with a backbone; give a bundle that `fmtag retrain --mix catalog` made, such as "
            "catalog-small."
        )


def _recipe(settings: FusionSettings, start: bundle.Bundle, backbone: Backbone) -> dict[str, Any]:
    """Return the recipe for the card: that of the small network, and how the fusion was made."""
    return start.card.recipe | {
        "backbone": {
            "file": settings.backbone.name,
            "sha256": hashlib.sha256(settings.backbone.read_bytes()).hexdigest(),
            **(PUBLISHED if backbone.suffix == "safetensors" else {"network": "ONNX"}),
            "small": start.model,
            "seed": settings.seed,
        },
        "threshold_precision": PHOTO_PRECISION,
    }


# Fit


def fit_fusion(pictures: Pictures) -> Fusion:
    """Return a fusion fitted to pictures, not yet calibrated."""
    photos = ~pictures.painted & ~pictures.staged
    centre = pictures.features[photos].mean(0)
    spread = pictures.features[photos].std(0)
    spread = spread + SPREAD_FLOOR * pictures.features[photos].std()
    outputs, stored = len(LABELS) + 1, min(STORED_FEATURES, len(centre))
    blank = Fusion(
        centre=centre,
        spread=spread,
        mean=np.zeros_like(centre),
        projection=np.zeros((len(centre), stored), np.float32),
        weight=np.zeros((stored, outputs), np.float32),
        bias=np.zeros(outputs, np.float32),
        exponents=np.array(EXPONENTS, np.float32),
        none_weight=np.array(NONE_WEIGHT, np.float32),
        none_bias=np.zeros(1, np.float32),
        temperature=np.ones(1, np.float32),
    )
    mean, projection = _principal_components(blank.normalized(pictures.features), pictures)
    projected = replace(blank, mean=mean, projection=projection.astype(np.float16).astype(np.float32))
    inputs = projected.features(_embeddings(projected, pictures))
    offset = np.zeros((len(inputs), outputs), np.float32)
    weight, bias = fit_softmax_regression(inputs, pictures.classes, _weights(pictures), offset, STRENGTH)
    return replace(projected, weight=weight, bias=bias)


def _embeddings(fusion: Fusion, pictures: Pictures) -> NDArray[np.uint8]:
    kinds = np.full(len(pictures), PLAIN, np.uint8)
    return fusion.embed(pictures.small, pictures.features, pictures.logits, kinds)


def _principal_components(normalized: Float32s, pictures: Pictures) -> tuple[Float32s, Float32s]:
    """Return the mean (F,) and the scaled principal components (F, d) of an even choice of the pictures."""
    photos = np.flatnonzero(~pictures.painted & ~pictures.staged)
    others = np.flatnonzero(pictures.painted | pictures.staged)
    wanted = max(0, MAX_ROWS_OF_COMPONENTS - len(photos))
    chosen = np.concatenate([photos, others[np.linspace(0, len(others) - 1, min(wanted, len(others))).astype(int)]])
    rows = normalized[chosen].astype(np.float64)
    mean = rows.mean(0)
    values, vectors = np.linalg.eigh((rows - mean).T @ (rows - mean) / len(rows))
    largest = np.argsort(-values)[:STORED_FEATURES]
    scale = np.maximum(values[largest], 1e-12) ** (-WHITENING / 2)
    return mean.astype(np.float32), (vectors[:, largest] * scale).astype(np.float32)


def _weights(pictures: Pictures) -> NDArray[np.float64]:
    """Return the weights of the pictures (n,): each kind has one weight per class, whatever their numbers."""
    weights = np.zeros(len(pictures))
    staged, painted = pictures.staged, pictures.painted
    for rows, weight in ((~staged & ~painted, 1.0), (staged, STAGED_WEIGHT), (painted, PAINTED_WEIGHT)):
        counts = np.maximum(np.bincount(pictures.classes[rows], minlength=NONE + 1), 1)
        weights[rows] = weight / counts[pictures.classes[rows]]
    return weights


# Calibrate


def calibrated(fusion: Fusion, pictures: Pictures) -> Fusion:
    """Return a fusion with temperature and bias of "none of these" fitted to pictures that it has not learnt from."""
    embeddings = _embeddings(fusion, pictures)
    known, weights = pictures.classes < NONE, np.where(pictures.painted, PAINTED_SHARE, 1.0)
    logs = fusion.label_logits(embeddings[known])
    temperature = TEMPERATURE_FACTOR * fit_temperature(logs, pictures.classes[known], weights[known])
    bias = _none_bias(fusion.none_scores(embeddings), ~known, weights)
    return replace(fusion, temperature=np.array([temperature], np.float32), none_bias=np.array([bias], np.float32))


def _none_bias(scores: Float32s, none: Flags, weights: Floats) -> float:
    """Return the bias at which the mean probability of none of the labels is `NONE_PRIOR`, as is the weight of such pictures.

    Args:
        scores: log-odds of none of the labels without a bias (n,).
        none: which pictures show none of the labels (n,).
        weights: of the pictures among those of their kind (n,).
    """
    balanced = np.where(none, NONE_PRIOR / weights[none].sum(), (1 - NONE_PRIOR) / weights[~none].sum()) * weights

    def excess(bias: float) -> float:
        return float((balanced / (1 + np.exp(-(scores.astype(np.float64) + bias)))).sum()) - NONE_PRIOR

    return float(brentq(excess, -50, 50, xtol=1e-6))


def _measure(fusion: Fusion, pictures: Pictures) -> tuple[dict[float, float], Mapping[str, Any]]:
    """Return thresholds by precision on all calibration pictures, and metrics on the photos of known labels among them."""
    probabilities = fused_probabilities(fusion, _embeddings(fusion, pictures), GROUPS)[:, :-1]
    thresholds = {
        precision: threshold_at_precision(1 - CALIBRATION_IS_EASIER * (1 - precision), probabilities, pictures.classes)
        for precision in PRECISIONS
    }
    known = ~pictures.painted & (pictures.classes < NONE)
    tags, confidence = probabilities.argmax(1)[known], probabilities.max(1)[known]
    report = classification_report(tags, confidence, pictures.classes[known], LABELS)
    return thresholds, {name: report[name] for name in ("accuracy", "macro_accuracy", "calibration_error", "n")}
