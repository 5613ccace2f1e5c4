"""What ImageNet's classes say about products: a table from its classes to labels, and the evidence from a network's logits.

ImageNet's 1,000 classes (ILSVRC 2012) name some kinds of clothes, shoes and bags. The probabilities of those classes, summed by
label, need no labelled photos of products at all, and hold for photos of any style.
"""

import numpy as np

from tagger.arrays import Float32s, softmax

IMAGENET_CLASSES = 1_000
"""Number of classes of ILSVRC 2012."""

CLASSES = {
    "T-shirt/top": (610,),  # jersey, T-shirt
    "Trouser": (608,),  # jean
    "Pullover": (841, 474, 911),  # sweatshirt; cardigan; wool
    "Dress": (578, 689, 601, 655, 775),  # gown; overskirt; hoopskirt; miniskirt; sarong
    "Coat": (869, 568, 735, 501, 834),  # trench coat; fur coat; poncho; cloak; suit
    "Sandal": (774, 502),  # sandal; clog
    "Shirt": (617, 697),  # lab coat; pajama: buttoned, with a collar
    "Sneaker": (770,),  # running shoe
    "Bag": (414, 636, 748, 728),  # backpack; mailbag; purse; plastic bag
    "Ankle boot": (514, 630),  # cowboy boot; loafer
}
"""Classes by label, as numbers from 0 in the order of ILSVRC 2012."""

LABELS = tuple(CLASSES)
"""Labels in the order of the evidence, which is Fashion-MNIST's."""

SHIRT_SHARE = 0.5
"""ImageNet has no shirt with buttons, which it takes for a T-shirt, a sweatshirt or a coat: this share of their three sums
counts for "Shirt" too, so that the evidence on upper bodies is weak unless it is clear.

Chosen on the half of two shops' photos that decisions may use."""

FLOOR, RELATIVE_FLOOR = 1e-4, 0.01
"""Added to each sum, the second one times the sum of all: no label is excluded by classes that happen to be missing."""

EVIDENCE = len(LABELS) + 1
"""Columns of the evidence."""


def evidence(logits: Float32s) -> Float32s:
    """Return the evidence of ImageNet's classes for each label.

    Args:
        logits: float32 (n, 1000).

    Returns:
        float32 (n, labels + 1): the logarithm of each label's sum of probabilities, and last of all of them together.
    """
    probabilities = softmax(logits)
    sums = np.stack([probabilities[:, list(CLASSES[label])].sum(1) for label in LABELS], 1)
    upper = [LABELS.index(label) for label in ("T-shirt/top", "Pullover", "Coat")]
    shirt = LABELS.index("Shirt")
    total = sums.sum(1, keepdims=True)
    sums[:, shirt] += SHIRT_SHARE * sums[:, upper].sum(1)
    floored = sums + RELATIVE_FLOOR * sums.sum(1, keepdims=True) + FLOOR
    return np.asarray(np.log(np.concatenate([floored, np.clip(total, FLOOR, 1 - FLOOR)], 1)), np.float32)
