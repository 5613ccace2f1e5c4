"""Train on labelled photos of one's own, and publish a bundle with their labels."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from tagger.catalog.label_table import checksum
from tagger.data import photo_dataset
from tagger.data.labels import GROUPS
from tagger.data.photo_dataset import PhotoDataset, PhotoSplit
from tagger.files import write_file
from tagger.inference.predictor import Predictor
from tagger.inference.torch_device import training_device
from tagger.metrics.calibration import MIN_CALIBRATION_PHOTOS
from tagger.models import bundle, pretrained
from tagger.models.card import read
from tagger.models.config import NetworkConfig
from tagger.models.network import Network
from tagger.models.side_files import TEST, WRITTEN, check_own
from tagger.training.calibration import EvaluationSet
from tagger.training.compatibility import check_teacher
from tagger.training.ensemble import train_members
from tagger.training.history import EpochMetrics
from tagger.training.job import TrainingJob
from tagger.training.publish import Candidate, TrainedBundle, publish
from tagger.training.recipes import SHAPES
from tagger.training.settings import TrainSettings

OTHER = "other"
"""Group of labels that neither Fashion-MNIST nor the bundle that training starts from has."""


def load_photos_to_learn(
    settings: TrainSettings, progress: Callable[[int, int], None] = lambda done, total: None
) -> PhotoDataset:
    """Return the labelled photos of `settings.data`, with labels spelled as by the bundle that training starts from.

    `progress` gets the numbers of photos read and in all. Raises `TrainingError`, before any photo is opened, where a bundle to
    distill from has other labels than the photos, and `OutputError` where a file beside the new bundle would replace one that
    fmtag did not write.
    """
    known = read(settings.start).card.labels if settings.start else tuple(GROUPS)
    teachers = [read(name) for name in settings.recipe.teachers]
    check_own(settings.out, (*WRITTEN, TEST))

    def check(labels: Sequence[str]) -> None:
        for teacher in teachers:
            check_teacher(teacher.model, teacher.card, labels, of_photos=True)

    return photo_dataset.load_photo_dataset(
        str(settings.data), known, settings.reading, settings.label_column, settings.workers, progress, check, settings.decoding
    )


def finetune(
    settings: TrainSettings,
    photos: PhotoDataset,
    on_epoch: Callable[[EpochMetrics], None] = lambda metrics: None,
    notify: Callable[[str], None] = lambda text: None,
) -> TrainedBundle:
    """Train on labelled photos, write the bundle to `settings.out` and return it.

    Training starts from the weights of the bundle `settings.start`, or from random ones with the recipe's network. A part of
    the products is held out for choices and calibration, another part, listed in `test.csv` beside the bundle, for the test
    metrics alone. `on_epoch` gets the metrics of each epoch, `notify` sentences on photos left out and on small parts. Raises
    an `FmtagError`, and writes no bundle, where there is too little to train on, the held-out accuracy is below
    `settings.floor`, or the bundle in the folder is better.
    """
    training_device(settings.device)  # refuses one that is not there before anything is read
    check_own(settings.out, (*WRITTEN, TEST))
    for sentence in photos.notes:
        notify(sentence)
    parent = bundle.load(settings.start) if settings.start else None
    teachers = [bundle.load(name) for name in settings.recipe.teachers]
    for teacher in teachers:
        check_teacher(teacher.model, teacher.card, photos.labels, of_photos=True)
    start, start_name = _start(settings, parent, photos.labels)
    recipe = replace(settings.recipe, start=start_name, teachers=tuple(teacher.model for teacher in teachers))
    settings = replace(settings, recipe=recipe)
    config = start.config if start else _shape(settings, photos.labels)
    training, held_out = photos.training.images, photos.validation.images
    job = TrainingJob.of_settings(settings, config, training, held_out, start, teachers, on_epoch)
    network, history = train_members(job)
    if len(photos.validation) < MIN_CALIBRATION_PHOTOS:
        notify(
            f"Only {len(photos.validation)} photos are held out, so confidence is rough; for a reliable one label enough that "
            f"{MIN_CALIBRATION_PHOTOS} are."
        )
    candidate = Candidate(
        network=network,
        history=history,
        trained_on=len(photos.training),
        groups=_groups(photos.labels, parent),
        data=checksum(str(settings.data)),
        held_out=_evaluation_set(photos.validation),
        test=_evaluation_set(photos.test),
        knows_photos=True,
    )
    published = publish(settings, candidate)
    write_file(settings.out / TEST, photo_dataset.split_as_csv(photos.test))
    return published


def _shape(settings: TrainSettings, labels: Sequence[str]) -> NetworkConfig:
    return replace(SHAPES[settings.recipe.network], classes=len(labels))


def _start(settings: TrainSettings, parent: bundle.Bundle | None, labels: Sequence[str]) -> tuple[Network | None, str]:
    """Return the network that training starts from and its name; None and an empty name for random weights."""
    seed = settings.recipe.seed
    if settings.pretrained:
        return pretrained.load(settings.pretrained, _shape(settings, labels), seed)
    return (_with_labels(parent, labels, seed), parent.model) if parent else (None, "")


def _with_labels(parent: bundle.Bundle, labels: Sequence[str], seed: int) -> Network:
    """Return a bundle's network with one head for `labels`: rows of its own head where it has the label, else random ones.

    The head is that for photos, where there is one.
    """
    network = parent.network()
    torch.manual_seed(seed)
    relabelled = Network(replace(network.config, classes=len(labels), photo_classes=0))
    head = network.photo_head or network.head
    known = list(parent.card.network_groups)
    weights = {name: tensor for name, tensor in network.state_dict().items() if not name.startswith("photo_head.")}
    for name, old in (("head.weight", head.weight), ("head.bias", head.bias)):
        random = relabelled.get_parameter(name)
        rows = [old[known.index(label)] if label in known else random[row] for row, label in enumerate(labels)]
        weights[name] = torch.stack(rows).detach()
    relabelled.load_state_dict(weights)
    return relabelled


def _groups(labels: Sequence[str], parent: bundle.Bundle | None) -> dict[str, str]:
    """Return the group of each label, by the parent or else by Fashion-MNIST's groups."""
    groups = GROUPS | (dict(parent.card.groups) if parent else {})
    return {label: groups.get(label, OTHER) for label in labels}


def _evaluation_set(part: PhotoSplit) -> EvaluationSet:
    """Return the photos of a part with what a bundle predicts for them, as it tags them."""
    return EvaluationSet(part.images, lambda candidate: Predictor(candidate, "cpu")(part.product_images))
