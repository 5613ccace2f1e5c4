"""The photos of a catalog most worth a label: doubtful, varied, none twice."""

import torch
from torch import Tensor

from tagger.inference.predictor import Features
from tagger.models.adapter import embed_maps
from tagger.models.neighbours import SAME_PRODUCT


def select_photos(look: Features, count: int) -> list[int]:
    """Return the numbers of at most `count` of n photos, the most worth labelling first.

    Each is, of those left, the one with the greatest product of its doubt and its distance to the nearest one taken: the
    greedy k-centre choice (Sener and Savarese 2018, arXiv 1708.00489), weighted by the margin between the two likeliest
    labels. Photos that look like one taken are left out, so there may be fewer than asked for.
    """
    directions = embed_maps(look.maps)
    doubt = _doubt(look.probabilities)
    distance = torch.ones(len(doubt))
    taken: list[int] = []
    while len(taken) < min(count, len(doubt)):
        worth = doubt * distance
        best = int(worth.argmax())
        if distance[best] <= 1 - SAME_PRODUCT:
            break
        taken.append(best)
        distance = torch.minimum(distance, 1 - directions @ directions[best]).clamp_min(0)
        distance[distance <= 1 - SAME_PRODUCT] = 0
    return taken


def _doubt(probabilities: Tensor) -> Tensor:
    """Return 1 less the margin between the two likeliest answers (n,), never quite 0, so that sure photos come last."""
    first, second = probabilities.topk(2, 1).values.unbind(1)
    return (1 - (first - second)).clamp_min(0.05)
