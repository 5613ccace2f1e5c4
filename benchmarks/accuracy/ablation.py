"""Ablate product detection, averaged views and the training mix on real photos.

    python -m benchmarks.accuracy.ablation FOLDERS... --photos DIR [--pictures 160000] [--out FILE.md]

The first table removes steps of product detection and predicts with the bundle `residual`, which was trained on no photo. The
second varies the views that `catalog` averages. The third trains from `residual`, with the whole mix and then without one
ingredient at a time, always on the same number of images, far fewer than `catalog`: rows compare with each other, not with
`catalog`. Each FOLDER has a `labels.csv`; DIR holds the labelled photos of the mix, and where it is among the folders, only
senders that the mix leaves out are measured. One seed per row; group right, footwear and AUROC are of the folders without
loosely mapped kinds, footwear of the first one alone.
"""

import argparse
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.reporting import RESULTS
from tagger.data import fashion_mnist
from tagger.data.clothing import read_clothing_photos
from tagger.data.images import Images
from tagger.data.labels import NONE
from tagger.data.splits import kept_for_calibration, kept_for_reporting, validation_split
from tagger.evaluation.evaluate import Evaluation, Example, evaluate
from tagger.evaluation.settings import EvaluateSettings
from tagger.inference import fused, network_runner, onnx_network, torch_network
from tagger.metrics import classification
from tagger.metrics.calibration import fit_temperature
from tagger.metrics.significance import macro_accuracy
from tagger.models import bundle
from tagger.models.network import Network, logits_in_batches
from tagger.photos import product, worn
from tagger.synthesis import mix
from tagger.training.job import TrainingJob
from tagger.training.recipes import catalog_recipe
from tagger.training.trainer import train

RIGHT = 0.95
"""The accuracy of the unflagged photos at which their share is given."""

COLUMNS = (
    "",
    "macro accuracy of each folder",
    "group right",
    "footwear",
    "AUROC",
    f"share at {RIGHT:.0%} right",
    "Fashion-MNIST",
)


def metrics_row(evaluation: Evaluation, unseen: str) -> list[str]:
    """Return the cells of a row: macro accuracies by folder, then the metrics of the folders without loosely mapped kinds."""
    sources = {name: [row for row in rows if row.kept or name != unseen] for name, rows in evaluation.sources.items()}
    known = {name: [row for row in rows if row.known and not row.ambiguous] for name, rows in sources.items()}
    known = {name: rows for name, rows in known.items() if rows}
    shops = [row for name, rows in known.items() if name != unseen for row in rows]
    ood = [row for name, rows in sources.items() if name != unseen for row in rows if not row.known]
    macro = ", ".join(f"{name} {_macro(rows):.3f}" for name, rows in known.items())
    first = next(iter(known.values()))
    footwear = [row for row in first if row.true_group == "footwear"]
    area = classification.auroc(*(np.array([row.confidence for row in rows]) for rows in (shops, ood))) if ood else None
    cells = [macro, f"{np.mean([row.group_right for row in shops]):.3f}", f"{_macro(footwear):.3f}" if footwear else "-"]
    return [*cells, "-" if area is None else f"{area:.3f}", f"{_coverage(shops):.3f}"]


def _macro(rows: Sequence[Example]) -> float:
    return macro_accuracy([row.right for row in rows], [row.label for row in rows])


def _coverage(rows: Sequence[Example]) -> float:
    """Return the greatest share of the most confident tags with an accuracy of `RIGHT`."""
    ordered = sorted(rows, key=lambda row: -row.confidence)
    accuracy = np.cumsum([row.right for row in ordered]) / np.arange(1, len(ordered) + 1)
    good = np.flatnonzero(accuracy >= RIGHT)
    return (good[-1] + 1) / len(ordered) if len(good) else 0.0


@contextmanager
def without_figure() -> Iterator[None]:
    """Switch off the detection of people."""
    with patch.object(product, "find_person", lambda pixels, small, mask: None):
        yield


@contextmanager
def without_lift() -> Iterator[None]:
    """Switch off the contrast lift of pale products."""
    with patch.object(product, "MIN_TONE", 0):
        yield


@contextmanager
def without_hem() -> Iterator[None]:
    """Switch off the cut at the hem."""
    with patch.object(worn, "find_hem", lambda *anything: None):
        yield


