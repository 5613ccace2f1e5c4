"""Check by its card, before any work, that another bundle has the labels and heads that a training needs."""

from collections.abc import Sequence

from tagger.errors import TrainingError
from tagger.models.card import Card, StoredCard

MOST_LISTED = 20
"""Labels that an error message names."""


def check_start(start: StoredCard, labels: Sequence[str], photo_classes: int = 0) -> None:
    """Raise `TrainingError` unless training on `labels` can start from the network of a bundle.

    Its first head must have just these labels, in their order. Where the training has a head for photos, of `photo_classes`
    classes, the bundle must have one of that size or none.
    """
    reason = _label_difference(tuple(start.card.network_groups), labels)
    if reason:
        raise TrainingError(
            f"Training cannot begin with {start.model}: {reason}; give a bundle with the labels {listed(labels)} to --from, "
            "or leave it out."
        )
    if photo_classes and start.card.network.photo_classes not in (0, photo_classes):
        raise TrainingError(
            f"Training cannot begin with {start.model}: its head for photos has no class for photos of none of the labels; "
            "give another bundle to --from."
        )


def check_teacher(model: str, card: Card, labels: Sequence[str], of_photos: bool = False) -> None:
    """Raise `TrainingError` unless the first head of the bundle `model` predicts just these labels, in their order.

    A teacher `of_photos` must have no other head, as that one is for photos. A bundle adapted to a shop is refused: its
    adapter, which is not part of its network, would not be distilled.
    """
    reason = _label_difference(card.labels, labels)
    if not reason and card.base_groups:
        reason = "it is adapted to a shop, and its network alone predicts otherwise"
    if not reason and of_photos and card.network.photo_classes:
        reason = "it has a head of its own for photos"
    if reason:
        raise TrainingError(
            f"{model} cannot teach {listed(labels)}: {reason}; give a bundle of just these labels, not adapted to a shop, "
            "to --distill-from."
        )


def listed(labels: Sequence[str]) -> str:
    """Return the first `MOST_LISTED` labels separated by commas."""
    return ", ".join(labels[:MOST_LISTED]) + (", ..." if len(labels) > MOST_LISTED else "")


def _label_difference(own: Sequence[str], labels: Sequence[str]) -> str:
    """Return how a bundle's labels differ from those of the training; empty where they do not."""
    if tuple(own) == tuple(labels):
        return ""
    if set(own) == set(labels):
        return f"it has these labels in another order ({listed(own)})"
    return f"its labels are {listed(own)}"
