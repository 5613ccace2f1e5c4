"""Scores for "none of my classes" side by side: how well each tells strangers from photos of known products.

    python benchmarks/ood.py FOLDERS... [--model catalog] [--photos DIR] [--data DIR] [--out benchmarks/ood.md]

Each folder has a labels.csv (path,label,kind,group). A folder with both strangers and known products is compared within; one
of strangers alone with the known products of all folders without loosely mapped kinds, joined.

What a score needs, such as the classes' means, is fitted on variants of held-out pictures of Fashion-MNIST, made as the mix
makes them, and on the cuts of the known products in `--photos` (the folder that the bundle was trained with), of those senders
alone that calibration may see. No score is fitted on a picture of a stranger, and no figure counts a sender fitted on. The
bundle itself has learnt from that folder's other looked-at senders, strangers among them, so its looked-at column flatters
whatever rests on the network, and rows are sorted without it where there is another.

Scores of the network are means over the views of `predict`, at no extra cost, but for the agreement of views, which takes
one more. A photo without a product has the lowest score. The threshold of each column "flagged" lets at least 95 % of the known
photos of that same half pass.

What was chosen: features of length 1 for the distance to a neighbour (Sun et al. 2022, arXiv 2204.06507); the least Mahalanobis
distance to a class under one covariance (Lee et al. 2018, arXiv 1807.03888), shrunk as Ledoit and Wolf say, and the same less
the distance to the mean of all classes under theirs (Ren et al. 2021, arXiv 2106.09022); energy at the temperature 1 (Liu et
al. 2020, arXiv 2010.03759); a turn by 8 degrees. Sums take the two single scores that are best on the looked-at half, and the
two best of different kinds, each in deviations from its mean, or in its rank, among the pictures fitted on.
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
from reporting import write
from sklearn.covariance import LedoitWolf
from sklearn.neighbors import KernelDensity, NearestNeighbors
from torch import Tensor
from torch.nn import functional
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import rotate

from tagger.data import fashion_mnist
from tagger.data.clothing import read_clothing_photos
from tagger.data.images import Images
from tagger.data.labels import NONE
from tagger.data.splits import kept_for_calibration, kept_for_reporting, validation_split
from tagger.evaluation.evaluate import Evaluation, Example, evaluate
from tagger.evaluation.settings import EvaluateSettings
from tagger.inference.predictor import photo_probabilities, photo_views, smaller
from tagger.metrics import classification
from tagger.models import bundle
from tagger.photos.decode import decode
from tagger.photos.product import extract_product
from tagger.records import Photo
from tagger.synthesis import mix

HERE = Path(__file__).resolve().parent

SEED, NEIGHBOURS, TURN, PASSING = 100, (10, 50), 8.0, 0.95

Floats: TypeAlias = NDArray[np.floating[Any]]


# What is seen of pictures ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Seen:
    """What the network and the eye see of n pictures."""

    labels: Floats
    """The labels' calibrated probabilities (n, labels); what they lack to 1 is that of none."""
    logits: Floats
    """The labels' logits (n, labels), mean of the views."""
    features: Floats
    """What the heads see (n, width), mean of the views."""
    agreement: Floats
    """1 less the Jensen-Shannon divergence of what four views say of the labels, in units of its highest value (n,)."""
    shape: Floats
    """Solidity, extent and the logarithm of the aspect (n, 3)."""


def seen(model: bundle.Bundle, pixels: Tensor) -> Seen:
    """Return what is seen of pictures uint8 (n, 1, 28, 28)."""
    chunks = [_seen_at_once(model, some) for some in torch.split(pixels, 500)]
    return Seen(*(np.concatenate([getattr(chunk, name) for chunk in chunks]) for name in Seen.__dataclass_fields__))


