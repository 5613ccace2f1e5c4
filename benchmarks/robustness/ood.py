"""Compare scores for out-of-distribution (OOD) products: how well each separates them from known products.

    python -m benchmarks.robustness.ood FOLDERS... [--model catalog] [--photos DIR] [--data DIR] [--out FILE.md]

Each folder has a labels.csv (path,label,kind,group). OOD products are compared with the known products of their own
folder; in a folder without any, with those of all folders without loosely mapped kinds, pooled.

Parameters of a score, such as the classes' means, are fitted on variants of held-out images of Fashion-MNIST, made as for the
training mix, and on the product images of known products in `--photos` (the folder that the bundle was trained with), from the
senders reserved for calibration. No score is fitted on an OOD product, and no metric counts a sender that scores were fitted
on. The bundle itself was trained on that folder's other looked-at senders, OOD products among them, so its looked-at column is
too optimistic for scores of the network; rows are sorted without it where another folder exists.

Scores of the network are means over the views of `predict`, at no extra cost; the agreement of views takes one more pass. A
photo without a product has the lowest score. The threshold of each column "flagged" passes at least 95 % of the known photos of
that same half.

Choices: features of length 1 for the distance to a neighbour (Sun et al. 2022, arXiv 2204.06507); the least Mahalanobis
distance to a class under one covariance (Lee et al. 2018, arXiv 1807.03888), shrunk as Ledoit and Wolf say, and the same less
the distance to the mean of all classes under theirs (Ren et al. 2021, arXiv 2106.09022); energy at the temperature 1 (Liu et
al. 2020, arXiv 2010.03759); a rotation by 8 degrees. Sums take the two single scores that are best on the looked-at half, and
the two best of different kinds, each in deviations from its mean, or in its rank, among the images fitted on.
"""

import argparse
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.covariance import LedoitWolf
from sklearn.neighbors import KernelDensity, NearestNeighbors
from torch import Tensor
from torch.nn import functional
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import rotate

from benchmarks.reporting import RESULTS, write
from tagger.data import fashion_mnist, splits
from tagger.data.clothing import read_clothing_photos
from tagger.data.images import Images
from tagger.data.labels import NONE
from tagger.data.splits import kept_for_calibration, kept_for_reporting
from tagger.evaluation.evaluate import Evaluation, Example, evaluate
from tagger.evaluation.settings import EvaluateSettings
from tagger.inference.torch_network import photo_probabilities, photo_views, smaller
from tagger.metrics import classification
from tagger.models import bundle
from tagger.photos.decode import decode
from tagger.photos.product import extract_product
from tagger.records import Photo
from tagger.synthesis import mix

SEED, NEIGHBOURS, TURN, PASSED = 100, (10, 50), 8.0, 0.95

Floats: TypeAlias = NDArray[np.floating[Any]]


# Representation of images -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Representation:
    """Outputs and features of the network, and mask shapes, of n images."""

    labels: Floats
    """The labels' calibrated probabilities (n, labels); the remainder to 1 is the probability of none."""
    logits: Floats
    """The labels' logits (n, labels), mean of the views."""
    features: Floats
    """Inputs of the heads (n, width), mean of the views."""
    agreement: Floats
    """1 less the Jensen-Shannon divergence of the labels' probabilities over four views, as a share of its maximum (n,)."""
    shape: Floats
    """Solidity, extent and the logarithm of the aspect (n, 3)."""


def represent(model: bundle.Bundle, pixels: Tensor) -> Representation:
    """Return the representation of images uint8 (n, 1, 28, 28)."""
    chunks = [_represent_batch(model, some) for some in torch.split(pixels, 500)]
    return Representation(
        *(np.concatenate([getattr(chunk, name) for chunk in chunks]) for name in Representation.__dataclass_fields__)
    )


@torch.inference_mode()
def _represent_batch(model: bundle.Bundle, pixels: Tensor) -> Representation:
    network, temperature = model.network(), model.card.photo_temperature
    count = len(model.card.labels)
    averaged = [network.features(view) for view in photo_views(pixels)]
    head = network.photo_head or network.head
    turned = rotate(pixels.float(), TURN, InterpolationMode.BILINEAR)
    four = (pixels, pixels.flip(3), smaller(pixels), turned)
    # Of the labels alone: views of an OOD product agree very well on none of them.
    probabilities = torch.stack([functional.softmax(network.photo_logits(view)[:, :count] / temperature, 1) for view in four])
    return Representation(
        photo_probabilities(network, pixels, temperature)[:, :count].numpy(),
        torch.stack([head(features)[:, :count] for features in averaged]).mean(0).numpy(),
        torch.stack(averaged).mean(0).numpy(),
        (1 - (_entropy(probabilities.mean(0)) - _entropy(probabilities).mean(0)) / np.log(len(four))).numpy(),
        np.array([_shape(image) for image in pixels[:, 0].numpy()]),
    )


