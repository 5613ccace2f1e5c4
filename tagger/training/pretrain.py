"""From data to a bundle: train, calibrate on what was held out, measure, refuse what is too weak, write."""

import json
import platform
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tagger.data import fashion_mnist, splits
from tagger.data.clothing import read_clothing_photos, table_checksum
from tagger.data.images import Images
from tagger.data.labels import GROUPS, LABELS, NONE
from tagger.data.splits import kept_for_calibration, kept_for_reporting
from tagger.errors import TrainingError
from tagger.file_names import escape_surrogates
from tagger.inference.device import training_device
from tagger.inference.predictor import Predictor, native_predictions, photo_probabilities
from tagger.metrics import classification
from tagger.metrics.calibration import PHOTO_PRECISION, PRECISION, PRECISIONS, fit_temperature, threshold_at_precision
from tagger.models import bundle, pretrained
from tagger.models.card import Card, read
from tagger.models.config import NetworkConfig
from tagger.models.network import Network, logits_in_batches
from tagger.models.side_files import check_own
from tagger.photos.product import VERSION
from tagger.records import ProductImage
from tagger.synthesis import mix
from tagger.training.compatibility import check_start, check_teacher
from tagger.training.ensemble import train_members
from tagger.training.publish import TrainedBundle, Validation, check_floor, check_regression, publish
from tagger.training.recipe import with_recipe_defaults
from tagger.training.recipes import SHAPES, catalog_recipe, with_changes
from tagger.training.settings import TrainSettings
from tagger.training.trainer import EpochMetrics, train

JUDGE = "judge.pt"

PHOTO_CLASSES = NONE + 1
"""Of the head for photos: the labels, and none of them."""

MIX_IS_EASIER = 0.8
"""Errors allowed on the mix that calibrates for each that is promised on photos, which are harder.

Chosen on the half of two shops' photos that choices may look at."""

SHARPENED = 0.55
"""Temperature of the averaged views, as a share of the one that fits a single view of the mix: means are softer, and the mix
is more ragged than most photos. Chosen like `MIX_IS_EASIER`, by the calibration error there."""


def pretrain(
    settings: TrainSettings,
    report: Callable[[EpochMetrics], None] = lambda metrics: None,
    tell: Callable[[str], None] = lambda text: None,
) -> TrainedBundle:
    """Train on Fashion-MNIST, or on the mix made of it, write the bundle to `settings.out` and return it.

    Choices, temperatures and thresholds rest on held-out pictures; the test set is opened once, at the end. With
    `settings.calibrated_by` the held-out pictures are learnt too, and temperature and thresholds are that bundle's. What `tell`
    gets is for the person who waits. Raises `TrainingError`, and writes no bundle, where the held-out accuracy is below
    `settings.floor`; the checkpoint stays then. Before any work it raises `TrainingError` where a bundle to begin with or to
    learn from has other labels or heads, and `OutputError` where a file that fmtag did not write would be replaced.
    """
    if settings.calibrated_by and settings.recipe.mix != "fashion-mnist":
        raise TrainingError("The mix of catalog is calibrated by photos of its own; leave --calibrated-by out.")
    check_own(settings.out)
    _check_bundles(settings)
    device = training_device(settings.device)
    whole = fashion_mnist.load_fashion_mnist("train", settings.data)
    pictures, held_out = splits.validation_split(whole)
    test = fashion_mnist.load_fashion_mnist(
        "test", settings.data
    )  # a missing file should be known before the hours of training
    begin, begun_with = _beginning(settings)
    teachers = [bundle.load(name) for name in settings.recipe.teachers]
    settings = replace(
        settings,
        recipe=replace(settings.recipe, start=begun_with, teachers=tuple(teacher.model for teacher in teachers)),
    )
    training, calibration, config = _train(settings, pictures, held_out, begin, tell)
    twin = _twin(settings, config) if settings.calibrated_by else None
    if twin is not None:
        training, settings = whole, replace(settings, calibrated_by=twin.model)
    network, history = train_members(
        settings.recipe,
        config,
        training,
        held_out if twin is None else None,
        settings.out,
        settings.resume,
        report,
        begin,
        [teacher.network() for teacher in teachers],
        device,
    )
    network, held_out, test = network.to(device), held_out.to(device), test.to(device)
    calibration = None if calibration is None else calibration.to(device)
    calibrated = calibrate_network(network, held_out, calibration) if twin is None else calibration_of(twin.card)
    measured: dict[str, dict[str, Any]] = {}
    judges = None
    if twin is None:
        probabilities = _native(network, held_out, calibrated.temperature)
        measured["held_out"] = _measured(probabilities, held_out)
        check_floor(settings, measured["held_out"]["accuracy"])
        judges = Validation(
            LABELS,
            held_out.labels.cpu().numpy(),
            probabilities.argmax(1),
            lambda old: _tags(old, held_out),
            knows_photos=network.photo_head is not None,
        )
    objection = check_regression(settings, judges)
    measured["test"] = _measured(_native(network, test, calibrated.temperature), test)
    network = network.cpu()
    return publish(settings, card_of(settings, network, calibrated), network, history, len(training), measured, objection)


