"""How a shop is learnt from a look at its photos, and from labels for some of them; read from top to bottom.

The network stays as it is. Without labels, what it says of each photo is let settle among the photos that look most alike
(label propagation, Zhou et al. 2003), and the bundle remembers them with what was settled. With labels, a translation of the
network's labels and a head of the shop's own come first, and the labelled photos stand firm while the others settle.
Everything here is computed on maps and probabilities at hand (`predict.Look`), without chance, in seconds for some thousands
of photos and in minutes for 100,000: time grows nearly as their number, and memory is what their maps take, twice.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.sparse import csr_matrix
from sklearn.model_selection import StratifiedGroupKFold
from torch import Tensor
from torch.nn import functional

from tagger.adaptation.examples import LabelledExamples
from tagger.arrays import Classes
from tagger.inference.predictor import Features
from tagger.metrics.calibration import fit_temperature
from tagger.models.adapter import BLOCK, MIN_PROBABILITY, ShopAdapter, apply_temperature, centre_and_spread
from tagger.models.neighbours import Neighbours

SETTLING_WIDTH, SETTLING_OWN = 0.1, 0.15
"""As `shop.WIDTH` and `shop.OWN`, among the photos of the catalog itself, which are told apart less narrowly."""

CAUTIOUS_OWN = 2.0
"""Weight of a photo's own answer where neighbours are little to be trusted."""

EARLIER = 20.0
"""Labelled photos that the network's own meaning of a label counts for, in the translation."""

ANCHORS, SURE = 20, 0.8
"""Photos that stand in for labels: where the network's own label has fewer labelled photos than this, some of those that it is
sure of, at this probability at least. Else nothing would hold the labels in place that the table is silent about."""

STRENGTHS = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
"""Penalties of the head's squared weights that cross-validation chooses from."""

USUAL_STRENGTH = 1e-3
"""The one where nothing can be cross-validated, or before it can be."""

FOLDS = 5

MOST_REMEMBERED = 10_000
"""Photos that a bundle remembers at most: beyond, its file and the time for a photo would grow with a shop's labels."""

MOST_TRIED = 20_000
"""Labelled photos that the strength is chosen on at most; far fewer tell the same."""

CLOSE_ENOUGH = 1e-6
"""Greatest error of a settled probability, a hundredth of what the float16 that remembers it can tell."""


def fit_adapter(
    features: Features, lesson: LabelledExamples | None = None, strength: float = STRENGTHS[0], cautious: bool = False
) -> ShopAdapter:
    """Return what a catalog of n photos teaches, of which `MOST_REMEMBERED` are remembered at most.

    `cautious` lets neighbours count less.
    """
    shop = _translating(features, lesson) if lesson is None else fit_head(features, lesson, strength)
    own = CAUTIOUS_OWN if cautious else SETTLING_OWN
    settled = spread_labels(_head_probabilities(shop, features), features.neighbours, lesson, own)
    kept = torch.from_numpy(evenly_chosen(settled.argmax(1).numpy(), MOST_REMEMBERED))
    return replace(shop, memory=shop.embed(features.maps, kept).half(), memory_probabilities=settled[kept].half())


def fit_head(features: Features, lesson: LabelledExamples, strength: float) -> ShopAdapter:
    """Fit the translation and the head of a shop to the labelled photos of a catalog; it remembers nothing."""
    return next(_heads(features, lesson, [strength]))