@torch.inference_mode()
def _seen_at_once(model: bundle.Bundle, pixels: Tensor) -> Seen:
    network, temperature = model.network(), model.card.photo_temperature
    count = len(model.card.labels)
    averaged = [network.features(view) for view in photo_views(pixels)]
    head = network.photo_head or network.head
    turned = rotate(pixels.float(), TURN, InterpolationMode.BILINEAR)
    four = (pixels, pixels.flip(3), smaller(pixels), turned)
    # Of the labels alone: views of a stranger agree very well that it is none of them.
    said = torch.stack([functional.softmax(network.photo_logits(view)[:, :count] / temperature, 1) for view in four])
    return Seen(
        photo_probabilities(network, pixels, temperature)[:, :count].numpy(),
        torch.stack([head(features)[:, :count] for features in averaged]).mean(0).numpy(),
        torch.stack(averaged).mean(0).numpy(),
        (1 - (_entropy(said.mean(0)) - _entropy(said).mean(0)) / np.log(len(four))).numpy(),
        np.array([_shape(picture) for picture in pixels[:, 0].numpy()]),
    )


def _entropy(probabilities: Tensor) -> Tensor:
    return torch.special.entr(probabilities).sum(-1)


def _shape(picture: NDArray[np.uint8]) -> tuple[float, float, float]:
    """Return solidity, extent and the logarithm of the aspect of what is not background."""
    mask = (picture > 0).astype(np.uint8)
    area = max(1, np.count_nonzero(mask))
    _, _, width, height = cv2.boundingRect(mask)
    hull = np.zeros_like(mask)
    if area > 1:
        cv2.fillConvexPoly(hull, cv2.convexHull(cv2.findNonZero(mask)), 1)
    box = max(1, width * height)
    return area / max(area, np.count_nonzero(hull)), area / box, float(np.log(max(1, width) / max(1, height)))


# Scores: the higher, the more a picture looks like a known product -------------------------------------------------


@dataclass(frozen=True)
class Score:
    """A score, what it rests on and what it costs beyond the views that are taken anyway."""

    kind: str
    extra: str
    of: Callable[[Seen], Floats]


def single_scores(fitted: Seen, truth: NDArray[np.int64], has_none: bool) -> dict[str, Score]:
    """Return the single scores, fitted on known products with their classes (n,) where they need it."""
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


def _mahalanobis(fitted: Seen, truth: NDArray[np.int64]) -> Callable[[Seen], Floats]:
    classes, rows = np.unique(truth, return_inverse=True)
    means = np.stack([fitted.features[truth == each].mean(0) for each in classes])
    precision = LedoitWolf(assume_centered=True).fit(fitted.features - means[rows]).precision_

    def score(of: Seen) -> Floats:
        apart = of.features[:, None] - means
        return -np.einsum("ncf,fg,ncg->nc", apart, precision, apart, optimize=True).min(1)

    return score


def _relative_mahalanobis(fitted: Seen, truth: NDArray[np.int64]) -> Callable[[Seen], Floats]:
    to_class, to_all = _mahalanobis(fitted, truth), _mahalanobis(fitted, np.zeros_like(truth))
    return lambda of: to_class(of) - to_all(of)


def _neighbours(fitted: Seen, count: int) -> Callable[[Seen], Floats]:
    among = NearestNeighbors(n_neighbors=min(count, len(fitted.features))).fit(_of_length_1(fitted.features))
    return lambda of: -among.kneighbors(_of_length_1(of.features))[0][:, -1]


def _of_length_1(features: Floats) -> Floats:
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)


def _shapes(fitted: Seen) -> Callable[[Seen], Floats]:
    mean, deviation = fitted.shape.mean(0), np.maximum(fitted.shape.std(0), 1e-6)
    density = KernelDensity(bandwidth="scott").fit((fitted.shape - mean) / deviation)
    return lambda of: density.score_samples((of.shape - mean) / deviation)


def in_deviations(first: Score, second: Score, fitted: Seen) -> Callable[[Seen], Floats]:
    """Return the sum of two scores, each in deviations from its mean among the pictures fitted on."""
    known = [score.of(fitted) for score in (first, second)]
    scales = [(some.mean(), max(float(some.std()), 1e-9)) for some in known]

    def score(of: Seen) -> Floats:
        total: Floats = sum((one.of(of) - mean) / scale for one, (mean, scale) in zip((first, second), scales, strict=True))
        return total

    return score


def in_ranks(first: Score, second: Score, fitted: Seen) -> Callable[[Seen], Floats]:
    """Return the sum of the shares of the pictures fitted on that score lower."""
    known = [np.sort(score.of(fitted)) for score in (first, second)]

    def score(of: Seen) -> Floats:
        total: Floats = sum(
            np.searchsorted(some, one.of(of)) / len(some) for one, some in zip((first, second), known, strict=True)
        )
        return total

    return score


