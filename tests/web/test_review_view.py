"""Rows become texts: percentages, what a screen reader says, addresses of pictures."""

from dataclasses import replace

import pytest

from tagger.review.queue import QueueRow
from tagger.web.review_view import LabelShare, PhotoView, label_text, table_cells

ROW = QueueRow(
    item=7,
    key="a/b\x1b.jpg",
    sha256="ab" * 32,
    tag="Shirt",
    confidence="0.4312",
    reason="low_confidence",
    group="upper body",
    ranked=(("Shirt", 0.4312), ("Coat", 0.4), ("Bag", 0.0012)),
    none=0.1676,
    night=1,
    guarded=True,
)


@pytest.mark.parametrize(
    ("value", "text"), [(0.4312, "43 %"), (0.0149, "1 %"), (0.0049, "under 1 %"), (0.0, "0 %"), (1.0, "100 %")]
)
def test_percentages(value: float, text: str) -> None:
    """They are whole numbers; what is little is never nothing."""
    assert LabelShare("x", value).percent == text


def test_a_photo_is_told_in_texts() -> None:
    """Names of the output in place of labels, controls of terminals escaped, the rare runner-up named."""
    view = PhotoView(ROW, {"Shirt": "Hemd"})
    assert (view.path, view.best_json) == ("a/b\\x1b.jpg", '["Hemd", "Coat", "Bag"]')
    assert [(one.name, one.percent) for one in view.headline] == [("Hemd", "43 %"), ("Coat", "40 %")]
    assert (view.guarded_by, view.decision, view.problem) == ("Coat", "", "")
    assert view.picture == f"/review/picture/7/{'ab' * 32}/small"
    assert {address.rsplit("/", 1)[1] for address in (view.large, view.grey, view.colour)} == {"large", "grey", "colour"}


def test_what_is_not_recognised_is_named_first() -> None:
    """The card of such a photo begins with none of the labels, as that is predicted."""
    view = PhotoView(replace(ROW, reason="not_recognised", none=0.6), {})
    assert [one.name for one in view.headline] == ["none of the labels", "Shirt"]


def test_a_decision_is_told_with_its_reviewer() -> None:
    """Also that it is none of the labels; a damaged file is named by its fault."""
    assert PhotoView(replace(ROW, decided="", reviewer="Ada"), {}).decision == "none of the labels (Ada)"
    assert PhotoView(replace(ROW, reason="truncated"), {}).problem == "cut off or damaged"
    assert label_text("Shirt", {"Shirt": "Hemd"}) == "Hemd"


def test_photos_without_a_tag() -> None:
    """They have neither labels nor a share of none."""
    view = PhotoView(replace(ROW, ranked=(), none=None, guarded=False), {})
    assert (view.headline, view.none, view.guarded_by, view.path) == ([], None, "", "a/b\\x1b.jpg")


def test_cells_of_a_table_are_escaped() -> None:
    """Each row's columns by their names."""

    class _Details:
        columns = ({"sku": "1\x1b"}, {"sku": "2"})

    assert table_cells(_Details()) == [("sku", "1\\x1b"), ("sku", "2")]  # type: ignore[arg-type]
