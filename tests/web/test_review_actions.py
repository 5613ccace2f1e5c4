"""Decisions are on disk when they are acknowledged; whatever else a request holds gets one sentence and changes nothing."""

import json
import sqlite3
from contextlib import closing
from typing import Any

import pytest
from review_web_helpers import Review, decide
from starlette.testclient import TestClient

from tagger.review.queue import Filters
from tagger.run.reviews import LONGEST_TEXT
from tagger.web.review_actions import MAX_BODY, MAX_PHOTOS


def stored(review: Review) -> list[tuple[Any, ...]]:
    """Return label and reviewer of the decisions, read by a connection of its own."""
    with closing(sqlite3.connect(review.folder / "tags.ledger")) as sql:
        return sql.execute("SELECT label, reviewer FROM reviews ORDER BY id").fetchall()


def test_a_decision_is_acknowledged_once_it_is_stored(client: TestClient, review: Review) -> None:
    """The answer names it, what is left, and the ledger has it."""
    row = review.open_rows()[0]
    left = review.state.counter(Filters())["left"]
    answer = decide(client, "Bag", row, reviewer="Bea")
    assert [(one["item"], one["label"], one["reviewer"], one["path"]) for one in answer["reviews"]] == [
        (row.item, "Bag", "Bea", row.key)
    ]
    assert answer["counter"]["left"] < left  # type: ignore[operator]
    assert stored(review) == [("Bag", "Bea")]


def test_a_dash_is_none_of_the_labels(client: TestClient, review: Review) -> None:
    """As in tables of labels, so that what is typed comes back as what was meant."""
    decide(client, "-", review.open_rows()[0])
    assert stored(review)[0][0] == ""


def test_a_page_is_accepted_but_for_what_others_decided(client: TestClient, review: Review) -> None:
    """Photos that somebody has decided meanwhile stay, and are told."""
    rows = {row.sha256: row for row in review.open_rows() if row.ranked and not row.guarded}  # without copies
    first, second, *_ = rows.values()
    decide(client, "Bag", first, reviewer="Bea")
    answer = decide(client, "Coat", first, second, only_open=True)
    assert [one["item"] for one in answer["reviews"]] == [second.item]
    assert [(one["label"], one["reviewer"]) for one in answer["others"]] == [("Bag", "Bea")]


def test_photos_of_rare_labels_are_not_accepted_with_a_page(client: TestClient, review: Review) -> None:
    """Whatever the page asks for; a decision about one of them alone is taken."""
    row = next(row for row in review.open_rows() if row.guarded)
    answer = decide(client, "Coat", row, only_open=True)
    assert (answer["reviews"], answer["guarded"]) == ([], 1)
    assert len(decide(client, "Coat", row)["reviews"]) == 1


def test_an_undo_tells_what_counts_now(client: TestClient, review: Review) -> None:
    """First the decision of before, then none."""
    row = review.open_rows()[0]
    ids = [decide(client, label, row)["reviews"][0]["id"] for label in ("Bag", "")]
    now = [client.post("/review/undo", json={"reviews": [one]}).json()["now"][0]["label"] for one in ids[::-1]]
    assert now == ["Bag", None]


def test_others_decisions_are_told(client: TestClient, review: Review) -> None:
    """Those after a number, each by what counts now, and the number to go on from."""
    one, two, *_ = review.open_rows()
    first = decide(client, "Bag", one)["reviews"][0]["id"]
    second = decide(client, "Coat", two, reviewer="Bea")["reviews"][0]["id"]
    client.post("/review/undo", json={"reviews": [second]})
    answer = client.get(f"/review/since?after={first}").json()
    assert [(told["item"], told["label"]) for told in answer["reviews"]] == [(two.item, None)]
    assert answer["counter"]["left"]
    assert client.get(f"/review/since?after={answer['last']}").json() == {"last": answer["last"], "reviews": []}


def test_a_photo_that_changed_meanwhile_is_not_decided(client: TestClient, review: Review) -> None:
    """A decision names the bytes that were seen."""
    row = review.open_rows()[0]
    body = {"photos": [[row.item, "00" * 32], [10**6, row.sha256]], "label": "Bag"}
    assert client.post("/review/decisions", json=body).json()["unknown"] == 2
    assert stored(review) == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"photos": [], "label": "Bag"},
        {"photos": [[1]], "label": "Bag"},
        {"photos": [["1", "00"]], "label": "Bag"},
        {"photos": [[True, "00"]], "label": "Bag"},
        {"photos": [[1, "zz"]], "label": "Bag"},
        {"photos": [[1, None]], "label": "Bag"},
        {"photos": [[1 << 70, "00"]], "label": "Bag"},
        {"photos": "all", "label": "Bag"},
        {"photos": [[1, "00"]] * (MAX_PHOTOS + 1), "label": "Bag"},
        {"photos": [[1, "00"]], "label": None},
        {"photos": [[1, "00"]], "label": "x" * (LONGEST_TEXT + 1)},
        {"photos": [[1, "00"]], "label": "a\x1b]0;b"},
        {"photos": [[1, "00"]], "label": "Bag", "reviewer": "\u202eadA"},
    ],
)
def test_what_is_no_decision_is_refused(client: TestClient, review: Review, body: Any) -> None:
    """With one sentence; nothing is stored."""
    response = client.post("/review/decisions", json=body)
    assert response.status_code == 422
    assert response.json()["detail"].endswith(".")
    assert stored(review) == []


@pytest.mark.parametrize("reviews", [None, [1.5], ["1"], [True], [1] * (MAX_PHOTOS + 1)])
def test_what_is_no_undo_is_refused(client: TestClient, reviews: Any) -> None:
    """Likewise."""
    assert client.post("/review/undo", json={"reviews": reviews}).status_code == 422


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"[]", "application/json", 422),
        (b"[" * 100_000, "application/json", 400),
        (b"{}", "text/plain", 415),
        (b"photos=1", "application/x-www-form-urlencoded", 415),
        (b" " * (MAX_BODY + 1), "application/json", 413),
    ],
)
def test_other_bodies_are_refused(client: TestClient, content: bytes, kind: str, status: int) -> None:
    """Forms of other sites, long bodies and broken JSON."""
    response = client.post("/review/decisions", content=content, headers={"content-type": kind})
    assert response.status_code == status
    assert json.loads(response.text)["detail"]


@pytest.mark.parametrize("after", ["", "x", "-1", "9" * 20])
def test_a_number_that_is_none_is_refused(client: TestClient, after: str) -> None:
    """So that nothing but a number reaches the ledger."""
    assert client.get("/review/since", params={"after": after}).status_code == 400


def test_a_label_of_a_label_map_is_stored_by_its_own_name(client: TestClient, review: Review) -> None:
    """Names of the output are turned back to the bundle's labels, so that another map renames them again."""
    with closing(sqlite3.connect(review.folder / "tags.ledger")) as sql:
        sql.execute("""UPDATE decisions SET names = '{"Bag": "Coat", "Coat": "Mantel"}'""")
        sql.execute(
            "INSERT INTO runs SELECT 99, started, finished, pid, host, version, source, out, decision, fresh, verify,"
            " decoding, root FROM runs"
        )
        sql.commit()
    for name, row in zip(["Coat", "Mantel"], {row.sha256: row for row in review.open_rows()}.values(), strict=False):
        assert decide(client, name, row)["reviews"][0]["label"] == name
    assert [label for label, _ in stored(review)] == ["Bag", "Coat"]
