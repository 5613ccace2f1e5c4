"""Turn rows of the queue into what the templates show: texts, percentages, addresses of pictures."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from tagger.escaping import for_terminal
from tagger.review.queue import Details, QueueRow
from tagger.run.review_values import Review

NONE_TEXT = "none of the labels"

REASONS: Mapping[str, str] = {
    "low_confidence": "low confidence",
    "not_recognised": "not recognised",
    "truncated": "cut off or damaged",
    "unreadable": "unreadable",
    "not_an_image": "not an image",
    "too_large": "too large",
    "": "not flagged",
}
"""What the reasons of rows are called on the page."""


@dataclass(frozen=True)
class LabelShare:
    """A label with its probability."""

    name: str
    value: float
    """0..1."""

    @property
    def percent(self) -> str:
        """The probability as text; a small one is never shown as nothing."""
        return f"{self.value:.0%}".replace("%", " %") if self.value >= 0.005 or not self.value else "under 1 %"


@dataclass(frozen=True)
class PhotoView:
    """A photo as the templates show it."""

    row: QueueRow
    names: Mapping[str, str]
    """Names of labels in the output."""

    @property
    def item(self) -> int:
        """The photo's id in the ledger."""
        return self.row.item

    @property
    def sha256(self) -> str:
        """Hexadecimal digits of the hash of its bytes."""
        return self.row.sha256

    @property
    def path(self) -> str:
        """Its path in the output, with characters that act on a page or a terminal escaped."""
        return for_terminal(self.row.key)

    @property
    def best(self) -> list[LabelShare]:
        """The three best labels."""
        return [LabelShare(self.names.get(label, label), value) for label, value in self.row.ranked]

    @property
    def headline(self) -> list[LabelShare]:
        """What is predicted and the runner-up; of photos that are not recognised, none of the labels comes first."""
        unrecognised = self.row.reason == "not_recognised" and self.none is not None
        return [*([self.none] if unrecognised and self.none else []), *self.best][:2]

    @property
    def best_json(self) -> str:
        """The names of the best labels as JSON."""
        return json.dumps([one.name for one in self.best])

    @property
    def none(self) -> LabelShare | None:
        """How likely it shows none of the labels; None where no product stands out."""
        return None if self.row.none is None else LabelShare(NONE_TEXT, self.row.none)

    @property
    def guarded_by(self) -> str:
        """The rare label that keeps the photo out of an accepted page; empty where it is accepted."""
        return self.headline[1].name if self.row.guarded else ""

    @property
    def problem(self) -> str:
        """What is wrong with the file, in two or three words; empty where nothing is."""
        return REASONS.get(self.row.reason, self.row.reason) if self.row.reason not in _WITHOUT_PROBLEM else ""

    @property
    def decided(self) -> str | None:
        """The label that was decided, empty for none of the labels; None while the photo is open."""
        return self.row.decided

    @property
    def review(self) -> int | None:
        """Number of the decision that counts."""
        return self.row.review

    @property
    def decision(self) -> str:
        """Label and reviewer of the decision; empty while the photo is open."""
        if self.row.decided is None:
            return ""
        return f"{label_text(self.row.decided, self.names)} ({self.row.reviewer})"

    @property
    def href(self) -> str:
        """The address of its own page."""
        return f"/review/photo/{self.row.item}"

    def _picture(self, kind: str) -> str:
        return f"/review/picture/{self.row.item}/{quote(self.row.sha256)}/{kind}"

    @property
    def picture(self) -> str:
        """The address of its small picture."""
        return self._picture("small")

    @property
    def large(self) -> str:
        """The address of its large picture."""
        return self._picture("large")

    @property
    def grey(self) -> str:
        """The address of what the small network saw."""
        return self._picture("grey")

    @property
    def colour(self) -> str:
        """The address of what the backbone saw."""
        return self._picture("colour")


_WITHOUT_PROBLEM = ("", "low_confidence", "not_recognised", "reviewed")


def label_text(label: str, names: Mapping[str, str]) -> str:
    """Return the name of a label that was decided."""
    return names.get(label, label) if label else NONE_TEXT


def history_lines(details: Details, names: Mapping[str, str]) -> list[str]:
    """Return a line for each decision about a photo, oldest first."""
    lines = []
    for one in details.history:
        what = "taken back" if one.label is None else label_text(one.label, names)
        before = " ".join(filter(None, (one.tag, one.confidence))) or "no tag"
        lines.append(f"{one.decided_at[:16].replace('T', ' ')} UTC, {one.reviewer}: {what} (was {before})")
    return lines


def table_cells(details: Details) -> list[tuple[str, str]]:
    """Return name and text of the other columns of a photo's table rows."""
    return [(for_terminal(name), for_terminal(text)) for row in details.columns for name, text in row.items()]


def reviews_json(reviews: Sequence[Review], rows: Sequence[QueueRow], names: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return decisions for the page's script: labels by their names, paths as they are shown."""
    paths = {row.item: for_terminal(row.key) for row in rows}
    return [
        {
            "id": review.id,
            "item": review.item,
            "sha256": review.sha256.hex(),
            "label": None if review.label is None else names.get(review.label, review.label),
            "reviewer": review.reviewer,
            "path": paths.get(review.item, ""),
        }
        for review in reviews
    ]