def _check_bundles(settings: TrainSettings) -> None:
    """Raise `TrainingError` where a bundle to begin with, or to learn or take a calibration from, is not Fashion-MNIST's."""
    if settings.start and not settings.pretrained:
        photo_classes = PHOTO_CLASSES if settings.recipe.mix == "catalog" else 0
        check_start(read(settings.start), LABELS, photo_classes)
    for name in settings.recipe.teachers:
        teacher = read(name)
        check_teacher(teacher.model, teacher.card, LABELS)


def _beginning(settings: TrainSettings) -> tuple[Network | None, str]:
    """Return the network that training begins with and what it is called; None and nothing for chance."""
    if settings.pretrained:
        return pretrained.load(settings.pretrained, SHAPES[settings.recipe.network], settings.recipe.seed)
    if settings.start:
        start = bundle.load(settings.start)
        return start.network(), start.model
    return None, ""


def _twin(settings: TrainSettings, config: NetworkConfig) -> bundle.Bundle:
    """Return the bundle that calibrates for the new one; raises `TrainingError` unless only the seed tells them apart."""
    twin = bundle.load(str(settings.calibrated_by))
    candidate = json.loads(json.dumps(asdict(settings.recipe)))
    full = with_recipe_defaults(twin.card.recipe)
    made = {name: full.get(name) for name in candidate}
    shape = replace(config, members=config.members * settings.recipe.ensemble)
    same = made | {"seed": 0} == candidate | {"seed": 0} and twin.card.network == shape and twin.card.labels == LABELS
    if not same or "held_out" not in twin.card.metrics:
        raise TrainingError(
            f"{twin.model} was not made by this recipe with the held-out images left out, so its temperature does not fit; "
            "make one, then give it to --calibrated-by."
        )
    return twin


@dataclass(frozen=True)
class Calibrated:
    """Temperatures of the heads, and thresholds by the share of right ones among the tags that they let pass."""

    temperature: float
    photo_temperature: float
    thresholds: dict[float, float]
    precision: float
    """The one that is the default."""


def calibrate_network(network: Network, held_out: Images, photos: Images | None) -> Calibrated:
    """Return temperatures and thresholds from Fashion-MNIST's held-out pictures, and from those that stand for photos.

    Where there are such, the thresholds are the photos' own, and ask for more than on Fashion-MNIST: photos of a shop that
    nobody has seen are harder than any mix.
    """
    temperature = fit_temperature(logits_in_batches(network, held_out.pixels), held_out.labels)
    if photos is None:
        photo_temperature, easier, precision = 1.0, 1.0, PRECISION
        probabilities, labels = _native(network, held_out, temperature), held_out.labels
    else:
        photo_temperature = SHARPENED * fit_temperature(logits_in_batches(network.photo_logits, photos.pixels), photos.labels)
        easier, precision = MIX_IS_EASIER, PHOTO_PRECISION
        probabilities, labels = _photos(network, photos, photo_temperature), photos.labels
    thresholds = {
        share: threshold_at_precision(1 - easier * (1 - share), probabilities, labels.cpu().numpy()) for share in PRECISIONS
    }
    return Calibrated(temperature, photo_temperature, thresholds, precision)


def calibration_of(card: Card) -> Calibrated:
    """Return the temperatures and thresholds that stand in a card."""
    thresholds = {float(share): threshold for share, threshold in card.precisions.items()}
    return Calibrated(card.temperature, card.photo_temperature, thresholds, float(card.recipe["threshold_precision"]))


def card_of(settings: TrainSettings, network: Network, calibrated: Calibrated) -> Card:
    """Return what the new bundle says of itself, before its figures."""
    return Card(
        name=escape_surrogates(settings.name or settings.out.resolve().name),
        labels=LABELS,
        groups=GROUPS,
        network=network.config,
        garment_version=VERSION,
        temperature=calibrated.temperature,
        min_confidence=calibrated.thresholds[calibrated.precision],
        photo_temperature=calibrated.photo_temperature,
        precisions={str(share): threshold for share, threshold in calibrated.thresholds.items()},
        recipe=asdict(settings.recipe)
        | {"threshold_precision": calibrated.precision, "calibrated_by": settings.calibrated_by or ""},
        data=fashion_mnist.fashion_mnist_checksums() | (table_checksum(settings.photos) if settings.photos else {}),
        versions={"fmtag": version("fmtag"), "torch": torch.__version__, "python": platform.python_version()},
    )