@contextmanager
def with_any_label() -> Iterator[None]:
    """Allow every label for products on people."""
    nothing = lambda region, groups: np.zeros(len(groups), bool)  # noqa: E731
    with patch.object(network_runner, "impossible_labels", nothing), patch.object(fused, "impossible_labels", nothing):
        yield


CUTS: dict[str, tuple[Callable[[], AbstractContextManager[None]], ...]] = {
    "whole cut": (),
    "without the hem": (without_hem,),
    "without the figure": (without_figure,),
    "without the lift": (without_lift,),
    "without both": (without_figure, without_lift),
    "whole cut, but people may wear shoes and bags": (with_any_label,),
}


def of_cuts(folders: Sequence[str], unseen: str) -> Iterator[list[str]]:
    """Yield a row for each cut, tagged by `residual`."""
    for name, steps in CUTS.items():
        with ExitStack() as stack:
            for step in steps:
                stack.enter_context(step())
            yield [name, *metrics_row(evaluate(EvaluateSettings(tuple(folders), model="residual")), unseen), "-"]


def mirrored(pixels: Tensor) -> Tensor:
    """Return the mirror images."""
    return pixels.flip(3)


def mirrored_smaller(pixels: Tensor) -> Tensor:
    """Return the mirror images at nine tenths of their size."""
    return torch_network.smaller(pixels.flip(3))


def narrower(pixels: Tensor) -> Tensor:
    """Return the images at six sevenths of their width."""
    return functional.pad(functional.interpolate(pixels.float(), (28, 24), mode="bilinear", antialias=True), (2, 2))


VIEWS: dict[str, tuple[Callable[[Tensor], Tensor], ...]] = {
    "the image alone": (torch.clone,),
    "and its mirror image": (torch.clone, mirrored),
    "and its mirror image, smaller": (torch.clone, mirrored_smaller),
    "both, as they are and smaller (shipped)": (torch.clone, mirrored, torch_network.smaller, mirrored_smaller),
    "and narrower": (torch.clone, mirrored, torch_network.smaller, mirrored_smaller, narrower),
}


def of_views(folders: Sequence[str], unseen: str) -> Iterator[list[str]]:
    """Yield a row for each set of views whose probabilities `catalog` averages."""
    for name, views in VIEWS.items():

        def chosen(image: np.ndarray, views: tuple[Callable[[Tensor], Tensor], ...] = views) -> np.ndarray:
            pixels = torch.from_numpy(image[None, None])
            return np.concatenate([view(pixels)[0].float().numpy() for view in views])

        with patch.object(onnx_network, "photo_views", chosen), patch.object(onnx_network, "FIRST_VIEWS", len(views)):
            yield [name, *metrics_row(evaluate(EvaluateSettings(tuple(folders), model="catalog")), unseen), "-"]


class TrainingInputs:
    """Shared by the trainings: images, product images of photos, the initial network and the classifier of shirts."""

    def __init__(self, photos: Path, pictures: int) -> None:
        self.pictures, self.held_out = validation_split(fashion_mnist.load_fashion_mnist("train"))
        self.count = pictures
        self.start = bundle.load("residual").network()
        self.config = replace(self.start.config, photo_classes=NONE + 1)
        folder = photos.resolve().name
        mine = [one for one in read_clothing_photos(photos) if not kept_for_reporting(folder, one.group)]
        self.cuts = mix.product_cuts([one for one in mine if not kept_for_calibration(folder, one.group)])
        self.kept = mix.product_cuts([one for one in mine if kept_for_calibration(folder, one.group)])
        seen = mix.variants_of_cuts(self.cuts, self.pictures, mix.TIMES_PHOTO, 0)
        targets = functional.one_hot(seen.labels, NONE + 1).float()
        self.judge = self.trained(replace(seen, targets=targets, photo=torch.ones(len(seen), dtype=torch.bool)))

    def mixed(self, judge: bool = True, photos: bool = True) -> Images:
        """Return the whole mix, or one without labelled photos or without the classifier trained on them."""
        cuts, judge_network = self.cuts if photos else [], self.judge if judge and photos else None
        return mix.training_mix(self.pictures, cuts, self.start, judge_network, 0)

    def trained(self, pictures: Images) -> Network:
        """Return the network after training on `count` of the images, in one cycle of low learning rates."""
        with tempfile.TemporaryDirectory() as folder:
            some = torch.randperm(len(pictures), generator=torch.Generator().manual_seed(0))[: self.count]
            epochs = max(1, round(self.count / len(some)))
            network, _ = train(
                TrainingJob(
                    catalog_recipe(epochs),
                    self.config,
                    pictures.take(some),
                    self.held_out,
                    Path(folder, "c.pt"),
                    start=self.start,
                )
            )
        return network

    def row(self, name: str, pictures: Images, folders: Sequence[str], unseen: str) -> list[str]:
        """Train on the images and return a row of metrics."""
        network = self.trained(pictures)
        calibration = mix.calibration_mix(self.held_out, self.kept, 0)
        card = replace(
            bundle.load("residual").card,
            network=network.config,
            garment_version=product.VERSION,
            photo_temperature=fit_temperature(logits_in_batches(network.photo_logits, calibration.pixels), calibration.labels),
        )
        held_out = (logits_in_batches(network, self.held_out.pixels).argmax(1) == self.held_out.labels).float().mean().item()
        with tempfile.TemporaryDirectory() as folder:
            bundle.save(Path(folder), card, network)
            evaluation = evaluate(EvaluateSettings(tuple(folders), model=folder))
        return [name, *metrics_row(evaluation, unseen), f"{held_out:.4f}"]