def _entropy(probabilities: Tensor) -> Tensor:
    return torch.special.entr(probabilities).sum(-1)


def _shape(image: NDArray[np.uint8]) -> tuple[float, float, float]:
    """Return solidity, extent and the logarithm of the aspect ratio of the foreground."""
    mask = (image > 0).astype(np.uint8)
    area = max(1, np.count_nonzero(mask))
    _, _, width, height = cv2.boundingRect(mask)
    hull = np.zeros_like(mask)
    if area > 1:
        cv2.fillConvexPoly(hull, cv2.convexHull(cv2.findNonZero(mask)), 1)
    box = max(1, width * height)
    return area / max(area, np.count_nonzero(hull)), area / box, float(np.log(max(1, width) / max(1, height)))


# Scores: higher for known products --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Score:
    """A score, the kind of its input, and its cost beyond the views that prediction takes anyway."""

    kind: str
    extra: str
    of: Callable[[Representation], Floats]


def single_scores(fitted: Representation, truth: NDArray[np.int64], has_none: bool) -> dict[str, Score]:
    """Return the single scores, fitted on known products with their classes (n,) where they have parameters."""
    scores = {
        "likeliest label (the confidence)": Score("probability", "none", lambda of: of.labels.max(1)),
        "likeliest label, of the labels alone": Score(
            "probability", "none", lambda of: of.labels.max(1) / np.maximum(of.labels.sum(1), 1e-12)
        ),
        "energy of the labels": Score("logit", "none", lambda of: np.logaddexp.reduce(of.logits, axis=1)),
        "highest logit of a label": Score("logit", "none", lambda of: of.logits.max(1)),
        "Mahalanobis distance": Score("feature", "a product with each class's mean", _mahalanobis(fitted, truth)),
        "Mahalanobis distance, relative": Score("feature", "the same twice", _relative_mahalanobis(fitted, truth)),
        "shape of the mask": Score("shape", "a hull and a density", _shapes(fitted)),
        "agreement of four views": Score("views", "a pass of the network", lambda of: of.agreement),
    }
    search = f"a search among {len(truth):,} neighbours"
    for count in NEIGHBOURS:
        scores[f"distance to neighbour {count}"] = Score("feature", search, _neighbours(fitted, count))
    if has_none:
        scores["1 - P(none)"] = Score("probability", "none", lambda of: of.labels.sum(1))
    return scores


def _mahalanobis(fitted: Representation, truth: NDArray[np.int64]) -> Callable[[Representation], Floats]:
    classes, rows = np.unique(truth, return_inverse=True)
    means = np.stack([fitted.features[truth == each].mean(0) for each in classes])
    precision = LedoitWolf(assume_centered=True).fit(fitted.features - means[rows]).precision_

    def score(of: Representation) -> Floats:
        apart = of.features[:, None] - means
        return -np.einsum("ncf,fg,ncg->nc", apart, precision, apart, optimize=True).min(1)

    return score


def _relative_mahalanobis(fitted: Representation, truth: NDArray[np.int64]) -> Callable[[Representation], Floats]:
    to_class, to_all = _mahalanobis(fitted, truth), _mahalanobis(fitted, np.zeros_like(truth))
    return lambda of: to_class(of) - to_all(of)


def _neighbours(fitted: Representation, count: int) -> Callable[[Representation], Floats]:
    among = NearestNeighbors(n_neighbors=min(count, len(fitted.features))).fit(_of_length_1(fitted.features))
    return lambda of: -among.kneighbors(_of_length_1(of.features))[0][:, -1]


def _of_length_1(features: Floats) -> Floats:
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)


def _shapes(fitted: Representation) -> Callable[[Representation], Floats]:
    mean, deviation = fitted.shape.mean(0), np.maximum(fitted.shape.std(0), 1e-6)
    density = KernelDensity(bandwidth="scott").fit((fitted.shape - mean) / deviation)
    return lambda of: density.score_samples((of.shape - mean) / deviation)


def sum_of_standardised(first: Score, second: Score, fitted: Representation) -> Callable[[Representation], Floats]:
    """Return the sum of two scores, each standardised by mean and deviation among the images fitted on."""
    known = [score.of(fitted) for score in (first, second)]
    scales = [(some.mean(), max(float(some.std()), 1e-9)) for some in known]

    def score(of: Representation) -> Floats:
        total: Floats = sum((one.of(of) - mean) / scale for one, (mean, scale) in zip((first, second), scales, strict=True))
        return total

    return score


