"""The network itself learns from a shop's labels, with early stopping; its word on all else is held by what it said before."""

import copy

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from tagger.adaptation.examples import LabelledExamples
from tagger.adaptation.fit import fit_head, with_anchors
from tagger.data.augmentation import random_shift_flip
from tagger.inference.predictor import Features, pool_maps
from tagger.models.adapter import ShopAdapter
from tagger.models.network import Network

STEPS, PATIENCE, EVERY = 100, 3, 10
"""At most so many steps, and after how many checks without gain, one every so many steps, training stops."""

BATCH = 32
RATE = 3e-4
SHIFT = 2


def fine_tune_backbone(
    network: Network,
    pixels: Tensor,
    look: Features,
    lesson: LabelledExamples,
    strength: float,
    temperature: float,
    seed: int = 0,
) -> Network:
    """Return a network that has also learnt from the labels of some of the cuts uint8 (n, 1, 28, 28), or the same one.

    The shop's head is fixed while the maps below it learn, on batches in which all labels are as frequent; on as many photos
    without labels the network goes on saying what it said (knowledge distillation, Hinton et al. 2015, arXiv 1503.02531).
    A fifth of the products judges every few steps, and the best network is returned.
    """
    judged, taught = split(lesson, seed)
    if not len(judged.photos):
        return network
    shop = fit_head(look, taught, strength)
    student = copy.deepcopy(network).eval()
    optimizer = torch.optim.AdamW(student.stages.parameters(), lr=RATE, weight_decay=0.0)
    rng = torch.Generator().manual_seed(seed)
    numbers, classes = map(torch.from_numpy, with_anchors(look.probabilities, taught))
    labelled = classes < len(lesson.labels)
    numbers, classes = numbers[labelled], classes[labelled]
    shares = 1 / torch.bincount(classes, minlength=len(lesson.labels))[classes]
    best, best_loss, waited = network, _judged_loss(student, pixels, look, judged, shop), 0
    for step in range(1, STEPS + 1):
        drawn = torch.multinomial(shares, BATCH, replacement=True, generator=rng)
        others = torch.randint(len(pixels), (BATCH,), generator=rng)
        which = torch.cat([numbers[drawn], others])
        before, last = student.maps(_varied(pixels[which], rng))
        said = _label_scores(shop, look.probabilities[which[:BATCH]], pool_maps((before[:BATCH], last[:BATCH])))
        kept = student.photo_logits_of_maps(last[BATCH:]) / temperature
        earlier = look.probabilities[others][:, : kept.shape[1]]
        loss = functional.cross_entropy(said, classes[drawn]) + functional.cross_entropy(kept, earlier)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if step % EVERY == 0:
            now = _judged_loss(student, pixels, look, judged, shop)
            waited = 0 if now < best_loss else waited + 1
            if now < best_loss:
                best, best_loss = copy.deepcopy(student), now
            if waited == PATIENCE:
                break
    return best.eval()


def split(lesson: LabelledExamples, seed: int) -> tuple[LabelledExamples, LabelledExamples]:
    """Return the lesson of a fifth of the products at most, and that of the others, which keeps photos of every class."""
    products, starts = np.unique(np.sort(lesson.products), return_index=True)
    photos_of = dict(zip(products.tolist(), np.split(np.argsort(lesson.products, kind="stable"), starts[1:]), strict=False))
    left = np.bincount(lesson.classes)
    judged = np.zeros(len(lesson.photos), bool)
    wanted = len(products) // 5
    for product in np.random.default_rng(seed).permutation(products).tolist():
        if not wanted:
            break
        classes, lost = np.unique(lesson.classes[photos_of[product]], return_counts=True)
        if (lost < left[classes]).all():
            judged[photos_of[product]] = True
            left[classes] -= lost
            wanted -= 1
    return lesson.take(np.flatnonzero(judged)), lesson.take(np.flatnonzero(~judged))


def _varied(pixels: Tensor, rng: torch.Generator) -> Tensor:
    mirrored = torch.rand(len(pixels), generator=rng) < 0.5
    return random_shift_flip(pixels, mirrored, SHIFT, rng)


def _label_scores(shop: ShopAdapter, probabilities: Tensor, maps: Tensor) -> Tensor:
    """Return the scores (n, K) of the shop's labels, for coarse maps (n, d)."""
    return shop.scores(probabilities, shop.embed(maps))[:, :-1]


@torch.no_grad()
def _judged_loss(network: Network, pixels: Tensor, look: Features, judged: LabelledExamples, shop: ShopAdapter) -> float:
    known = judged.classes < len(judged.labels)
    photos, classes = torch.from_numpy(judged.photos[known]), torch.from_numpy(judged.classes[known])
    if not len(photos):
        return 0.0
    return float(
        functional.cross_entropy(
            _label_scores(shop, look.probabilities[photos], pool_maps(network.maps(pixels[photos]))), classes
        )
    )
