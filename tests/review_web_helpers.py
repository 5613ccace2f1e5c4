"""Shared by the tests of the review page: the review that is served, and the requests of the page's script."""

import re
from pathlib import Path
from typing import Any, NamedTuple

from starlette.testclient import TestClient
from starlette.types import ASGIApp

from tagger.review.queue import Filters, QueueRow
from tagger.web.review_state import ReviewState

TOKEN = "a-token-of-the-tests"


class Review(NamedTuple):
    """A review that is served: its folder, with `products.csv`, `tags.csv` and `tags.ledger`, and its application."""

    folder: Path
    state: ReviewState
    app: ASGIApp

    def open_rows(self) -> list[QueueRow]:
        """Return all photos that are to be reviewed."""
        queue = self.state.queue
        return [row for one in queue.groups(Filters()) for row in queue.page(Filters(), one.tag).rows]


def photos(*rows: QueueRow) -> list[list[Any]]:
    """Return photos as the page's script names them."""
    return [[row.item, row.sha256] for row in rows]


def decide(client: TestClient, label: str, *rows: QueueRow, **more: Any) -> Any:
    """Decide about photos as the page's script does, and return the answer."""
    response = client.post("/review/decisions", json={"photos": photos(*rows), "label": label, **more})
    assert response.status_code == 200, response.text
    return response.json()


def cards(html: str) -> list[str]:
    """Return the paths of the cards of a page, in their order."""
    return re.findall(r'<p class="path"[^>]*>([^<]*)</p>', html)
