"""Ablate the recipe on held-out images of Fashion-MNIST, and compare bundles on its test set.

    python -m benchmarks.accuracy.fashion_mnist train [VARIANT...] [--epochs 8] [--jobs 2]
    python -m benchmarks.accuracy.fashion_mnist report BUNDLE... [--out FILE.md]

`train` trains the network `tiny` by a short recipe, and again with one change at a time, each on one thread. Results are added
to `benchmarks/results/fashion_mnist.jsonl`; variants that it holds already are not trained again. All train on 45,000 of the
training images and are measured on the 5,000 validation images and 10,000 others left out; variants with the teacher
`residual`, which was trained on the latter, on the former alone. Only `report` reads the test set, for finished bundles.
"""

import argparse
import json
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass, field
from math import cos, pi
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.reporting import RESULTS, hardware, table, write
from tagger.data import fashion_mnist, splits
from tagger.data.augmentation import random_shift_flip
from tagger.data.images import Images
from tagger.evaluation.compare import compare
from tagger.evaluation.comparison_report import comparison_lines
from tagger.evaluation.settings import CompareSettings
from tagger.metrics.calibration import fit_temperature
from tagger.metrics.significance import mcnemar_p_value
from tagger.models import bundle
from tagger.models.config import NetworkConfig
from tagger.models.network import Network, logits_in_batches
from tagger.models.summary import count_macs, count_parameters
from tagger.training import trainer as recipe_room
from tagger.training.job import TrainingJob
from tagger.training.recipe import Cycle, Recipe
from tagger.training.recipes import SHAPES

MORE = 10_000
"""Training images left out beside the validation images, which are too few for small differences."""

REFERENCE = "reference"

Run = dict[str, Any]


# What is tried -----------------------------------------------------------------------------------------------------


def cosine(step: int, steps: int, warmup_steps: int) -> float:
    """Return the learning rate as a share of its peak, by a cosine in place of the linear schedule."""
    return min(1.0, (step + 1) / warmup_steps) * (1 + cos(pi * step / steps)) / 2


def mirrored_at_random(pixels: Tensor, mirrored: Tensor, shift: int, rng: torch.Generator) -> Tensor:
    """Shift images, and mirror each with probability 0.5, independent of the epoch before."""
    return random_shift_flip(pixels, torch.rand(len(mirrored), generator=rng) < 0.5, shift, rng)


@dataclass(frozen=True)
class Variant:
    """One change: the network, fields of the cycle or the recipe, or a function of the module `trainer`."""

    shape: NetworkConfig = SHAPES["tiny"]
    cycle: Mapping[str, Any] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)
    functions: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    length: float = 1.0
    """Epochs as a multiple of `--epochs`."""


VARIANTS: dict[str, Variant] = {
    REFERENCE: Variant(),
    "strided, 16-32-64": Variant(NetworkConfig((16, 32, 64))),
    "strided, 12-24-48, two blocks a stage": Variant(NetworkConfig((12, 24, 48), blocks=2)),
    "pooled, one block a stage, 24-48-56": Variant(NetworkConfig((24, 48, 56), stem=16, pooled=True)),
    "pooled, one block a stage, 32-48-48": Variant(NetworkConfig((32, 48, 48), stem=20, pooled=True)),
    "not moved": Variant(recipe={"shift": 0}),
    "moved by up to 3": Variant(recipe={"shift": 3}),
    "never mirrored": Variant(recipe={"alternating_flip": False}),
    "mirrored at random": Variant(functions={"random_shift_flip": mirrored_at_random}),
    "no cutout": Variant(cycle={"cutout_probability": 0.0}),
    "cutout of 17 in all": Variant(cycle={"cutout_probability": 1.0, "cutout_size": 17}),
    "label smoothing 0.1": Variant(cycle={"label_smoothing": 0.1}),
    "no averaging of the weights": Variant(recipe={"ema_decay": 0.0}),
    "28 pixels from the start": Variant(cycle={"low_resolution_epochs": 0}),
    "Nesterov SGD": Variant(recipe={"optimizer": "sgd"}),
    "Nesterov SGD, half the step": Variant(recipe={"optimizer": "sgd", "sgd_lr": 0.05}),
    "cosine": Variant(functions={"learning_rate_share": cosine}),
    "batches of 256": Variant(recipe={"batch_size": 256}),
    "taught by residual, 0.7": Variant(cycle={"distillation": 0.7}, recipe={"teachers": ("residual",)}),
    "taught by residual, 0.7, easy pictures less often, as many steps": Variant(
        cycle={"distillation": 0.7, "easy_keep_fraction": 0.3}, recipe={"teachers": ("residual",)}, length=1.9
    ),
    "taught by residual, 1.0": Variant(cycle={"distillation": 1.0}, recipe={"teachers": ("residual",)}),
}


