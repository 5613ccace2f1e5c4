"""Hold what the requests of a review share, and look up what several of them show: labels, favourites, what is left."""

from dataclasses import dataclass

from tagger.review.columns import Columns
from tagger.review.pace import minutes_left, seconds_per_photo
from tagger.review.photos import Photos
from tagger.review.queue import Filters, ReviewQueue
from tagger.review.thumbnails import Thumbnails
from tagger.run.reviews import ReviewStore

MAX_FAVOURITES = 6
"""Favourite labels, of the keys 4 to 9."""


@dataclass(frozen=True)
class ReviewState:
    """One review: its queue, decisions and pictures, and who reviews."""

    catalog: str
    """Name of the output or ledger, for titles."""
    queue: ReviewQueue
    store: ReviewStore
    columns: Columns
    photos: Photos
    pictures: Thumbnails
    reviewer: str
    """Name of those who give none."""
    favourites: tuple[str, ...] = ()
    """Labels that were given as such, before those that are used most."""

    def names(self) -> dict[str, str]:
        """Return the name in the output of each label of the bundle."""
        return {one.label: one.name for one in self.queue.labels()}

    def label_of(self, name: str) -> str:
        """Return the bundle's label that has this name in the output; the name itself where the bundle has none."""
        return next((label for label, shown in self.names().items() if shown == name), name)

    def favourite_labels(self) -> list[str]:
        """Return the names of the favourites: those that were given, then those of decisions, the most frequent first."""
        names = self.names()
        used = [names.get(label, label) for label in self.store.frequent_labels(2 * MAX_FAVOURITES)]
        return list(dict.fromkeys([*self.favourites, *used]))

    def counter(self, filters: Filters) -> dict[str, object]:
        """Return how many photos are left, as text too, about how long they take, and how many of them each group has."""
        left = self.queue.left(filters)
        return {
            "left": left,
            "left_text": f"{left:,} left",
            "minutes": minutes_left(left, seconds_per_photo(self.store.recent_times())),
            "groups": {one.tag: one.open for one in self.queue.groups(filters)},
        }
