"""The members of an ensemble are trained one after another, each from a seed of its own, and become one network."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from tagger.data.images import Images
from tagger.errors import TrainingError
from tagger.inference.device import CPU
from tagger.models.config import MAX_ENSEMBLE_MEMBERS, NetworkConfig
from tagger.models.ensemble import merge
from tagger.models.network import Network
from tagger.training.recipe import Recipe
from tagger.training.trainer import EpochMetrics, train


def checkpoints(folder: Path, recipe: Recipe) -> list[Path]:
    """Return where each member's training is kept, to go on from: that of the first, or only one, is `checkpoint.pt`."""
    return [folder / f"checkpoint{f'-{number}' if number else ''}.pt" for number in range(recipe.ensemble)]


def train_members(
    recipe: Recipe,
    config: NetworkConfig,
    pictures: Images,
    held_out: Images | None,
    folder: Path,
    resume: bool = False,
    report: Callable[[EpochMetrics], None] = lambda _: None,
    start: Network | None = None,
    teachers: Sequence[nn.Module] = (),
    device: torch.device = CPU,
) -> tuple[Network, list[EpochMetrics]]:
    """Return what `train` does, for as many networks as the recipe's `ensemble` says, which become one.

    Seeds go up from the recipe's, and epochs are counted on from one member to the next. With `resume` members whose training
    is over are taken as they are; without it the checkpoints of members to come are removed, so that none of an earlier
    training is taken for this one's. Raises `TrainingError` where `train` does, and for an ensemble of ensembles.
    """
    if recipe.ensemble > 1 and config.members > 1:
        raise TrainingError("Training begins with an ensemble already; leave --ensemble out.")
    if not resume:
        for checkpoint in checkpoints(folder, replace(recipe, ensemble=MAX_ENSEMBLE_MEMBERS))[1:]:
            checkpoint.unlink(missing_ok=True)
    networks: list[Network] = []
    history: list[EpochMetrics] = []
    for number, checkpoint in enumerate(checkpoints(folder, recipe)):
        member = replace(recipe, seed=recipe.seed + number, ensemble=1)
        going_on = resume and (number == 0 or checkpoint.exists())
        told = _counted_on(report, recipe, number, len(history))
        network, metrics = train(member, config, pictures, held_out, checkpoint, going_on, told, start, teachers, device)
        networks.append(network)
        history += [replace(each, epoch=len(history) + each.epoch, epochs=recipe.ensemble * each.epochs) for each in metrics]
    return (merge(networks) if len(networks) > 1 else networks[0]), history


def _counted_on(
    report: Callable[[EpochMetrics], None], recipe: Recipe, number: int, before: int
) -> Callable[[EpochMetrics], None]:
    """Return a report of a member's epochs as those of the whole; the members to come take as long as this one."""
    spent = 0.0

    def told(metrics: EpochMetrics) -> None:
        nonlocal spent
        spent += metrics.seconds
        to_come = (recipe.ensemble - 1 - number) * (spent + metrics.seconds_left)
        epochs, left = recipe.ensemble * metrics.epochs, metrics.seconds_left + to_come
        report(replace(metrics, epoch=before + metrics.epoch, epochs=epochs, seconds_left=left))

    return told