def as_it_is(canvas: np.ndarray, *_: object) -> np.ndarray:
    """Return an image unchanged, in place of a step of `compose`."""
    return canvas


DEGRADATIONS = ("warp_perspective", "roughen_edges", "change_tone", "add_pattern")
"""Steps of the mix that make images look as cuts of photos do."""


def of_mixes(inputs: TrainingInputs, folders: Sequence[str], unseen: str) -> Iterator[list[str]]:
    """Yield a row for the whole mix, then one without each ingredient."""
    whole = inputs.mixed()
    n, photos = len(inputs.pictures), mix.TIMES_PHOTO * len(inputs.cuts)
    drawn = 2 * n + photos
    everything = torch.arange(len(whole))
    drawings = everything >= drawn
    ood = drawings & (whole.labels == NONE)
    yield inputs.row("whole mix", whole, folders, unseen)
    yield inputs.row("without drawn OOD objects", whole.take(everything[~ood]), folders, unseen)
    yield inputs.row("without drawn shoes and bags", whole.take(everything[~drawings | ood]), folders, unseen)
    variants = (everything >= n) & (everything < 2 * n)
    yield inputs.row("without variants of Fashion-MNIST", whole.take(everything[~variants]), folders, unseen)
    with replaced("_staged"):
        yield inputs.row("without figures, pairs and spread sleeves", inputs.mixed(), folders, unseen)
    with replaced(*DEGRADATIONS):
        yield inputs.row("without tones, patterns, ragged and askew cuts", inputs.mixed(), folders, unseen)
    yield inputs.row("with Fashion-MNIST's word for shirts", inputs.mixed(judge=False), folders, unseen)
    yield inputs.row("without labelled photos", inputs.mixed(photos=False), folders, unseen)


@contextmanager
def replaced(*steps: str) -> Iterator[None]:
    """Switch off steps of the mix."""
    with ExitStack() as stack:
        for step in steps:
            stack.enter_context(patch.object(mix, step, as_it_is))
        yield


def table(rows: Iterator[list[str]]) -> Iterator[str]:
    """Yield the lines of a Markdown table, and print each as soon as it is known, as trainings take minutes."""
    yield f"| {' | '.join(COLUMNS)} |"
    yield "|" + "---|" * len(COLUMNS)
    for row in rows:
        line = f"| {' | '.join(row)} |"
        print(line, flush=True)
        yield line


def main() -> None:
    """Measure and write the three tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--photos", type=Path, required=True, help="folder of labelled photos for the mix")
    parser.add_argument("--pictures", type=int, default=160_000, help="images that each training sees")
    parser.add_argument("--out", type=Path, default=RESULTS / "ablation.md")
    options = parser.parse_args()
    unseen = options.photos.resolve().name
    lines = [
        "# What each ingredient gives\n",
        f"`python -m benchmarks.accuracy.ablation {' '.join(options.folders)} --photos {options.photos}`\n",
    ]
    lines += ["## Steps of the cut, tagged by `residual`\n", *table(of_cuts(options.folders, unseen))]
    lines += ["\n## Views that `catalog` averages\n", *table(of_views(options.folders, unseen))]
    inputs = TrainingInputs(options.photos, options.pictures)
    lines += [f"\n## Ingredients of the mix, {options.pictures:,} images per training\n"]
    lines += table(of_mixes(inputs, options.folders, unseen))
    options.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
