"""Calibrate a trained network: temperatures of its heads, and confidence thresholds by precision."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagger.data.images import Images
from tagger.metrics.calibration import PHOTO_PRECISION, PRECISION, PRECISIONS, fit_temperature, threshold_at_precision
from tagger.metrics.classification import classification_report
from tagger.models.bundle import Bundle
from tagger.models.card import Card
from tagger.models.network import logits_in_batches

MIX_IS_EASIER = 0.8
"""Errors allowed on the calibration mix for each error allowed on photos, which are harder.

Chosen on the half of two shops' photos that decisions may use."""

SHARPENED = 0.55
"""Temperature of the averaged views, as a share of the one that fits a single view of the mix: means are softer, and the mix
is more ragged than most photos. Chosen like `MIX_IS_EASIER`, by the calibration error there."""


@dataclass(frozen=True)
class EvaluationSet:
    """Labelled images that were not trained on, and how a bundle predicts them."""

    images: Images
    predict: Callable[[Bundle], NDArray[np.float32]]
    """Returns calibrated probabilities of the bundle's labels, (n, labels)."""

    @property
    def classes(self) -> NDArray[np.int64]:
        """True labels as their numbers among `images.names`, (n,)."""
        classes: NDArray[np.int64] = self.images.labels.cpu().numpy()
        return classes

    def report(self, probabilities: NDArray[np.float32]) -> dict[str, Any]:
        """Return all metrics of the probabilities (n, labels) that a bundle of the same labels predicts."""
        return classification_report(probabilities.argmax(1), probabilities.max(1), self.classes, self.images.names)


@dataclass(frozen=True)
class Calibration:
    """Temperatures of both heads, and the thresholds that reach a precision among the tags above them."""

    temperature: float
    photo_temperature: float
    thresholds: dict[float, float]
    """Confidence threshold by precision."""
    precision: float
    """Precision of the default threshold."""

    @classmethod
    def of_card(cls, card: Card) -> "Calibration":
        """Return the calibration that a bundle's card holds."""
        thresholds = {float(precision): threshold for precision, threshold in card.precisions.items()}
        return cls(card.temperature, card.photo_temperature, thresholds, float(card.recipe["threshold_precision"]))

    def applied_to(self, card: Card) -> Card:
        """Return a card with this calibration."""
        return replace(
            card,
            temperature=self.temperature,
            photo_temperature=self.photo_temperature,
            precisions={str(precision): threshold for precision, threshold in self.thresholds.items()},
            min_confidence=self.thresholds[self.precision],
            recipe={**card.recipe, "threshold_precision": self.precision},
        )


def calibrate(uncalibrated: Bundle, held_out: EvaluationSet, mix: EvaluationSet | None, knows_photos: bool) -> Calibration:
    """Return temperatures fitted to held-out images, and thresholds at the precisions of `PRECISIONS`.

    With a calibration `mix`, whose images stand for photos, the photos' head gets a temperature of its own, and the thresholds
    are the mix's and stricter: photos of an unknown shop are harder than any mix. The default threshold is that of
    `PHOTO_PRECISION` for a bundle that knows photos, else of `PRECISION`.
    """
    network = uncalibrated.network().to(held_out.images.pixels.device)
    temperature = fit_temperature(logits_in_batches(network, held_out.images.pixels), held_out.images.labels)
    photo_temperature, easier, judging = 1.0, 1.0, held_out
    if mix is not None:
        easier, judging = MIX_IS_EASIER, mix
        photo_temperature = SHARPENED * fit_temperature(
            logits_in_batches(network.photo_logits, mix.images.pixels), mix.images.labels
        )
    card = replace(uncalibrated.card, temperature=temperature, photo_temperature=photo_temperature)
    probabilities = judging.predict(replace(uncalibrated, card=card))
    thresholds = {
        precision: threshold_at_precision(1 - easier * (1 - precision), probabilities, judging.classes)
        for precision in PRECISIONS
    }
    return Calibration(temperature, photo_temperature, thresholds, PHOTO_PRECISION if knows_photos else PRECISION)