def evenly_chosen(classes: Classes, at_most: int) -> Classes:
    """Choose at most so many of the photos of some classes (n,), and return their numbers, ascending.

    Where there are more, frequent classes give some up until all that do have as many left; those kept are spread evenly over
    the photos of the class, in the order of the catalog.
    """
    if len(classes) <= at_most:
        return np.arange(len(classes))
    names, counts = np.unique(classes, return_counts=True)
    chosen, left = [], at_most
    for done, place in enumerate(np.argsort(counts, kind="stable")):
        photos = np.flatnonzero(classes == names[place])
        wanted = min(len(photos), left // (len(names) - done))
        left -= wanted
        chosen.append(photos[np.linspace(0, len(photos) - 1, wanted).astype(int)])
    return np.sort(np.concatenate(chosen))


def confidence_keeping_temperature(features: Features, shop: ShopAdapter) -> float:
    """Return the temperature at which a shop is on average as sure of a catalog's photos as the bundle that it began with.

    A mean over neighbours is softer than each of them, and without labels nothing says that more is known, or less.
    """
    wanted = float(features.probabilities[:, :-1].amax(1).mean())
    answered = shop.predict(features.probabilities, features.maps)
    low, high = 0.1, 10.0
    for _ in range(40):
        middle = float((low * high) ** 0.5)
        sure = float(apply_temperature(answered, middle)[:, :-1].amax(1).mean())
        low, high = (middle, high) if sure > wanted else (low, middle)
    return float((low * high) ** 0.5)


def _translating(features: Features, lesson: LabelledExamples | None) -> ShopAdapter:
    """Return a shop that only translates: without a head that adds anything, and without a memory."""
    ends = features.probabilities.shape[1] if lesson is None else len(lesson.labels) + 1
    d = features.maps.shape[1]
    centre, spread = centre_and_spread(features.maps)
    return ShopAdapter(
        centre=centre,
        spread=spread,
        translation=torch.eye(ends) if lesson is None else fit_translation(features.probabilities, lesson),
        weight=torch.zeros(d, ends),
        bias=torch.zeros(ends),
        memory=torch.zeros(0, d, dtype=torch.float16),
        memory_probabilities=torch.zeros(0, ends, dtype=torch.float16),
    )


def _head_probabilities(shop: ShopAdapter, features: Features, photos: Tensor | None = None) -> Tensor:
    """Return what the head alone says of a catalog's photos (n, K + 1), or of those of these numbers (m,)."""
    blocks = torch.split(torch.arange(len(features.maps)) if photos is None else photos, BLOCK)
    return torch.cat(
        [shop.head_probabilities(features.probabilities[some], shop.embed(features.maps, some)) for some in blocks]
    )


def fit_translation(probabilities: Tensor, lesson: LabelledExamples) -> Tensor:
    """Return rows (S + 1, K + 1): how probably what the network calls so is called here, for its probabilities (n, S + 1).

    By Bayes from what it says of the labelled photos of each label, all labels being as likely; a label of the same name
    counts as `EARLIER` photos of which it was certain, so that no label needs any photo.
    """
    sources = probabilities.shape[1]
    columns = []
    for label, known in enumerate((*lesson.known, sources - 1)):
        of_label = probabilities[torch.from_numpy(lesson.photos[lesson.classes == label])]
        counts, weight = of_label.sum(0), float(len(of_label))
        if known >= 0:
            counts = counts + EARLIER * functional.one_hot(torch.tensor(known), sources)
            weight += EARLIER
        # A label that no photo is left of in a fold, and that the network has no word for, could be anything.
        columns.append(counts / weight if weight else torch.full((sources,), 1 / sources))
    likelihood = torch.stack(columns, 1) + MIN_PROBABILITY
    return likelihood / likelihood.sum(1, keepdim=True)


# The head ----------------------------------------------------------------------------------------------------------


def _heads(features: Features, lesson: LabelledExamples, strengths: Sequence[float]) -> Iterator[ShopAdapter]:
    """Yield, for each strength, a shop with a head fitted to the labelled photos: which label, and where "none" is taught,
    whether any.
    """
    shop = _translating(features, lesson)
    numbers, labels = with_anchors(features.probabilities, lesson)
    photos, classes = torch.from_numpy(numbers), torch.from_numpy(labels)
    translated = (features.probabilities[photos] @ shop.translation).clamp(MIN_PROBABILITY, 1)
    taught = shop.embed(features.maps, photos)
    none = classes == len(lesson.labels)
    named = taught[~none] if none.any() else taught
    offset = translated[~none, :-1].log()
    for strength in strengths:
        weight, bias = shop.weight.clone(), shop.bias.clone()
        weight[:, :-1], bias[:-1] = _softmax_fit(named, offset, classes[~none], strength)
        if none.any() and not none.all():
            against = torch.stack([torch.zeros(len(photos)), torch.logit(translated[:, -1], MIN_PROBABILITY)], 1)
            both_weights, both_biases = _softmax_fit(taught, against, none.long(), strength)
            weight[:, -1], bias[-1] = both_weights[:, 1] - both_weights[:, 0], both_biases[1] - both_biases[0]
        yield replace(shop, weight=weight, bias=bias)


def with_anchors(probabilities: Tensor, lesson: LabelledExamples) -> tuple[Classes, Classes]:
    """Return numbers and classes of the labelled photos, and of anchors for labels that have few."""
    photos, classes = [lesson.photos], [lesson.classes]
    free = np.setdiff1d(np.arange(len(probabilities)), lesson.photos)
    for label, known in enumerate(lesson.known):
        wanted = ANCHORS - int((lesson.classes == label).sum())
        if known >= 0 and wanted > 0 and len(free):
            sure = probabilities[free, known].numpy()
            order = np.argsort(-sure, kind="stable")
            order = order[sure[order] >= SURE]
            # Spread evenly: those near the limit tell more of where the label ends than the surest do.
            chosen = free[order[np.linspace(0, len(order) - 1, min(wanted, len(order))).astype(int)]]
            photos.append(chosen)
            classes.append(np.full(len(chosen), label))
    return np.concatenate(photos), np.concatenate(classes)


def _softmax_fit(inputs: Tensor, offset: Tensor, classes: Tensor, strength: float) -> tuple[Tensor, Tensor]:
    """Return weights (d, c) and biases (c,) of the least penalised cross-entropy, every class counting the same.

    For inputs (n, d), classes (n,) and scores (n, c) to begin with: multinomial logistic regression with an offset.
    """
    ends = offset.shape[1]
    counts = torch.bincount(classes, minlength=ends)
    shares = 1 / counts[classes]
    shares = shares / shares.sum()
    weight = torch.zeros(inputs.shape[1], ends, requires_grad=True)
    bias = torch.zeros(ends, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=60, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        losses = functional.cross_entropy(offset + inputs @ weight + bias, classes, reduction="none")
        loss = (shares * losses).sum() + strength * (weight.square().sum() + bias.square().sum())
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    return weight.detach(), bias.detach()


# Neighbours --------------------------------------------------------------------------------------------------------


def spread_labels(
    probabilities: Tensor, neighbours: Neighbours, lesson: LabelledExamples | None = None, own: float = SETTLING_OWN
) -> Tensor:
    """Return what each photo says once it has heard its neighbours, and these theirs: float32 (n, K + 1).

    The fixed point of a weighted mean of a photo's own answer, of weight `own`, and its neighbours'; photos with a label do
    not listen. Zhou et al. 2003, Learning with local and global consistency, with weights that fall with the distance. Found
    by iteration, which converges as each photo's own answer has its weight.
    """
    count, k = neighbours.cosines.shape
    weights = ((neighbours.cosines - 1) / SETTLING_WIDTH).exp().double()
    total = weights.sum(1, keepdim=True) + own
    firm = np.zeros(count, bool)
    settled = probabilities.double().numpy().copy()
    if lesson is not None:
        firm[lesson.photos] = True
        settled[firm] = 0.0
        settled[lesson.photos, lesson.classes] = 1.0
    places = neighbours.numbers.flatten().numpy(), np.arange(count + 1) * k
    heard = csr_matrix(((weights / total).flatten().numpy(), *places), shape=(count, count))
    free = np.flatnonzero(~firm)
    if not len(free):
        return torch.from_numpy(settled).float()
    from_firm, from_free = heard[free][:, np.flatnonzero(firm)], heard[free][:, free]
    constant = (own / total).numpy()[free] * settled[free] + from_firm @ settled[firm]
    rate = float(from_free.sum(1).max())  # each round leaves at most this share of the error
    now, change = settled[free], np.inf
    while change * rate > CLOSE_ENOUGH * (1 - rate):
        before, now = now, constant + from_free @ now
        change = float(np.abs(now - before).max())
    settled[free] = now
    return torch.from_numpy(settled).float().clamp(0, 1)


# Cross-validation --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CrossValidation:
    """What cross-validation found: the best strength, and what is said of each labelled photo by those of other products."""

    strength: float
    probabilities: Tensor
    """Probabilities (l, K + 1), as the catalog's own photos are tagged."""
    tried: Classes
    """Which of the labelled photos (l,) were left out once; a product that is alone in its class is in no trial."""


def cross_validate(
    features_without: Callable[[Classes], Features], lesson: LabelledExamples, cautious: bool = False
) -> CrossValidation | None:
    """Return the trial of a lesson in folds of whole products, or None where no label has photos of two products.

    `features_without` returns the look at the catalog of a network that has not seen the labels of the lesson's photos whose
    numbers (m,) it is given.
    """
    folds = _folds(lesson)
    if not folds:
        return None
    every_features = [features_without(left_out) for left_out in folds]
    taught = [lesson.take(np.setdiff1d(np.arange(len(lesson.photos)), left_out)) for left_out in folds]
    strength = _best_strength(every_features, lesson, folds)
    probabilities = torch.zeros(len(lesson.photos), len(lesson.labels) + 1)
    for features, rest, left_out in zip(every_features, taught, folds, strict=True):
        shop = fit_adapter(features, rest, strength, cautious)
        photos = torch.from_numpy(lesson.photos[left_out])
        probabilities[torch.from_numpy(left_out)] = shop.predict(features.probabilities[photos], features.maps[photos])
    return CrossValidation(strength, probabilities, np.sort(np.concatenate(folds)))


def _folds(lesson: LabelledExamples) -> list[Classes]:
    """Return the numbers of the labelled photos that are left out together: whole products, of each class in turn."""
    alone = [
        lesson.classes == label for label in np.unique(lesson.classes) if len(set(lesson.products[lesson.classes == label])) < 2
    ]
    tried = np.flatnonzero(~np.any(alone, axis=0)) if alone else np.arange(len(lesson.photos))
    if not len(tried):
        return []
    count = min(FOLDS, len(np.unique(lesson.products[tried])), int(np.bincount(lesson.classes[tried]).max()))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class")  # such a class is left out in fewer folds
        splits = StratifiedGroupKFold(count, shuffle=True, random_state=0).split(
            tried, lesson.classes[tried], lesson.products[tried]
        )
        return [tried[left_out] for _, left_out in splits if len(left_out)]


def _best_strength(every_features: Sequence[Features], lesson: LabelledExamples, folds: Sequence[Classes]) -> float:
    """Return the strength whose heads alone have the least loss on the photos left out of each fold."""
    tried = np.zeros(len(lesson.photos), bool)
    tried[evenly_chosen(lesson.classes, MOST_TRIED)] = True
    probabilities: list[list[Tensor]] = [[] for _ in STRENGTHS]
    truth = []
    for features, left_out in zip(every_features, folds, strict=True):
        rest = lesson.take(np.setdiff1d(np.flatnonzero(tried), left_out))
        judged = lesson.take(left_out[tried[left_out]])
        truth.append(torch.from_numpy(judged.classes))
        for of_strength, shop in zip(probabilities, _heads(features, rest, STRENGTHS), strict=True):
            of_strength.append(_head_probabilities(shop, features, torch.from_numpy(judged.photos)))
    losses = [_loss(torch.cat(of_strength), torch.cat(truth)) for of_strength in probabilities]
    return STRENGTHS[losses.index(min(losses))]


def _loss(probabilities: Tensor, truth: Tensor) -> float:
    """Return the mean cross-entropy, over the classes, of probabilities (m, K + 1) for true classes (m,).

    At the temperature that suits it best, as the bundle gets one: else the strength would be chosen for its confidence.
    """
    scores = probabilities.clamp_min(MIN_PROBABILITY).log()
    losses = functional.cross_entropy(scores / fit_temperature(scores, truth), truth, reduction="none")
    return float(torch.stack([losses[truth == label].mean() for label in set(truth.tolist())]).mean())