def sums(scores: Mapping[str, Score], best_first: Sequence[str], fitted: Seen) -> dict[str, Score]:
    """Return the sums of the two best scores and of the two best of different kinds."""
    first, second = best_first[:2]
    other = next(name for name in best_first if scores[name].kind != scores[first].kind)
    summed = {}
    for one in dict.fromkeys((second, other)):
        pair = (scores[first], scores[one])
        extra = ", ".join(dict.fromkeys(score.extra for score in pair if score.extra != "none")) or "none"
        summed[f"deviations of: {first} + {one}"] = Score("sum", extra, in_deviations(*pair, fitted))
        summed[f"ranks of: {first} + {one}"] = Score("sum", extra, in_ranks(*pair, fitted))
    return summed


# Data --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Shown:
    """The photos to tell apart: their rows, which of them show a product, and what is seen of these."""

    rows: Sequence[Example]
    found: NDArray[np.bool_]
    seen: Seen

    def scored(self, score: Score) -> Floats:
        """Return the score of every row; where no product was found, less than any other."""
        values = np.empty(len(self.rows))
        values[self.found] = score.of(self.seen)
        values[~self.found] = values[self.found].min() - 1
        return values


def shown(evaluation: Evaluation, model: bundle.Bundle, without: set[Path]) -> Shown:
    """Return the photos of all sources, but for the files that scores were fitted on."""
    rows, garments = [], []
    for row in (row for some in evaluation.sources.values() for row in some):
        photo = decode(row.file) if row.file and row.file.resolve() not in without else None
        if isinstance(photo, Photo):
            rows.append(row)
            garments.append(extract_product(photo))
    found = np.array([one.found for one in garments])
    pixels = np.stack([one.pixels for one in garments if one.found])
    return Shown(rows, found, seen(model, torch.from_numpy(pixels)[:, None]))


def fitted_on(options: argparse.Namespace) -> tuple[Images, set[Path]]:
    """Return the known products to fit scores on, and all the photos of the senders whose photos are among them."""
    held_out = validation_split(fashion_mnist.load_fashion_mnist("train", options.data))[1]
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
    """Strangers against known products, both as marks of rows (n,)."""

    name: str
    against: str
    known: NDArray[np.bool_]
    strangers: NDArray[np.bool_]
    learnt: bool
    """Whether the bundle learnt from the looked-at half."""


def comparisons(evaluation: Evaluation, rows: Sequence[Example], photos: Path | None) -> list[Comparison]:
    """Return a comparison for every source with strangers."""
    sources = evaluation.sources
    clear = [
        name for name, some in sources.items() if any(row.known for row in some) and not any(row.ambiguous for row in some)
    ]
    known = np.array([row.known for row in rows])
    names = {id(row): name for name, some in sources.items() for row in some}
    of_row = np.array([names[id(row)] for row in rows])
    compared = []
    for name in sources:
        strangers = ~known & (of_row == name)
        against = [name] if (known & (of_row == name)).any() else clear
        chosen = known & np.isin(of_row, against)
        if strangers.any() and chosen.any():
            learnt = photos is not None and any(row.file and _lies_in(row.file, photos) for row in sources[name])
            compared.append(Comparison(name, " + ".join(against), chosen, strangers, learnt))
    return compared


def _lies_in(file: Path, folder: Path) -> bool:
    return file.resolve().is_relative_to(folder.resolve())


# The report --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Halves:
    """The rows of both halves, as marks (n,)."""

    looked_at: NDArray[np.bool_]
    kept: NDArray[np.bool_]


