"""Rows of the ablation of the backbone: what is varied, section by section."""

import argparse
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import fields, replace
from functools import cache, cached_property
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import numpy as np
from safetensors.torch import save_file

from benchmarks.accuracy import backbone_networks as networks
from benchmarks.accuracy.backbone_cache import PictureSet, View, training_set
from benchmarks.accuracy.backbone_finetuning import fine_tuned
from benchmarks.accuracy.backbone_floats import FloatFusion
from benchmarks.accuracy.backbone_photos import (
    Evidence,
    Photos,
    Scores,
    cells,
    kinds_of,
    small_parts,
    spread_to_parts,
    uncut,
    whole_figures,
)
from tagger.arrays import Float32s
from tagger.data.fashion_mnist import load_fashion_mnist
from tagger.data.labels import GROUPS, NONE
from tagger.data.splits import validation_split
from tagger.inference.fused import PLAIN, choice_probabilities, fused_probabilities
from tagger.inference.predictor import Predictor
from tagger.models import bundle
from tagger.models.efficientnet import averaged
from tagger.models.fusion import Fusion
from tagger.training import fusion as training
from tagger.training import fusion_pictures
from tagger.training.fusion_pictures import Pictures

SMALL = "catalog-small"
"""Bundle of the small network."""

EXPONENTS = (
    (0.5, 0.7, 0.2),
    (0.5, 0.7, 0.35),
    (0.5, 0.7, 0.5),
    (0.5, 0.7, 0.7),
    (0.5, 0.7, 1.0),
    (0.3, 0.7, 0.7),
    (0.7, 0.7, 0.7),
    (0.5, 0.35, 0.7),
    (0.5, 1.0, 0.7),
    (0.3, 0.5, 0.3),
    (1.0, 1.0, 1.0),
)
"""Weights of the logarithms of the small network, ImageNet's classes and the head that are compared."""

COMPONENTS = (64, 128, 240)
"""Numbers of stored components that are compared."""

HEADS = ((96, 3e-4), (128, 3e-4), (160, 3e-4), (240, 3e-4), (128, 1e-3), (240, 1e-3))
"""Numbers of components and strengths of the regularization of heads that are compared."""

HEAD_WEIGHTS = (0.35, 0.5, 0.7)
"""Weights of the head's logarithm that are compared for each of them."""

ASKED_BELOW = (0.5, 0.7, 0.8, 0.9, 0.95, 0.99, 1.01)
"""Confidences of the small network below which the backbone is run."""

AVERAGED = (0.25, 0.5)
"""Weights of the fine-tuned network in its average with the published one (WiSE-FT, arXiv 2109.01903)."""


EVERY = 3
"""Where networks are compared, the heads of all learn from photos and every such staged and painted picture, to save hours."""


class Network(NamedTuple):
    """A network and the view it is shown."""

    name: str
    graph: Callable[[], bytes]
    view: View = networks.plain


