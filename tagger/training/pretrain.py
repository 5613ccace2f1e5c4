"""Train on Fashion-MNIST, or on the mix for photos that is made of it, and publish the bundle."""

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from tagger.data import fashion_mnist, splits
from tagger.data.clothing import read_clothing_photos, table_checksum
from tagger.data.images import Images
from tagger.data.labels import GROUPS, LABELS, NONE
from tagger.data.splits import kept_for_calibration, kept_for_reporting
from tagger.errors import TrainingError
from tagger.inference.predictor import Predictor
from tagger.inference.torch_device import training_device
from tagger.inference.torch_network import native_predictions, photo_probabilities
from tagger.models import bundle, pretrained
from tagger.models.card import read
from tagger.models.config import NetworkConfig
from tagger.models.network import Network, logits_in_batches
from tagger.models.side_files import check_own
from tagger.records import ProductImage
from tagger.synthesis import mix
from tagger.training.calibration import Calibration, EvaluationSet
from tagger.training.compatibility import check_start, check_teacher
from tagger.training.ensemble import train_members
from tagger.training.history import EpochMetrics
from tagger.training.job import CHECKPOINT, TrainingJob
from tagger.training.publish import Candidate, TrainedBundle, publish
from tagger.training.recipe import with_recipe_defaults
from tagger.training.recipes import SHAPES, catalog_recipe, with_changes
from tagger.training.settings import TrainSettings
from tagger.training.trainer import train

PHOTO_CLASSES = NONE + 1
"""Classes of the head for photos: the labels, and none of them."""


def pretrain(
    settings: TrainSettings,
    on_epoch: Callable[[EpochMetrics], None] = lambda metrics: None,
    notify: Callable[[str], None] = lambda text: None,
) -> TrainedBundle:
    """Train on Fashion-MNIST, or on the mix made of it, write the bundle to `settings.out` and return it.

    Choices, temperatures and thresholds rest on held-out images; the test set is predicted once, at the end. With
    `settings.calibrated_by` the held-out images are trained on too, and temperature and thresholds are that bundle's.
    `on_epoch` gets the metrics of each epoch, `notify` sentences on what the mix is made of. Raises `TrainingError`, and writes
    no bundle, where the held-out accuracy is below `settings.floor` or the bundle in the folder is better; the checkpoint stays
    then. Before any work it raises `TrainingError` where a bundle to start from or to distill from has other labels or heads,
    and `OutputError` where a file that fmtag did not write would be replaced.
    """
    if settings.calibrated_by and settings.recipe.mix != "fashion-mnist":
        raise TrainingError("--mix catalog is calibrated on photos of its own; leave --calibrated-by out.")
    check_own(settings.out)
    _check_bundles(settings)
    device = training_device(settings.device)
    whole = fashion_mnist.load_fashion_mnist("train", settings.data)
    # The test set too, as a missing file should be known before the hours of training.
    test = fashion_mnist.load_fashion_mnist("test", settings.data)
    images, held_out = splits.validation_split(whole)
    start, start_name = _start(settings)
    teachers = [bundle.load(name) for name in settings.recipe.teachers]
    recipe = replace(settings.recipe, start=start_name, teachers=tuple(teacher.model for teacher in teachers))
    settings = replace(settings, recipe=recipe)
    training, calibration_mix, config = _training_images(settings, images, held_out, start, notify)
    twin = _twin(settings, config) if settings.calibrated_by else None
    if twin is not None:
        training, settings = whole, replace(settings, calibrated_by=twin.model)
    job = TrainingJob.of_settings(settings, config, training, None if twin else held_out, start, teachers, on_epoch)
    network, history = train_members(job)
    candidate = Candidate(
        network=network,
        history=history,
        trained_on=len(training),
        groups=GROUPS,
        data=fashion_mnist.fashion_mnist_checksums() | (table_checksum(settings.photos) if settings.photos else {}),
        held_out=_evaluation_set(held_out, device) if twin is None else None,
        test=_evaluation_set(test, device),
        knows_photos=network.photo_head is not None,
        mix=None if calibration_mix is None else _photo_evaluation_set(calibration_mix, device),
        calibration=None if twin is None else Calibration.of_card(twin.card),
    )
    return publish(settings, candidate)


def _check_bundles(settings: TrainSettings) -> None:
    """Raise `TrainingError` where a bundle to start or distill from does not have Fashion-MNIST's labels."""
    if settings.start and not settings.pretrained:
        photo_classes = PHOTO_CLASSES if settings.recipe.mix == "catalog" else 0
        check_start(read(settings.start), LABELS, photo_classes)
    for name in settings.recipe.teachers:
        teacher = read(name)
        check_teacher(teacher.model, teacher.card, LABELS)


def _start(settings: TrainSettings) -> tuple[Network | None, str]:
    """Return the network that training starts from and its name; None and an empty name for random weights."""
    if settings.pretrained:
        return pretrained.load(settings.pretrained, SHAPES[settings.recipe.network], settings.recipe.seed)
    if settings.start:
        start = bundle.load(settings.start)
        return start.network(), start.model
    return None, ""