def report(options: argparse.Namespace) -> Iterator[str]:
    """Yield the lines of the report."""
    evaluation = evaluate(EvaluateSettings(tuple(options.folders), model=options.model, device="cpu"))
    model = bundle.load(options.model)
    known, files = fitted_on(options)
    photos = shown(evaluation, model, files)
    kept = np.array([row.kept for row in photos.rows])
    halves = Halves(~kept, kept)
    compared = comparisons(evaluation, photos.rows, options.photos)
    if not compared:
        raise SystemExit("There are no strangers in these folders, or nothing known to compare them with.")
    fitted = seen(model, known.pixels)
    has_none = model.card.network.photo_classes > len(model.card.labels)
    scores = single_scores(fitted, known.labels.numpy(), has_none)
    order = _best_first(scores, photos, compared, halves)
    scores |= sums(scores, order, fitted)
    yield f"# None of the classes: scores side by side, {evaluation.model}\n"
    yield f"`python benchmarks/ood.py {shlex.join(sys.argv[1:])}`\n"
    yield f"Fitted on {len(known):,} pictures of known products; {len(files)} photos of their senders are left out below.\n"
    yield from _sizes(photos.rows, compared, halves)
    yield from _table(scores, photos, compared, halves)


def _best_first(scores: Mapping[str, Score], photos: Shown, compared: Sequence[Comparison], halves: Halves) -> list[str]:
    """Return the scores' names by their mean AUROC on the looked-at halves, of those not learnt from if there are any."""
    unlearnt = [one for one in compared if not one.learnt] or compared

    def mean(name: str) -> float:
        values = photos.scored(scores[name])
        areas = [_area(values, one, halves.looked_at) for one in unlearnt]
        return float(np.mean([0 if area is None else area for area in areas]))

    return sorted(scores, key=mean, reverse=True)


def _area(values: Floats, one: Comparison, half: NDArray[np.bool_]) -> float | None:
    known, strangers = values[one.known & half], values[one.strangers & half]
    return classification.auroc(known, strangers) if len(known) and len(strangers) else None


def _flagged(values: Floats, one: Comparison, half: NDArray[np.bool_]) -> float | None:
    known, strangers = values[one.known & half], values[one.strangers & half]
    if not len(known) or not len(strangers):
        return None
    return float((strangers < np.quantile(known, 1 - PASSING, method="lower")).mean())


def _sizes(rows: Sequence[Example], compared: Sequence[Comparison], halves: Halves) -> Iterator[str]:
    yield "| strangers of | half | n (groups) | known products of | n (groups) | the bundle learnt from it |"
    yield "|---|---|---|---|---|---|"
    for one in compared:
        for title, half in (("looked at", halves.looked_at), ("kept", halves.kept)):
            strangers, known = _size(rows, one.strangers & half), _size(rows, one.known & half)
            learnt = "yes" if one.learnt and half is halves.looked_at else "no"
            yield f"| {one.name} | {title} | {strangers} | {one.against} | {known} | {learnt} |"


def _size(rows: Sequence[Example], marks: NDArray[np.bool_]) -> str:
    groups = {row.group for row, mark in zip(rows, marks, strict=True) if mark}
    return f"{marks.sum()} ({len(groups)})"


def _table(scores: Mapping[str, Score], photos: Shown, compared: Sequence[Comparison], halves: Halves) -> Iterator[str]:
    titles = [
        f"{one.name}, {half}: {figure}"
        for one in compared
        for half in ("looked at", "kept")
        for figure in ("AUROC", f"flagged when {PASSING:.0%} of the known pass")
    ]
    yield f"\n| score | extra cost | {' | '.join(titles)} |"
    yield f"|{'---|' * (len(titles) + 2)}"
    for name in _best_first(scores, photos, compared, halves):
        values = photos.scored(scores[name])
        figures = [
            figure(values, one, half)
            for one in compared
            for half in (halves.looked_at, halves.kept)
            for figure in (_area, _flagged)
        ]
        cells = ("-" if figure is None else f"{figure:.3f}" for figure in figures)
        yield f"| {name} | {scores[name].extra} | {' | '.join(cells)} |"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, write the report and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", help="folders of photos with a labels.csv")
    parser.add_argument("--model", default="catalog", help="a bundle's name or folder")
    parser.add_argument("--photos", type=Path, help="the folder of labelled photos that the bundle was trained with")
    parser.add_argument("--data", type=Path, help="a folder with Fashion-MNIST's four files")
    parser.add_argument("--out", type=Path, default=HERE / "ood.md")
    options = parser.parse_args(arguments)
    write(options.out, report(options))


if __name__ == "__main__":
    main()