class Inputs:
    """Pictures and photos of the benchmark, and what networks say about them."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.cache: Path = options.cache
        self.backbone: Path = options.backbone
        self.lite0 = Network("lite0-224", networks.lite0(options.backbone))
        self.photos = {
            name: Photos(folder, options.cache, name == "home")
            for name, folder in zip(("packshots", "on-model", "other-products", "home"), options.folders, strict=True)
        }
        self._training_photos: Path = options.photos
        self._images, self._held_out = (
            (part.pixels[:, 0].numpy(), part.labels.numpy())
            for part in validation_split(load_fashion_mnist("train", options.data))
        )
        self.train, self.calibration = self._training_sets("")

    def _training_sets(self, suffix: str) -> tuple[PictureSet, PictureSet]:
        sources = ("train", self._images, False), ("calibration", self._held_out, True)
        learning, calibrating = (
            training_set(self.cache / f"{name}{suffix}", self._training_photos, images, calibration)
            for name, images, calibration in sources
        )
        return learning, calibrating

    @cached_property
    def predictor(self) -> Predictor:
        """The small network."""
        return Predictor(bundle.load(SMALL), "cpu")

    def evidence(self, pictures: PictureSet, network: Network) -> Evidence:
        """Return what both networks say about pictures."""
        return Evidence(pictures.by_small(self.predictor), *pictures.by_backbone(*network))

    def learning(self, pictures: PictureSet, network: Network) -> Pictures:
        """Return pictures to learn from or to calibrate on, as `training.fusion` takes them."""
        sorts = np.array([row["sort"] for row in pictures.rows])
        classes = np.array([row["class"] for row in pictures.rows], np.int64)
        small = PictureSet(pictures.folder).by_small(self.predictor)[pictures.numbers]
        if network == self.lite0:
            seen = [part[pictures.numbers] for part in PictureSet(pictures.folder).by_backbone(*network)]
        else:
            seen = list(pictures.by_backbone(*network))
        return Pictures(classes, sorts == "painted", sorts == "staged", small, *seen)

    @cache  # noqa: B019 there is one of it
    def fusion(self, network: Network, every: int = 1) -> Fusion:
        """Return the fusion fitted to and calibrated on the pictures, or on every such one, as a network sees them."""
        train, calibration = (PictureSet(pictures.folder, every) for pictures in (self.train, self.calibration))
        return training.calibrated(training.fit_fusion(self.learning(train, network)), self.learning(calibration, network))

    @cache  # noqa: B019 there is one of it
    def with_boxes(self) -> tuple[Pictures, Pictures]:
        """Return the pictures to learn from and to calibrate on, with the plain box of each photo beside its cut."""
        none = dict.fromkeys(fusion_pictures.PAINTED, 0)
        with uncut(), patch.multiple(fusion_pictures, STAGED=0, PAINTED=none):
            boxes = self._training_sets("-box")
        learning, calibrating = (
            _joined(self.learning(cut, self.lite0), self.learning(box, self.lite0))
            for cut, box in zip((self.train, self.calibration), boxes, strict=True)
        )
        return learning, calibrating

    def recalibrated(self, fusion: Fusion) -> Fusion:
        """Return a fusion of the published network calibrated anew."""
        return training.calibrated(fusion, self.learning(self.calibration, self.lite0))

    def seen(self, network: Network | None = None, cut: str = "cut") -> dict[str, tuple[PictureSet, Evidence]]:
        """Return what both networks say about the photos of each folder."""
        sets = {name: photos.pictures(cut) for name, photos in self.photos.items()}
        return {name: (pictures, self.evidence(pictures, network or self.lite0)) for name, pictures in sets.items()}


Seen = Mapping[str, tuple[PictureSet, Evidence]]


def predicted(fusion: Fusion, pictures: PictureSet, evidence: Evidence) -> tuple[Float32s, Float32s]:
    """Return a fusion's probabilities of pictures (n, labels + 1), and those that parts of a person are chosen by."""
    embeddings = fusion.embed(*evidence, kinds_of(pictures))
    return fused_probabilities(fusion, embeddings, GROUPS), choice_probabilities(fusion, embeddings)


def scores_of(inputs: Inputs, fusion: Fusion, seen: Seen) -> dict[str, Scores]:
    """Return the scores of each folder."""
    return {
        name: inputs.photos[name].decided(pictures, *predicted(fusion, pictures, evidence))
        for name, (pictures, evidence) in seen.items()
    }


def row(title: str, inputs: Inputs, fusion: Fusion, seen: Seen) -> list[str]:
    """Return a row of the report, and print it, as some take minutes."""
    found = [title, *cells(scores_of(inputs, fusion, seen))]
    print(" | ".join(found), flush=True)
    return found


# Sections -----------------------------------------------------------------------------------------------------------


def of_witnesses(inputs: Inputs) -> Iterator[list[str]]:
    """Yield rows for the small network, ImageNet's classes and the head, alone and together."""
    seen, fusion = inputs.seen(), inputs.fusion(inputs.lite0)
    small = {
        name: inputs.photos[name].decided(pictures, evidence.small, evidence.small)
        for name, (pictures, evidence) in seen.items()
    }
    yield [f"small network as {SMALL} ships it", *cells(small)]
    names = ("small network", "ImageNet's classes", "head")
    for mask in ((1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, 0, 1), (0, 1, 1), (1, 1, 1)):
        kept = np.array(mask, np.float32)
        masked = replace(fusion, exponents=fusion.exponents * kept, none_weight=fusion.none_weight * kept)
        title = " and ".join(name for name, here in zip(names, mask, strict=True) if here)
        yield row(title, inputs, inputs.recalibrated(masked), seen)


def of_exponents(inputs: Inputs) -> Iterator[list[str]]:
    """Yield a row for each choice of the three weights."""
    seen, fusion = inputs.seen(), inputs.fusion(inputs.lite0)
    for exponents in EXPONENTS:
        shipped = " (shipped)" if exponents == training.EXPONENTS else ""
        chosen = inputs.recalibrated(replace(fusion, exponents=np.array(exponents, np.float32)))
        yield row(f"{', '.join(map(str, exponents))}{shipped}", inputs, chosen, seen)