def _twin(settings: TrainSettings, config: NetworkConfig) -> bundle.Bundle:
    """Return the bundle `--calibrated-by`; raises `TrainingError` unless it differs from the new one in the seed alone."""
    twin = bundle.load(str(settings.calibrated_by))
    recipe = json.loads(json.dumps(asdict(settings.recipe)))
    twin_recipe = with_recipe_defaults(twin.card.recipe)
    same_recipe = {name: twin_recipe.get(name) for name in recipe} | {"seed": 0} == recipe | {"seed": 0}
    shape = replace(config, members=config.members * settings.recipe.ensemble)
    if not same_recipe or twin.card.network != shape or twin.card.labels != LABELS or "held_out" not in twin.card.metrics:
        raise TrainingError(
            f"{twin.model} was not trained by this recipe with the held-out images left out, so its temperature does not fit; "
            "train such a bundle, then give it to --calibrated-by."
        )
    return twin


# Images to train on


def _training_images(
    settings: TrainSettings,
    images: Images,
    held_out: Images,
    start: Network | None,
    notify: Callable[[str], None],
) -> tuple[Images, Images | None, NetworkConfig]:
    """Return the images to train on, those that calibrate a head for photos, and the shape of the network.

    Fashion-MNIST alone trains no head for photos, so the network has none, whatever it starts from.
    """
    if settings.recipe.mix == "fashion-mnist":
        return images, None, replace(start.config if start else SHAPES[settings.recipe.network], photo_classes=0)
    if start is None:
        raise TrainingError("--mix catalog needs a network trained on Fashion-MNIST; give its bundle with --start.")
    config = replace(start.config, photo_classes=PHOTO_CLASSES)
    return *_mix(settings, images, held_out, start, config, notify), config


def _mix(
    settings: TrainSettings,
    images: Images,
    held_out: Images,
    start: Network,
    config: NetworkConfig,
    notify: Callable[[str], None],
) -> tuple[Images, Images]:
    """Return the mix to train on and the mix to calibrate on; no photo that is kept for reporting is opened."""
    seed = settings.recipe.seed
    if settings.photos is None:
        notify("Without --photos the network is trained on synthetic photos alone, and is weaker on phone pictures.")
        return mix.training_mix(images, [], start, None, seed), mix.calibration_mix(held_out, [], seed)
    folder = settings.photos.resolve().name
    photos = [one for one in read_clothing_photos(settings.photos) if not kept_for_reporting(folder, one.group)]
    cuts = mix.product_cuts([one for one in photos if not kept_for_calibration(folder, one.group)])
    calibration_cuts = mix.product_cuts([one for one in photos if kept_for_calibration(folder, one.group)])
    if not cuts or not calibration_cuts:
        raise TrainingError(f"{settings.photos} holds too few readable photos, or too few senders, to train on; add photos.")
    notify(f"{len(cuts):,} photos to train on, {len(calibration_cuts):,} to calibrate on; half of the senders are kept out.")
    photo_network = _train_on_photos(settings, cuts, images, start, config)
    training = mix.training_mix(images, cuts, start, photo_network, seed)
    notify(f"{len(training):,} images in the mix.")
    return training, mix.calibration_mix(held_out, calibration_cuts, seed)


def _train_on_photos(
    settings: TrainSettings,
    cuts: Sequence[mix.ProductCut],
    images: Images,
    start: Network,
    config: NetworkConfig,
) -> Network:
    """Return a network trained on photos alone, which labels other images as people label photos."""
    variants = mix.variants_of_cuts(cuts, images, 2 * mix.TIMES_PHOTO, settings.recipe.seed)
    targets = torch.nn.functional.one_hot(variants.labels, config.photo_classes).float()
    with tempfile.TemporaryDirectory() as folder:
        job = TrainingJob(
            recipe=with_changes(catalog_recipe(1, settings.recipe.seed), min(settings.recipe.batch_size, len(variants))),
            config=config,
            images=replace(variants, targets=targets, photo=torch.ones(len(variants), dtype=torch.bool)),
            held_out=images.take(torch.arange(min(500, len(images)))),
            checkpoint=Path(folder, CHECKPOINT),
            start=start,
            device=training_device(settings.device),
        )
        network, _ = train(job)
    return network


# Predictions


def _evaluation_set(images: Images, device: torch.device) -> EvaluationSet:
    """Return Fashion-MNIST's images with what a bundle predicts for them."""
    images = images.to(device)
    return EvaluationSet(images, lambda candidate: _native_predictions(candidate, images))


def _native_predictions(candidate: bundle.Bundle, images: Images) -> NDArray[np.float32]:
    """Return calibrated probabilities, float32 (n, labels), of Fashion-MNIST's images."""
    if candidate.adapter is not None:  # its labels are the shop's, and not those of the network
        products = [ProductImage(pixels, found=True, native=True) for pixels in images.pixels[:, 0].cpu().numpy()]
        return Predictor(candidate, "cpu")(products)
    network = candidate.network().to(images.pixels.device)
    probabilities: NDArray[np.float32] = native_predictions(network, images.pixels, candidate.card.temperature).cpu().numpy()
    return probabilities


def _photo_evaluation_set(images: Images, device: torch.device) -> EvaluationSet:
    """Return images that stand for photos with what a bundle's head for photos predicts for them."""
    images = images.to(device)

    def predict(candidate: bundle.Bundle) -> NDArray[np.float32]:
        network, temperature = candidate.network().to(device), candidate.card.photo_temperature
        probabilities: NDArray[np.float32] = (
            logits_in_batches(lambda pixels: photo_probabilities(network, pixels, temperature), images.pixels).cpu().numpy()
        )
        return probabilities[:, :NONE]

    return EvaluationSet(images, predict)
