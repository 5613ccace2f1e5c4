"""Whether the heads of another bundle are for the labels of a training, told by its card before any work is done."""

from collections.abc import Sequence

from tagger.errors import TrainingError
from tagger.models.card import Card, StoredCard


def check_start(start: StoredCard, labels: Sequence[str], photo_classes: int = 0) -> None:
    """Raise `TrainingError` unless the network of a bundle has the heads that a training on `labels` goes on with.

    Its first head has to know just these labels, in their order. Where the training has a head for photos, of so many
    `photo_classes`, the bundle has one of that size or none.
    """
    why = _differing(tuple(start.card.network_groups), labels)
    if why:
        raise TrainingError(
            f"Training cannot begin with {start.model}: {why}; give a bundle with the labels {_listed(labels)} to --from, "
            "or leave it out."
        )
    if photo_classes and start.card.network.photo_classes not in (0, photo_classes):
        raise TrainingError(
            f"Training cannot begin with {start.model}: its head for photos does not know photos of none of the labels; "
            "give another bundle to --from."
        )


def check_teacher(model: str, card: Card, labels: Sequence[str], of_photos: bool = False) -> None:
    """Raise `TrainingError` unless the first head of the bundle `model` says just these labels, in their order.

    A teacher `of_photos` has to have no other head, as that one is for photos; what a shop has taught teaches nobody.
    """
    why = _differing(card.labels, labels)
    if not why and card.base_groups:
        why = "a shop has taught it, which its network alone does not tell"
    if not why and of_photos and card.network.photo_classes:
        why = "it has a head of its own for photos"
    if why:
        raise TrainingError(
            f"{model} cannot teach {_listed(labels)}: {why}; give a bundle of just these labels, which no shop has taught, "
            "to --distill-from."
        )


def _differing(own: Sequence[str], labels: Sequence[str]) -> str:
    """Return how a bundle's labels differ from those of the training; empty where they do not."""
    if tuple(own) == tuple(labels):
        return ""
    if set(own) == set(labels):
        return f"it has these labels in another order ({_listed(own)})"
    return f"its labels are {_listed(own)}"


def _listed(labels: Sequence[str]) -> str:
    """Return the labels as a sentence takes them, of many the first ones."""
    return ", ".join(labels[:20]) + (", ..." if len(labels) > 20 else "")