def of_views(inputs: Inputs) -> Iterator[list[str]]:
    """Yield rows for what the backbone is shown."""
    fusion, cut = inputs.fusion(inputs.lite0), inputs.seen()
    yield row("the product cut out (shipped)", inputs, fusion, cut)
    with uncut():
        box = inputs.seen(cut="box")
    yield row("the plain box of the photo", inputs, fusion, box)
    yield row("the plain box, but people cut out", inputs, fusion, plain_unless_worn(inputs))
    yield row("cut out and plain box, mean", inputs, fusion, _mean(cut, box))
    for title, view in (
        ("cut out and its mirror image, mean", networks.mirrored),
        ("cut out and its upper middle enlarged, mean", networks.upper_half),
        ("cut out and its middle enlarged, mean", networks.centre),
    ):
        other = inputs.seen(Network(f"lite0-224-{view.__name__}", inputs.lite0.graph, view))
        yield row(title, inputs, fusion, _mean(cut, other))
    with whole_figures():
        whole = inputs.seen(cut="figure")
    yield row("people from head to foot, in colour alone", inputs, fusion, _with_colour_of(cut, whole))
    yield row("people from head to foot, both networks", inputs, fusion, whole)
    coarse = {name: photos.pictures("160", small_parts) for name, photos in inputs.photos.items()}
    coarse_seen = {name: (pictures, inputs.evidence(pictures, inputs.lite0)) for name, pictures in coarse.items()}
    yield row("photos shrunk to 160 pixels first", inputs, fusion, coarse_seen)
    smaller = Network("lite0-160", networks.lite0(inputs.backbone, 160), networks.resized(160))
    yield row("160 pixels, head as it is", inputs, fusion, inputs.seen(smaller))
    yield row("224 pixels, head fitted to fewer pictures", inputs, inputs.fusion(inputs.lite0, EVERY), cut)
    yield row("160 pixels, head fitted anew to fewer pictures", inputs, inputs.fusion(smaller, EVERY), inputs.seen(smaller))


def plain_unless_worn(inputs: Inputs) -> Seen:
    """Return the outputs for the plain box of photos, and for the cut of people."""
    with uncut():
        box = inputs.seen(cut="box")
    mixed = {}
    for name, (pictures, cut) in inputs.seen().items():
        worn = (kinds_of(pictures) != PLAIN)[:, None]
        pairs = zip(cut[1:], box[name][1][1:], strict=True)
        mixed[name] = (pictures, Evidence(cut.small, *(np.where(worn, mine, other) for mine, other in pairs)))
    return mixed


def _mean(first: Seen, second: Seen) -> Seen:
    """Return the mean of what the backbone says about two views of each picture."""
    means = {}
    for name, (pictures, evidence) in first.items():
        pairs = zip(evidence[1:], second[name][1][1:], strict=True)
        means[name] = (pictures, Evidence(evidence.small, *(((one + other) / 2).astype(np.float32) for one, other in pairs)))
    return means


def _with_colour_of(cut: Seen, whole: Seen) -> Seen:
    """Return what the small network says about each part, and the backbone about the whole figure."""
    both = {}
    for name, (pictures, evidence) in cut.items():
        rows = spread_to_parts(whole[name][0], pictures)
        figure = whole[name][1]
        both[name] = (pictures, evidence._replace(features=figure.features[rows], logits=figure.logits[rows]))
    return both


def of_lessons(inputs: Inputs) -> Iterator[list[str]]:
    """Yield rows for what the head learns from; normalization and components stay those of all pictures."""
    seen, learning = inputs.seen(), inputs.learning(inputs.train, inputs.lite0)
    yield row("all pictures (shipped)", inputs, inputs.fusion(inputs.lite0), seen)
    without: dict[str, AbstractContextManager[object]] = {
        "without staged ones": patch.object(training, "STAGED_WEIGHT", 0.0),
        "without painted ones": patch.object(training, "PAINTED_WEIGHT", 0.0),
        "painted ones with a third of the weight": patch.object(training, "PAINTED_WEIGHT", training.PAINTED_WEIGHT / 3),
        "without photos, staged or not": patch.object(training, "_weights", _weights_of_painted),
        "photos alone": patch.multiple(training, STAGED_WEIGHT=0.0, PAINTED_WEIGHT=0.0),
    }
    for title, change in without.items():
        with change:
            fusion = training.fit_fusion(learning)
        yield row(title, inputs, inputs.recalibrated(fusion), seen)