# Training ----------------------------------------------------------------------------------------------------------


def trained(name: str, epochs: int, seed: int) -> Run:
    """Train a variant and return its size, its cost, and the left-out images that it predicts wrong."""
    variant = VARIANTS[name]
    seen = round(epochs * variant.length)
    cycle = Cycle(**({"epochs": seen, "low_resolution_epochs": seen // 2} | dict(variant.cycle)))
    recipe = Recipe(**({"cycles": (cycle,), "seed": seed, "network": "tiny"} | dict(variant.recipe)))
    pictures, held_out = splits.validation_split(fashion_mnist.load_fashion_mnist("train"))
    order = torch.randperm(len(pictures), generator=torch.Generator().manual_seed(0))
    training, more = pictures.take(order[MORE:]), pictures.take(order[:MORE])
    teachers = [bundle.load(teacher).network() for teacher in recipe.teachers]
    begun = time.process_time()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        for function, other in variant.functions.items():
            stack.enter_context(patch.object(recipe_room, function, other))
        job = TrainingJob(recipe, variant.shape, training, held_out, Path(folder, "checkpoint.pt"), teachers=teachers)
        network, _ = recipe_room.train(job)
    return {
        "variant": name,
        "epochs": epochs,
        "seed": seed,
        "parameters": count_parameters(network),
        "macs": count_macs(network),
        "seconds": round(time.process_time() - begun),
        "held_out": _scored(network, held_out),
        **({} if recipe.teachers else {"more": _scored(network, more)}),
    }


def _scored(network: Network, pictures: Images) -> Run:
    logits = logits_in_batches(network, pictures.pixels)
    temperature = fit_temperature(logits, pictures.labels)
    return {
        "n": len(pictures),
        "cross_entropy": round(functional.cross_entropy(logits / temperature, pictures.labels).item(), 5),
        "wrong": torch.nonzero(logits.argmax(1) != pictures.labels).flatten().tolist(),
    }


def train(names: Sequence[str], epochs: int, seed: int, jobs: int, runs: Path) -> None:
    """Train the variants that the file of runs lacks, `--jobs` at a time, and append each as it ends."""
    done = {(run["variant"], run["epochs"], run["seed"]) for run in read(runs)}
    waiting = [name for name in names or VARIANTS if (name, epochs, seed) not in done]
    with ProcessPoolExecutor(jobs, get_context("spawn"), initializer=torch.set_num_threads, initargs=(1,)) as pool:
        for ended in as_completed([pool.submit(trained, name, epochs, seed) for name in waiting]):
            run = ended.result()
            with runs.open("a", encoding="utf-8") as file:
                file.write(json.dumps(run) + "\n")
            print(f"{run['variant']}: {accuracy(run['held_out']):.4f}, {run['seconds']} s", flush=True)


def read(runs: Path) -> list[Run]:
    """Return the runs of a file; none where the file is missing."""
    return [json.loads(line) for line in runs.read_text(encoding="utf-8").splitlines()] if runs.is_file() else []


def accuracy(scored: Run) -> float:
    """Return the accuracy, 0..1."""
    return float(_right(scored).mean())


def _right(scored: Run) -> np.ndarray:
    right = np.ones(scored["n"], bool)
    right[scored["wrong"]] = False
    return right


# The report --------------------------------------------------------------------------------------------------------


def ablations(runs: Sequence[Run]) -> Iterator[str]:
    """Yield a table for each number of epochs and seed: every variant compared with the reference."""
    alike = defaultdict(dict)
    for run in runs:
        alike[run["epochs"], run["seed"]][run["variant"]] = run
    for (epochs, seed), variants in sorted(alike.items()):
        if REFERENCE not in variants:
            continue
        yield f"### {epochs} epochs, seed {seed}"
        yield ""
        reference = variants[REFERENCE]
        ordered = [reference, *(variants[name] for name in VARIANTS if name in variants and name != REFERENCE)]
        titles = ("", "parameters", "MMAC", "CPU s", "n", "right", "beside the reference", "cross-entropy")
        yield from table(titles, (_ablation(run, reference) for run in ordered))


def _ablation(run: Run, reference: Run) -> list[str]:
    sets = [name for name in ("held_out", "more") if name in run]
    n = sum(run[name]["n"] for name in sets)
    right, theirs = (np.concatenate([_right(some[name]) for name in sets]) for some in (run, reference))
    entropy = sum(run[name]["cross_entropy"] * run[name]["n"] for name in sets) / n
    beside = f"{100 * (right.mean() - theirs.mean()):+.2f} points, p = {mcnemar_p_value(right, theirs):.2g}"
    return [
        run["variant"],
        f"{run['parameters']:,}",
        f"{run['macs'] / 1e6:.1f}",
        str(run["seconds"]),
        f"{n:,}",
        f"{100 * right.mean():.2f} %",
        "-" if run is reference else beside,
        f"{entropy:.4f}",
    ]


def report(names: Sequence[str], runs: Path) -> Iterator[str]:
    """Yield the lines of the report."""
    yield "# Accuracy on Fashion-MNIST"
    yield ""
    bundles = " ".join(os.path.relpath(name) for name in names)
    yield f"Made by `python -m benchmarks.accuracy.fashion_mnist report {bundles}` on {hardware()}."
    yield ""
    if names:
        yield "## The test set"
        yield ""
        yield from comparison_lines(compare(CompareSettings(tuple(names)), timed=False))
    yield "## What each ingredient gives"
    yield ""
    yield (
        "The network `tiny`, half of the epochs at 20x20 pixels, no teacher, and one change per row; trained on 45,000 images, "
        "measured on others. p is McNemar's exact test on the same images. Too much in a short training, "
        "such as cutout, may be right in a long one."
    )
    yield ""
    yield from ablations(read(runs))


def main() -> None:
    """Train variants, or write the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=RESULTS / "fashion_mnist.jsonl")
    commands = parser.add_subparsers(dest="command", required=True)
    training = commands.add_parser("train")
    training.add_argument("variants", nargs="*", metavar="VARIANT", help=f"of: {'; '.join(VARIANTS)}")
    training.add_argument("--epochs", type=int, default=8)
    training.add_argument("--seed", type=int, default=0)
    training.add_argument("--jobs", type=int, default=2)
    reporting = commands.add_parser("report")
    reporting.add_argument("bundles", nargs="*", metavar="BUNDLE")
    reporting.add_argument("--out", type=Path, default=RESULTS / "fashion_mnist.md")
    options = parser.parse_args()
    if options.command == "report":
        write(options.out, report(options.bundles, options.runs))
        return
    if unknown := [name for name in options.variants if name not in VARIANTS]:
        parser.error(f"unknown: {', '.join(unknown)}; known: {'; '.join(VARIANTS)}")
    train(options.variants, options.epochs, options.seed, options.jobs, options.runs)


if __name__ == "__main__":
    main()
