"""The pages show the queue: groups by predicted tag, the most doubtful photos first, and all that is known of one."""

import html
import re
import sqlite3
from contextlib import closing

import pytest
from review_web_helpers import Review, cards, decide
from starlette.datastructures import QueryParams
from starlette.testclient import TestClient

from tagger.review.queue import Filters
from tagger.web.review_pages import LONGEST_TEXT, filters_of, group_links


def test_the_grid_shows_the_largest_group_first(client: TestClient, review: Review) -> None:
    """Without a choice, the tag with the most photos; its cards come in the queue's order, the most doubtful first."""
    page = client.get("/review").text
    group = review.state.queue.groups(Filters())[0]
    rows = review.state.queue.page(Filters(), group.tag).rows
    assert cards(page) == [row.key for row in rows]
    doubts = [row.cursor.doubt for row in rows]
    assert doubts == sorted(doubts)
    assert f"{group.open} to review" in html.unescape(re.sub(r"<[^>]+>", "", page))


def test_every_group_has_its_page(client: TestClient, review: Review) -> None:
    """Together they show each photo that is to be reviewed once."""
    shown = [
        path
        for one in review.state.queue.groups(Filters())
        for path in cards(client.get("/review", params={"tag": one.tag}).text)
    ]
    assert sorted(shown) == sorted(row.key for row in review.open_rows())
    assert len(shown) > 5


def test_unreadable_photos_are_not_accepted_as_a_page(client: TestClient, review: Review) -> None:
    """They are a group of their own, decided one by one, and the last one, however many they are."""
    assert [one.key for one in group_links(review.state, Filters())][-1] == "?"
    page = client.get("/review", params={"tag": "?"}).text
    assert cards(page) == ["shop/cut.jpg"]
    assert 'data-accepts="no"' in page
    assert 'data-accepts="yes"' in client.get("/review").text


def test_further_cards_follow_a_cursor(client: TestClient, review: Review) -> None:
    """They are a piece of HTML that goes on after it; a cursor that is none begins anew."""
    group = review.state.queue.groups(Filters())[0]
    rows = review.state.queue.page(Filters(), group.tag).rows
    after = client.get("/review/cards", params={"tag": group.tag, "after": str(rows[0].cursor)})
    assert cards(after.text) == [row.key for row in rows[1:]]
    assert (after.headers["x-more"], "<html" in after.text) == ("", False)
    assert cards(client.get("/review/cards", params={"tag": group.tag, "after": "'; --"}).text) == [row.key for row in rows]


def test_filters_select_by_column_and_reason(client: TestClient, review: Review) -> None:
    """A SKU leads to its photo; what is filtered for is selected in the form; the groups' links keep it."""
    row = review.open_rows()[0]
    sku = review.state.columns.values(row.key)[0]["sku"]
    page = client.get("/review", params={"column": "sku", "text": sku.lower(), "reason": row.reason}).text
    assert row.key in cards(page)
    assert f'value="{sku.lower()}"' in page
    assert f'<option value="{row.reason}" selected>' in page
    assert f"text={sku.lower()}" in html.unescape(page)


def test_decided_photos_can_be_found_again(client: TestClient, review: Review) -> None:
    """With `show=decided`, with what was decided by which reviewer, and they leave the queue."""
    row = review.open_rows()[0]
    decide(client, "Belt", row, reviewer="Bea")
    group = row.tag if row.reason != "not_recognised" else ""
    assert row.key not in cards(client.get("/review", params={"tag": group}).text)
    page = client.get("/review", params={"show": "decided", "tag": group}).text
    assert row.key in cards(page)
    assert "Belt (Bea)" in page


def test_one_photo_has_all_that_is_known(client: TestClient, review: Review) -> None:
    """Its best tags, why it is flagged, its table's cells, its copies and the decisions about it; also as a piece of a page."""
    row = next(row for row in review.open_rows() if row.key.endswith("0001.jpg"))
    decide(client, "Bag", row)
    page = html.unescape(client.get(f"/review/photo/{row.item}").text)
    sku = review.state.columns.values(row.key)[0]["sku"]
    for part in (row.ranked[0][0], "Flagged:", sku, "shop/copy.jpg", "Ada: Bag", "<title>shop/0001.jpg"):
        assert part in page
    fragment = client.get(f"/review/photo/{row.item}", params={"fragment": "1"}).text
    assert "<html" not in fragment
    assert "shop/0001.jpg" in fragment


def test_names_run_nothing(client: TestClient, review: Review) -> None:
    """HTML in a path, a label or a table's cell is shown as text, and control characters by their codes."""
    evil = "<img src=x onerror=alert(1)>\x1b[2J\u202e.jpg"
    row = review.open_rows()[0]
    with closing(sqlite3.connect(review.folder / "tags.ledger")) as sql:
        sql.execute("UPDATE items SET key = ? WHERE id = ?", (evil, row.item))
        sql.commit()
    decide(client, "<script>alert(2)</script>", row, reviewer="<b>Bea")
    for page in (
        client.get("/review", params={"show": "all", "tag": row.tag}).text,
        client.get(f"/review/photo/{row.item}").text,
    ):
        assert "<img src=x" not in page
        assert "<script>alert" not in page
        assert "&lt;img src=x onerror=alert(1)&gt;\\x1b[2J\\u202e.jpg" in page
        assert "&lt;script&gt;alert(2)&lt;/script&gt; (&lt;b&gt;Bea)" in page


@pytest.mark.parametrize(
    "path", ["/review/photo/999", "/nowhere", "/review/photo/x", "/static/../review_app.py", "/static/..%2freview_app.py"]
)
def test_what_is_not_there_is_told(client: TestClient, path: str) -> None:
    """With status 404, also for tricks with paths."""
    assert client.get(path).status_code == 404


def test_an_empty_queue_says_so(client: TestClient, review: Review) -> None:
    """Once all is decided the page says what comes next; a filter that nothing fits says so."""
    assert "No photo fits the filters" in client.get("/review", params={"text": "nowhere"}).text
    decide(client, "Bag", *review.open_rows())
    assert "Every flagged photo has been decided" in client.get("/review").text


def test_filters_that_are_none_are_left_out() -> None:
    """Nothing of an address but values of filters reaches the queue."""
    query = QueryParams([("show", "x"), ("night", "1; DROP"), ("text", "a" * 1000), ("folder", "")])
    assert filters_of(query) == Filters(text="a" * LONGEST_TEXT)
    assert filters_of(QueryParams("show=all&night=2&group_of=footwear")) == Filters("all", night=2, group="footwear")