def _weights_of_painted(pictures: Pictures) -> "np.ndarray[tuple[int, ...], np.dtype[np.float64]]":
    counted = np.maximum(np.bincount(pictures.classes[pictures.painted], minlength=NONE + 1), 1)
    return np.where(pictures.painted, 1 / counted[pictures.classes], 0.0)


def of_heads(inputs: Inputs) -> Iterator[list[str]]:
    """Yield rows for the size, the strength of the regularization and the weight of a head that knows plain boxes too."""
    seen, (learning, calibrating) = plain_unless_worn(inputs), inputs.with_boxes()
    for count, strength in HEADS:
        with patch.multiple(training, STORED_FEATURES=count, STRENGTH=strength):
            fusion = training.fit_fusion(learning)
        for weight in HEAD_WEIGHTS:
            exponents = np.array([*training.EXPONENTS[:2], weight], np.float32)
            chosen = training.calibrated(replace(fusion, exponents=exponents), calibrating)
            yield row(f"{count} components, strength {strength:g}, weight {weight}", inputs, chosen, seen)


def of_projections(inputs: Inputs) -> Iterator[list[str]]:
    """Yield rows for how much of the backbone's features is stored."""
    seen = inputs.seen()
    for count, exact in [*((one, False) for one in COMPONENTS), (training.STORED_FEATURES, True), (1_280, True)]:
        floats = patch.object(training, "Fusion", FloatFusion) if exact else nullcontext()
        with floats, patch.object(training, "STORED_FEATURES", count):
            fusion = training.fit_fusion(inputs.learning(inputs.train, inputs.lite0))
        kind = "32-bit floats" if exact else "8-bit integers"
        yield row(f"{count:,} components in {kind}", inputs, inputs.recalibrated(fusion), seen)


def of_asking(inputs: Inputs) -> Iterator[list[str]]:
    """Yield rows for asking the backbone only where the small network is unsure."""
    fusion, seen = inputs.fusion(inputs.lite0), inputs.seen()
    for limit in ASKED_BELOW:
        scores, shares_run = {}, {}
        for name, (pictures, evidence) in seen.items():
            unsure = evidence.small[:, :NONE].max(1) < limit
            fused, choice = predicted(fusion, pictures, evidence)
            both = np.where(unsure[:, None], fused, evidence.small)
            scores[name], shares_run[name] = inputs.photos[name].decided(pictures, both, choice), float(unsure.mean())
        title = "always (shipped)" if limit > 1 else f"below {limit}"
        shares = ", ".join(f"{shares_run[name]:.2f}" for name in seen)
        found = [f"{title}: {shares}", *cells(scores)]
        print(" | ".join(found), flush=True)
        yield found


def of_fine_tuning(inputs: Inputs) -> Iterator[list[str]]:
    """Yield rows for the published network, the fine-tuned one and their averages, the head fitted anew to each."""
    yield row("published, frozen", inputs, inputs.fusion(inputs.lite0, EVERY), inputs.seen())
    start = networks.published(inputs.backbone)
    learning = [np.array([one[key] for one in inputs.train.rows]) for key in ("class", "sort")]
    none = np.zeros((len(inputs.train.rows), 0), np.float32)
    pictures = Pictures(learning[0], learning[1] == "painted", learning[1] == "staged", none, none, none)
    checkpoint = inputs.cache / "finetuned.pt"
    tuned = fine_tuned(start, inputs.train.crops, pictures.classes, training._weights(pictures), checkpoint)
    for share in (*AVERAGED, 1.0):
        file = inputs.cache / f"averaged-{share}.safetensors"
        if not file.is_file():
            save_file(averaged(start, tuned, share).state_dict(), file)
        network = Network(f"averaged-{share}-224", networks.lite0(file))
        title = "fine-tuned" if share == 1 else f"average, {share} of the fine-tuned"
        yield row(title, inputs, inputs.fusion(network, EVERY), inputs.seen(network))


def of_larger(inputs: Inputs, files: Mapping[str, Path]) -> Iterator[list[str]]:
    """Yield rows for larger networks of the family, the head fitted anew to each."""
    yield row("lite0 at 224 pixels", inputs, inputs.fusion(inputs.lite0, EVERY), inputs.seen())
    for name, file in files.items():
        network = Network(f"{name}-224", networks.larger(name, file))
        yield row(f"{name} at 224 pixels", inputs, inputs.fusion(network, EVERY), inputs.seen(network))


def _joined(pictures: Pictures, others: Pictures) -> Pictures:
    """Return the pictures of both."""
    pairs = ((getattr(pictures, field.name), getattr(others, field.name)) for field in fields(Pictures))
    return Pictures(*(np.concatenate(pair) for pair in pairs))