def sum_of_ranks(first: Score, second: Score, fitted: Representation) -> Callable[[Representation], Floats]:
    """Return the sum of two scores, each as the share of the images fitted on that score lower."""
    known = [np.sort(score.of(fitted)) for score in (first, second)]

    def score(of: Representation) -> Floats:
        total: Floats = sum(
            np.searchsorted(some, one.of(of)) / len(some) for one, some in zip((first, second), known, strict=True)
        )
        return total

    return score


def sums(scores: Mapping[str, Score], best_first: Sequence[str], fitted: Representation) -> dict[str, Score]:
    """Return the sums of the two best scores and of the two best of different kinds."""
    first, second = best_first[:2]
    other = next(name for name in best_first if scores[name].kind != scores[first].kind)
    summed = {}
    for one in dict.fromkeys((second, other)):
        pair = (scores[first], scores[one])
        extra = ", ".join(dict.fromkeys(score.extra for score in pair if score.extra != "none")) or "none"
        summed[f"deviations of: {first} + {one}"] = Score("sum", extra, sum_of_standardised(*pair, fitted))
        summed[f"ranks of: {first} + {one}"] = Score("sum", extra, sum_of_ranks(*pair, fitted))
    return summed


# Data --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ScoredPhotos:
    """The photos to score: their rows, which of them show a product, and the representation of these."""

    rows: Sequence[Example]
    found: NDArray[np.bool_]
    representation: Representation

    def scored(self, score: Score) -> Floats:
        """Return the score of every row; rows without a product get less than any other."""
        values = np.empty(len(self.rows))
        values[self.found] = score.of(self.representation)
        values[~self.found] = values[self.found].min() - 1
        return values


def read_photos(evaluation: Evaluation, model: bundle.Bundle, without: set[Path]) -> ScoredPhotos:
    """Return the photos of all sources, except for the files that scores were fitted on."""
    rows, garments = [], []
    for row in (row for some in evaluation.sources.values() for row in some):
        photo = decode(row.file) if row.file and row.file.resolve() not in without else None
        if isinstance(photo, Photo):
            rows.append(row)
            garments.append(extract_product(photo))
    found = np.array([one.found for one in garments])
    pixels = np.stack([one.pixels for one in garments if one.found])
    return ScoredPhotos(rows, found, represent(model, torch.from_numpy(pixels)[:, None]))


def photos_to_fit(options: argparse.Namespace) -> tuple[Images, set[Path]]:
    """Return the known products to fit scores on, and all the photos of the senders whose photos are among them."""
    held_out = splits.validation_split(fashion_mnist.load_fashion_mnist("train", options.data))[1]
    parts = [mix.variants_of(held_out, 1, SEED)]
    files: set[Path] = set()
    if options.photos:
        name = options.photos.resolve().name
        chosen = [photo for photo in read_clothing_photos(options.photos) if _calibrates(name, photo.group)]
        cuts = mix.product_cuts([photo for photo in chosen if photo.label != NONE])
        files = {photo.file.resolve() for photo in chosen}
        pixels = np.stack([mix.centred(cut.product) for cut in cuts])
        parts.append(Images(torch.from_numpy(pixels)[:, None], torch.tensor([cut.label for cut in cuts])))
    return mix.concatenate(parts), files


def _calibrates(folder: str, group: str) -> bool:
    return kept_for_calibration(folder, group) and not kept_for_reporting(folder, group)


@dataclass(frozen=True)
class Comparison:
    """OOD products to separate from known products, both as masks of rows (n,)."""

    name: str
    against: str
    known: NDArray[np.bool_]
    ood: NDArray[np.bool_]
    trained_on: bool
    """Whether the bundle was trained on the looked-at half."""


def comparisons(evaluation: Evaluation, rows: Sequence[Example], photos: Path | None) -> list[Comparison]:
    """Return a comparison for every source with OOD products."""
    sources = evaluation.sources
    clear = [
        name for name, some in sources.items() if any(row.known for row in some) and not any(row.ambiguous for row in some)
    ]
    known = np.array([row.known for row in rows])
    names = {id(row): name for name, some in sources.items() for row in some}
    of_row = np.array([names[id(row)] for row in rows])
    compared = []
    for name in sources:
        ood = ~known & (of_row == name)
        against = [name] if (known & (of_row == name)).any() else clear
        chosen = known & np.isin(of_row, against)
        if ood.any() and chosen.any():
            trained_on = photos is not None and any(row.file and _lies_in(row.file, photos) for row in sources[name])
            compared.append(Comparison(name, " + ".join(against), chosen, ood, trained_on))
    return compared


def _lies_in(file: Path, folder: Path) -> bool:
    return file.resolve().is_relative_to(folder.resolve())


# The report --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Halves:
    """The rows of both halves, as masks (n,)."""

    looked_at: NDArray[np.bool_]
    kept: NDArray[np.bool_]


