"""From labelled photos of one's own to a bundle with their labels: collected, learnt, calibrated, measured, handed over."""

import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tagger.catalog.label_table import checksum
from tagger.data import photo_dataset
from tagger.data.labels import GROUPS
from tagger.data.photo_dataset import PhotoDataset, PhotoSplit
from tagger.file_names import escape_surrogates
from tagger.files import write_file
from tagger.inference.device import training_device
from tagger.inference.predictor import Predictor
from tagger.metrics import classification
from tagger.metrics.calibration import (
    MIN_CALIBRATION_PHOTOS,
    PHOTO_PRECISION,
    PRECISIONS,
    fit_temperature,
    threshold_at_precision,
)
from tagger.models import bundle, pretrained
from tagger.models.card import Card, read
from tagger.models.config import NetworkConfig
from tagger.models.network import Network, logits_in_batches
from tagger.models.side_files import TEST, WRITTEN, check_own
from tagger.photos.product import VERSION
from tagger.training.compatibility import check_teacher
from tagger.training.ensemble import train_members
from tagger.training.publish import TrainedBundle, Validation, check_floor, check_regression, publish
from tagger.training.recipes import SHAPES
from tagger.training.settings import TrainSettings
from tagger.training.trainer import EpochMetrics

OTHER = "other"
"""The group of labels that neither Fashion-MNIST nor the bundle begun with knows."""


def load_photos_to_learn(
    settings: TrainSettings, progress: Callable[[int, int], None] = lambda done, total: None
) -> PhotoDataset:
    """Return the labelled photos of `settings.data`, with labels spelled as by the bundle that training begins with.

    Raises `TrainingError`, before any photo is opened, where a bundle to learn from has other labels than the photos, and
    `OutputError` where a file beside the new bundle would replace one that fmtag did not write.
    """
    known = read(settings.start).card.labels if settings.start else tuple(GROUPS)
    teachers = [read(name) for name in settings.recipe.teachers]
    check_own(settings.out, (*WRITTEN, TEST))

    def check(labels: Sequence[str]) -> None:
        for teacher in teachers:
            check_teacher(teacher.model, teacher.card, labels, of_photos=True)

    return photo_dataset.load_photo_dataset(
        str(settings.data), known, settings.image_column, settings.label_column, settings.workers, progress, check
    )


def finetune(
    settings: TrainSettings,
    photos: PhotoDataset,
    report: Callable[[EpochMetrics], None] = lambda metrics: None,
    tell: Callable[[str], None] = lambda text: None,
) -> TrainedBundle:
    """Learn labelled photos, write the bundle to `settings.out` and return it.

    Training begins with the weights of the bundle `settings.start`, or from chance with the recipe's network. A part of the
    products is held out, and chooses and calibrates; another one only measures. What `tell` gets is all that was odd. Raises an
    `FmtagError`, and writes no bundle, where there is too little to learn from, the held-out accuracy is below
    `settings.floor`, or a better bundle is there already.
    """
    device = training_device(settings.device)
    check_own(settings.out, (*WRITTEN, TEST))
    for sentence in photos.notes:
        tell(sentence)
    start = bundle.load(settings.start) if settings.start else None
    teachers = [bundle.load(name) for name in settings.recipe.teachers]
    for teacher in teachers:
        check_teacher(teacher.model, teacher.card, photos.labels, of_photos=True)
    begin, begun_with = _beginning(settings, start, photos.labels)
    recipe = replace(settings.recipe, start=begun_with, teachers=tuple(teacher.model for teacher in teachers))
    settings = replace(settings, recipe=recipe)
    config = begin.config if begin else _shape(settings, photos.labels)
    network, history = train_members(
        recipe,
        config,
        photos.training.images,
        photos.validation.images,
        settings.out,
        settings.resume,
        report,
        begin,
        [teacher.network() for teacher in teachers],
        device,
    )
    return _publish(settings, photos, network, history, start, tell)


def _shape(settings: TrainSettings, labels: Sequence[str]) -> NetworkConfig:
    return replace(SHAPES[settings.recipe.network], classes=len(labels))