def _train(
    settings: TrainSettings,
    pictures: Images,
    held_out: Images,
    begin: Network | None,
    tell: Callable[[str], None],
) -> tuple[Images, Images | None, NetworkConfig]:
    """Return the pictures to learn from, those that calibrate a head for photos, and the shape of the network.

    Fashion-MNIST alone teaches no head for photos, so the network has none, whatever it begins with.
    """
    if settings.recipe.mix == "fashion-mnist":
        return pictures, None, replace(begin.config if begin else SHAPES[settings.recipe.network], photo_classes=0)
    if begin is None:
        raise TrainingError("The mix of catalog is learnt by a network that knows Fashion-MNIST; give one with --start.")
    config = replace(begin.config, photo_classes=PHOTO_CLASSES)
    return *_mixed(settings, pictures, held_out, begin, config, tell), config


def _mixed(
    settings: TrainSettings,
    pictures: Images,
    held_out: Images,
    teacher: Network,
    config: NetworkConfig,
    tell: Callable[[str], None],
) -> tuple[Images, Images]:
    """Return the pictures of the mix to learn from and those to calibrate by."""
    seed = settings.recipe.seed
    if settings.photos is None:
        tell("Without --photos the network sees drawn and composed pictures alone, and knows phone pictures less well.")
        return mix.training_mix(pictures, [], teacher, None, seed), mix.calibration_mix(held_out, [], seed)
    folder = settings.photos.resolve().name
    photos = [one for one in read_clothing_photos(settings.photos) if not kept_for_reporting(folder, one.group)]
    cuts = mix.product_cuts([one for one in photos if not kept_for_calibration(folder, one.group)])
    kept = mix.product_cuts([one for one in photos if kept_for_calibration(folder, one.group)])
    if not cuts or not kept:
        raise TrainingError(f"{settings.photos} holds too few photos that can be read, or too few senders, to learn from.")
    tell(f"{len(cuts):,} photos to learn from, {len(kept):,} to calibrate by, those of half of the senders left alone.")
    judge = _judge(settings, cuts, pictures, teacher, config)
    training = mix.training_mix(pictures, cuts, teacher, judge, seed)
    tell(f"{len(training):,} pictures in the mix.")
    return training, mix.calibration_mix(held_out, kept, seed)


def _judge(
    settings: TrainSettings,
    cuts: Sequence[mix.ProductCut],
    pictures: Images,
    start: Network,
    config: NetworkConfig,
) -> Network:
    """Return a network that has seen photos alone, and so calls a blouse what they call it."""
    seen = mix.variants_of_cuts(cuts, pictures, 2 * mix.TIMES_PHOTO, settings.recipe.seed)
    targets = torch.nn.functional.one_hot(seen.labels, config.photo_classes).float()
    seen = replace(seen, targets=targets, photo=torch.ones(len(seen), dtype=torch.bool))
    recipe = with_changes(catalog_recipe(1, settings.recipe.seed), min(settings.recipe.batch_size, len(seen)))
    checked = pictures.take(torch.arange(min(500, len(pictures))))
    device = training_device(settings.device)
    with tempfile.TemporaryDirectory() as folder:
        network, _ = train(recipe, config, seen, checked, Path(folder, JUDGE), start=start, device=device)
    return network


def _native(network: Network, pictures: Images, temperature: float) -> NDArray[np.float32]:
    """Return the calibrated probabilities, float32 (n, labels), of Fashion-MNIST's pictures."""
    probabilities: NDArray[np.float32] = native_predictions(network, pictures.pixels, temperature).cpu().numpy()
    return probabilities


def _photos(network: Network, pictures: Images, temperature: float) -> NDArray[np.float32]:
    """Return the calibrated probabilities, float32 (n, labels), of pictures that stand for photos."""
    probabilities: NDArray[np.float32] = (
        logits_in_batches(lambda pixels: photo_probabilities(network, pixels, temperature), pictures.pixels).cpu().numpy()
    )
    return probabilities[:, :NONE]


def _tags(candidate: bundle.Bundle, pictures: Images) -> NDArray[np.int64]:
    """Return the numbers among its labels, (n,), of those that a bundle gives Fashion-MNIST's pictures."""
    if candidate.adapter is not None:  # its labels are the shop's, and not those of the network
        garments = [ProductImage(picture, found=True, native=True) for picture in pictures.pixels[:, 0].cpu().numpy()]
        return np.asarray(Predictor(candidate, "cpu")(garments).argmax(1))
    return np.asarray(_native(candidate.network().to(pictures.pixels.device), pictures, candidate.card.temperature).argmax(1))


def _measured(probabilities: NDArray[np.float32], pictures: Images) -> dict[str, Any]:
    """Return all figures of the probabilities (n, labels) of Fashion-MNIST's pictures."""
    return classification.classification_report(
        probabilities.argmax(1), probabilities.max(1), pictures.labels.cpu().numpy(), LABELS
    )
