"""Train the members of an ensemble one after another, each from its own seed, and merge them into one network."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tagger.errors import TrainingError
from tagger.models.config import MAX_ENSEMBLE_MEMBERS
from tagger.models.ensemble import merge
from tagger.models.network import Network
from tagger.training.history import EpochMetrics
from tagger.training.job import TrainingJob
from tagger.training.trainer import train


def member_checkpoints(first: Path, members: int) -> list[Path]:
    """Return the checkpoint of each member: `first` itself, then `checkpoint-1.pt`, `checkpoint-2.pt`, ... beside it."""
    return [first, *(first.with_stem(f"{first.stem}-{number}") for number in range(1, members))]


def train_members(job: TrainingJob) -> tuple[Network, list[EpochMetrics]]:
    """Train as many networks as the recipe's `ensemble` says; return them merged into one, and the metrics of every epoch.

    Member n trains with the recipe's seed plus n, and epochs are numbered through all members. With `job.resume` members that
    are trained already are taken from their checkpoints; without it the checkpoints of later members are removed, so that none
    of an earlier training is resumed by mistake. Raises `TrainingError` as `train` does, and for an ensemble of ensembles.
    """
    members = job.recipe.ensemble
    if members > 1 and job.config.members > 1:
        raise TrainingError("The network that training starts from is an ensemble already; leave --ensemble out.")
    if not job.resume:
        for checkpoint in member_checkpoints(job.checkpoint, MAX_ENSEMBLE_MEMBERS)[1:]:
            checkpoint.unlink(missing_ok=True)
    networks: list[Network] = []
    history: list[EpochMetrics] = []
    for number, checkpoint in enumerate(member_checkpoints(job.checkpoint, members)):
        member = replace(
            job,
            recipe=replace(job.recipe, seed=job.recipe.seed + number, ensemble=1),
            checkpoint=checkpoint,
            resume=job.resume and (number == 0 or checkpoint.exists()),
            on_epoch=_renumbered(job, number, len(history)),
        )
        network, metrics = train(member)
        networks.append(network)
        history += [replace(each, epoch=len(history) + each.epoch, epochs=members * each.epochs) for each in metrics]
    return (merge(networks) if members > 1 else networks[0]), history


def _renumbered(job: TrainingJob, number: int, epochs_before: int) -> Callable[[EpochMetrics], None]:
    """Return a callback that passes a member's epochs on as those of the ensemble; later members take as long as this one."""
    members, spent = job.recipe.ensemble, 0.0

    def on_epoch(metrics: EpochMetrics) -> None:
        nonlocal spent
        spent += metrics.seconds
        seconds_left = metrics.seconds_left + (members - 1 - number) * (spent + metrics.seconds_left)
        epoch, epochs = epochs_before + metrics.epoch, members * metrics.epochs
        job.on_epoch(replace(metrics, epoch=epoch, epochs=epochs, seconds_left=seconds_left))

    return on_epoch