def _beginning(settings: TrainSettings, start: bundle.Bundle | None, labels: Sequence[str]) -> tuple[Network | None, str]:
    """Return the network that training begins with and what it is called; None and nothing for chance."""
    seed = settings.recipe.seed
    if settings.pretrained:
        return pretrained.load(settings.pretrained, _shape(settings, labels), seed)
    return (_begun_with(start, labels, seed), start.model) if start else (None, "")


def _begun_with(start: bundle.Bundle, labels: Sequence[str], seed: int) -> Network:
    """Return a network of the bundle's weights with one head, for `labels`: its own where it has them, else by chance."""
    network = start.network()
    torch.manual_seed(seed)
    begun = Network(replace(network.config, classes=len(labels), photo_classes=0))
    head = network.photo_head or network.head
    known = list(start.card.network_groups)
    weights = {name: tensor for name, tensor in network.state_dict().items() if not name.startswith("photo_head.")}
    for name, old in (("head.weight", head.weight), ("head.bias", head.bias)):
        fresh = begun.get_parameter(name)
        rows = [old[known.index(label)] if label in known else fresh[row] for row, label in enumerate(labels)]
        weights[name] = torch.stack(rows).detach()
    begun.load_state_dict(weights)
    return begun


def _publish(
    settings: TrainSettings,
    photos: PhotoDataset,
    network: Network,
    history: list[EpochMetrics],
    start: bundle.Bundle | None,
    tell: Callable[[str], None],
) -> TrainedBundle:
    """Calibrate the network on what was held out, measure it, and let it take its place."""
    held_out, test = photos.validation, photos.test
    card = _card(settings, photos.labels, network.config, start)
    pictures = held_out.images
    card = replace(card, temperature=fit_temperature(logits_in_batches(network, pictures.pixels), pictures.labels))
    new = bundle.Bundle(card, network.state_dict(), "")
    probabilities = _probabilities(new, held_out)
    seen = _measured(probabilities, held_out)
    if len(held_out) < MIN_CALIBRATION_PHOTOS:
        tell(f"Only {len(held_out)} photos are held out, so confidence is rough; label more for one that can be believed.")
    check_floor(settings, seen["accuracy"])
    judges = Validation(
        photos.labels, held_out.classes, probabilities.argmax(1), lambda old: _probabilities(old, held_out).argmax(1)
    )
    objection = check_regression(settings, judges)
    measured = {"held_out": seen, "test": _measured(_probabilities(new, test), test)}
    made = publish(
        settings, _with_thresholds(card, probabilities, held_out), network, history, len(photos.training), measured, objection
    )
    write_file(settings.out / TEST, photo_dataset.split_as_csv(test))
    return made


def _card(settings: TrainSettings, labels: Sequence[str], network: NetworkConfig, start: bundle.Bundle | None) -> Card:
    groups = GROUPS | (dict(start.card.groups) if start else {})
    return Card(
        name=escape_surrogates(settings.name or settings.out.resolve().name),
        labels=tuple(labels),
        groups={label: groups.get(label, OTHER) for label in labels},
        network=network,
        garment_version=VERSION,
        temperature=1.0,
        min_confidence=1.0,
        recipe=asdict(settings.recipe) | {"threshold_precision": PHOTO_PRECISION, "calibrated_by": ""},
        data=checksum(str(settings.data)),
        versions={"fmtag": version("fmtag"), "torch": torch.__version__, "python": platform.python_version()},
    )


def _with_thresholds(card: Card, probabilities: NDArray[np.float32], held_out: PhotoSplit) -> Card:
    """Return the card with thresholds from the probabilities (n, labels) of what was held out."""
    thresholds = {share: threshold_at_precision(share, probabilities, held_out.classes) for share in PRECISIONS}
    precisions = {str(share): threshold for share, threshold in thresholds.items()}
    return replace(card, precisions=precisions, min_confidence=thresholds[PHOTO_PRECISION])


def _probabilities(candidate: bundle.Bundle, part: PhotoSplit) -> NDArray[np.float32]:
    """Return the probabilities (n, labels) that a bundle gives a part's photos, as it tags them."""
    return Predictor(candidate, "cpu")(part.product_images)


def _measured(probabilities: NDArray[np.float32], part: PhotoSplit) -> dict[str, Any]:
    """Return all figures of the probabilities (n, labels) of a part's photos."""
    return classification.classification_report(probabilities.argmax(1), probabilities.max(1), part.classes, part.labels)
