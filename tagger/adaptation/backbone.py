"""Fine-tune the backbone on a shop's labels, with early stopping, and distillation from the original network.

Only the linear head and the memory of an adapter are fitted otherwise; this is for some hundred labels or more.
"""

import copy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from tagger.adaptation.examples import LabelledExamples
from tagger.adaptation.fit import fit_head, with_pseudo_labels
from tagger.data.augmentation import random_shift_flip
from tagger.inference.predictor import Features
from tagger.inference.torch_network import pool_maps
from tagger.models.adapter import MIN_PROBABILITY, ShopAdapter
from tagger.models.network import Network

STEPS = 100
"""Maximum number of optimizer steps."""

EVALUATION_INTERVAL, PATIENCE = 10, 3
"""Steps between two evaluations, and evaluations without improvement after which training stops."""

BATCH_SIZE = 32

LEARNING_RATE = 3e-4

SHIFT = 2
"""Greatest random translation, in pixels."""


def fine_tune_backbone(
    network: Network,
    pixels: NDArray[np.uint8],
    features: Features,
    examples: LabelledExamples,
    strength: float,
    temperature: float,
    seed: int = 0,
) -> Network:
    """Return a copy of the network fine-tuned on labelled photos, or the network itself if that does not improve it.

    `pixels` are the product images of the catalog, uint8 (n, 1, 28, 28). A head that is fitted to the original features stays
    fixed; the maps below it are trained on batches with equally frequent labels, and on as many photos of the whole catalog
    the network's own probabilities are kept (knowledge distillation, Hinton et al. 2015, arXiv 1503.02531). The loss on a fifth
    of the products chooses the best step; with too few products to split, the network is returned unchanged.
    """
    validation, training = split(examples, seed)
    if not len(validation.photos):
        return network
    head = _Head(fit_head(features, training, strength))
    images, probabilities = torch.from_numpy(pixels), torch.from_numpy(features.probabilities)
    student = copy.deepcopy(network).eval()
    optimizer = torch.optim.AdamW(student.stages.parameters(), lr=LEARNING_RATE, weight_decay=0.0)
    rng = torch.Generator().manual_seed(seed)
    photos, classes = map(torch.from_numpy, with_pseudo_labels(features.probabilities, training))
    labelled = classes < len(examples.labels)
    photos, classes = photos[labelled], classes[labelled]
    sampling_weights = 1 / torch.bincount(classes, minlength=len(examples.labels))[classes]
    best, best_loss, waited = network, _validation_loss(student, images, probabilities, validation, head), 0
    for step in range(1, STEPS + 1):
        drawn = torch.multinomial(sampling_weights, BATCH_SIZE, replacement=True, generator=rng)
        others = torch.randint(len(images), (BATCH_SIZE,), generator=rng)
        batch = torch.cat([photos[drawn], others])
        before, last = student.maps(_augment(images[batch], rng))
        maps = pool_maps((before[:BATCH_SIZE], last[:BATCH_SIZE]))
        scores = head(probabilities[batch[:BATCH_SIZE]], maps)
        logits = student.photo_logits_of_maps(last[BATCH_SIZE:]) / temperature
        original = probabilities[others][:, : logits.shape[1]]
        loss = functional.cross_entropy(scores, classes[drawn]) + functional.cross_entropy(logits, original)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if step % EVALUATION_INTERVAL == 0:
            current = _validation_loss(student, images, probabilities, validation, head)
            waited = 0 if current < best_loss else waited + 1
            if current < best_loss:
                best, best_loss = copy.deepcopy(student), current
            if waited == PATIENCE:
                break
    return best.eval()


def split(examples: LabelledExamples, seed: int) -> tuple[LabelledExamples, LabelledExamples]:
    """Return examples for validation, at most a fifth of the products, and those for training, which keep every class."""
    products, starts = np.unique(np.sort(examples.products), return_index=True)
    by_product = np.split(np.argsort(examples.products, kind="stable"), starts[1:])
    photos_of = dict(zip(products.tolist(), by_product, strict=False))
    remaining = np.bincount(examples.classes)
    validation = np.zeros(len(examples.photos), bool)
    wanted = len(products) // 5
    for product in np.random.default_rng(seed).permutation(products).tolist():
        if not wanted:
            break
        classes, counts = np.unique(examples.classes[photos_of[product]], return_counts=True)
        if (counts < remaining[classes]).all():
            validation[photos_of[product]] = True
            remaining[classes] -= counts
            wanted -= 1
    return examples.take(np.flatnonzero(validation)), examples.take(np.flatnonzero(~validation))


def _augment(pixels: Tensor, rng: torch.Generator) -> Tensor:
    flipped = torch.rand(len(pixels), generator=rng) < 0.5
    return random_shift_flip(pixels, flipped, SHIFT, rng)


class _Head:
    """An adapter's head with gradients: `ShopAdapter.scores` of the labels, without the column of none."""

    def __init__(self, adapter: ShopAdapter) -> None:
        self._centre, self._spread = torch.from_numpy(adapter.centre), torch.from_numpy(adapter.spread)
        self._translation = torch.from_numpy(adapter.translation)
        self._prior_weight = torch.from_numpy(adapter.prior_weight)
        self._weight, self._bias = torch.from_numpy(adapter.weight), torch.from_numpy(adapter.bias)

    def __call__(self, probabilities: Tensor, maps: Tensor) -> Tensor:
        """Return logits (n, K), for the original network's probabilities (n, S + 1) and feature maps (n, d)."""
        embeddings = functional.normalize((maps - self._centre) / self._spread, dim=1)
        prior = (probabilities @ self._translation).clamp(MIN_PROBABILITY, 1).log()
        return (self._prior_weight * prior + embeddings @ self._weight + self._bias)[:, :-1]


@torch.no_grad()
def _validation_loss(
    network: Network, images: Tensor, probabilities: Tensor, validation: LabelledExamples, head: _Head
) -> float:
    known = validation.classes < len(validation.labels)
    photos, classes = torch.from_numpy(validation.photos[known]), torch.from_numpy(validation.classes[known])
    if not len(photos):
        return 0.0
    maps = pool_maps(network.maps(images[photos]))
    return float(functional.cross_entropy(head(probabilities[photos], maps), classes))
