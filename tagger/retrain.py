"""From data to a bundle: train, calibrate on what was held out, measure, refuse what is too weak, write."""

import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

import torch

from tagger import bundle, dataset, metrics
from tagger.calibrate import PRECISION, fit_temperature, threshold_for
from tagger.errors import TrainingError
from tagger.garment import VERSION
from tagger.network import NetworkConfig, count_macs, count_parameters, logits_of
from tagger.settings import TrainSettings
from tagger.train import EpochFigures, train

CHECKPOINT = "checkpoint.pt"


@dataclass(frozen=True)
class Retrained:
    """The bundle that was written and the figures of every epoch."""

    bundle: bundle.Bundle
    history: list[EpochFigures]


def retrain(settings: TrainSettings, report: Callable[[EpochFigures], None] = lambda figures: None) -> Retrained:
    """Train on Fashion-MNIST, write the bundle to `settings.out` and return it.

    Choices, temperature and threshold rest on the held-out images; the test set is opened once, at the end. Raises
    `TrainingError`, and writes no bundle, where the held-out accuracy is below `settings.floor`; the checkpoint stays then.
    """
    pictures, held_out = dataset.hold_out(dataset.fashion_mnist("train", settings.data))
    test = dataset.fashion_mnist("test", settings.data)  # a missing file should be known before the hours of training
    checkpoint = settings.out / CHECKPOINT
    network, history = train(settings.recipe, NetworkConfig(), pictures, held_out, checkpoint, settings.resume, report)

    logits = logits_of(network, held_out.pixels)
    temperature = fit_temperature(logits, held_out.labels)
    held_out_figures = _figures(logits / temperature, held_out)
    if held_out_figures["accuracy"] < settings.floor:
        raise TrainingError(
            f"Held-out accuracy is {held_out_figures['accuracy']:.4f}, below the floor of {settings.floor:.4f}; "
            f"no bundle was written. The checkpoint is {checkpoint}."
        )
    probabilities = torch.softmax(logits / temperature, 1).numpy()
    card = bundle.Card(
        name=settings.name or settings.out.resolve().name,
        labels=dataset.LABELS,
        groups=dataset.GROUPS,
        network=network.config,
        garment_version=VERSION,
        temperature=temperature,
        min_confidence=threshold_for(PRECISION, probabilities, held_out.labels.numpy()),
        figures={
            "held_out": held_out_figures,
            "test": _figures(logits_of(network, test.pixels) / temperature, test),
            "parameters": count_parameters(network),
            "macs": count_macs(network),
            "trained_on": len(pictures),
        },
        recipe=asdict(settings.recipe) | {"threshold_precision": PRECISION},
        data=dataset.checksums(),
        versions={"fmtag": version("fmtag"), "torch": torch.__version__, "python": platform.python_version()},
    )
    written = bundle.save(settings.out, card, network)
    checkpoint.unlink()
    return Retrained(written, history)


def _figures(logits: torch.Tensor, pictures: dataset.Pictures) -> dict[str, Any]:
    confidence, predicted = torch.softmax(logits, 1).max(1)
    figures = metrics.measure(predicted.numpy(), confidence.numpy(), pictures.labels.numpy(), dataset.LABELS)
    return {name: figures[name] for name in ("accuracy", "macro_accuracy", "calibration_error", "n")}