def report(options: argparse.Namespace) -> Iterator[str]:
    """Yield the lines of the report."""
    evaluation = evaluate(EvaluateSettings(tuple(options.folders), model=options.model, device="cpu"))
    model = bundle.load(options.model)
    known, files = photos_to_fit(options)
    photos = read_photos(evaluation, model, files)
    kept = np.array([row.kept for row in photos.rows])
    halves = Halves(~kept, kept)
    compared = comparisons(evaluation, photos.rows, options.photos)
    if not compared:
        raise SystemExit(
            "The folders hold no OOD products (label OOD), or no known products to compare them with; add such a folder."
        )
    fitted = represent(model, known.pixels)
    has_none = model.card.network.photo_classes > len(model.card.labels)
    scores = single_scores(fitted, known.labels.numpy(), has_none)
    order = _best_first(scores, photos, compared, halves)
    scores |= sums(scores, order, fitted)
    yield f"# OOD scores, {evaluation.model}\n"
    yield f"`python -m benchmarks.robustness.ood {shlex.join(sys.argv[1:])}`\n"
    yield f"Fitted on {len(known):,} images of known products; {len(files)} photos of their senders are left out below.\n"
    yield from _sizes(photos.rows, compared, halves)
    yield from _table(scores, photos, compared, halves)


def _best_first(scores: Mapping[str, Score], photos: ScoredPhotos, compared: Sequence[Comparison], halves: Halves) -> list[str]:
    """Return the scores' names by their mean AUROC on the looked-at halves, of sources not trained on if possible."""
    unseen = [one for one in compared if not one.trained_on] or compared

    def mean(name: str) -> float:
        values = photos.scored(scores[name])
        areas = [_area(values, one, halves.looked_at) for one in unseen]
        return float(np.mean([0 if area is None else area for area in areas]))

    return sorted(scores, key=mean, reverse=True)


def _area(values: Floats, one: Comparison, half: NDArray[np.bool_]) -> float | None:
    known, ood = values[one.known & half], values[one.ood & half]
    return classification.auroc(known, ood) if len(known) and len(ood) else None


def _flagged(values: Floats, one: Comparison, half: NDArray[np.bool_]) -> float | None:
    known, ood = values[one.known & half], values[one.ood & half]
    if not len(known) or not len(ood):
        return None
    return float((ood < np.quantile(known, 1 - PASSED, method="lower")).mean())


def _sizes(rows: Sequence[Example], compared: Sequence[Comparison], halves: Halves) -> Iterator[str]:
    yield "| OOD products of | half | n (groups) | known products of | n (groups) | bundle trained on it |"
    yield "|---|---|---|---|---|---|"
    for one in compared:
        for title, half in (("looked at", halves.looked_at), ("kept", halves.kept)):
            ood, known = _size(rows, one.ood & half), _size(rows, one.known & half)
            trained_on = "yes" if one.trained_on and half is halves.looked_at else "no"
            yield f"| {one.name} | {title} | {ood} | {one.against} | {known} | {trained_on} |"


def _size(rows: Sequence[Example], marks: NDArray[np.bool_]) -> str:
    groups = {row.group for row, mark in zip(rows, marks, strict=True) if mark}
    return f"{marks.sum()} ({len(groups)})"


def _table(scores: Mapping[str, Score], photos: ScoredPhotos, compared: Sequence[Comparison], halves: Halves) -> Iterator[str]:
    titles = [
        f"{one.name}, {half}: {metric}"
        for one in compared
        for half in ("looked at", "kept")
        for metric in ("AUROC", f"flagged when {PASSED:.0%} of the known pass")
    ]
    yield f"\n| score | extra cost | {' | '.join(titles)} |"
    yield f"|{'---|' * (len(titles) + 2)}"
    for name in _best_first(scores, photos, compared, halves):
        values = photos.scored(scores[name])
        metrics = [
            metric(values, one, half)
            for one in compared
            for half in (halves.looked_at, halves.kept)
            for metric in (_area, _flagged)
        ]
        cells = ("-" if metric is None else f"{metric:.3f}" for metric in metrics)
        yield f"| {name} | {scores[name].extra} | {' | '.join(cells)} |"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, write the report and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", help="folders of photos with a labels.csv")
    parser.add_argument("--model", default="catalog", help="a bundle's name or folder")
    parser.add_argument("--photos", type=Path, help="the folder of labelled photos that the bundle was trained with")
    parser.add_argument("--data", type=Path, help="a folder with Fashion-MNIST's four files")
    parser.add_argument("--out", type=Path, default=RESULTS / "ood.md")
    options = parser.parse_args(arguments)
    write(options.out, report(options))


if __name__ == "__main__":
    main()
