"""What several requests show: labels by their names, favourites, and what is left."""

from review_web_helpers import Review, decide
from starlette.testclient import TestClient

from tagger.review.queue import Filters


def test_favourites_are_those_given_then_those_used(client: TestClient, review: Review) -> None:
    """The label that was decided most often comes first of those."""
    assert review.state.favourite_labels() == ["Belt"]
    rows = review.open_rows()
    for label, row in zip(["Watch", "Bag", "Watch", ""], rows, strict=False):
        decide(client, label, row)
    assert review.state.favourite_labels() == ["Belt", "Watch", "Bag"]


def test_the_counter_adds_up(review: Review) -> None:
    """What is left is the sum of the groups, in words too."""
    counter = review.state.counter(Filters())
    groups = counter["groups"]
    assert isinstance(groups, dict)
    assert counter["left"] == sum(groups.values()) == len(review.open_rows())
    assert counter["left_text"] == f"{counter['left']} left"
    assert counter["minutes"] == "a minute"


def test_labels_are_found_by_their_names(review: Review) -> None:
    """A name that the bundle lacks is a label of its own."""
    assert (review.state.label_of("Bag"), review.state.label_of("Belt")) == ("Bag", "Belt")
