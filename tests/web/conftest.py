"""Fixtures of the web tests: a review of a small catalog, its application, and clients with and without its token."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from helpers import run_cli, write_photos
from review_browser_helpers import CHROMIUM
from review_web_helpers import TOKEN, Review
from starlette.testclient import TestClient

from tagger.review.columns import Columns
from tagger.review.photos import Photos
from tagger.review.queue import ReviewQueue
from tagger.review.thumbnails import Thumbnails
from tagger.run.reviews import ReviewStore
from tagger.web.guard import local_hosts
from tagger.web.review_app import review_app
from tagger.web.review_state import ReviewState


@pytest.fixture(scope="session")
def tagged(small_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table of twelve photos, one of them a copy, another cut off, tagged once, most of them flagged."""
    folder = tmp_path_factory.mktemp("tagged")
    write_photos(folder / "shop", 10)
    shutil.copy(folder / "shop" / "0001.jpg", folder / "shop" / "copy.jpg")
    (folder / "shop" / "cut.jpg").write_bytes((folder / "shop" / "0000.jpg").read_bytes()[:2000])
    names = sorted(path.name for path in (folder / "shop").iterdir())
    lines = [f"shop/{name},SKU-{number}" for number, name in enumerate(names)]
    (folder / "products.csv").write_text("\n".join(["image,sku", *lines, ""]))
    options = ("--out", folder / "tags.csv", "--model", small_bundle, "--min-confidence", "0.9")
    assert run_cli("run", folder / "products.csv", *options).code == 3
    return folder


@pytest.fixture
def review(tagged: Path, tmp_path: Path) -> Iterator[Review]:
    """A review of a copy of that folder."""
    folder = Path(shutil.copytree(tagged, tmp_path / "tagged"))
    ledger = folder / "tags.ledger"
    with closing(sqlite3.connect(ledger)) as sql:
        sql.execute("UPDATE runs SET root = ?", (str(folder),))
        sql.commit()
    with closing(ReviewStore(ledger)) as store, Columns(folder / "tags.csv") as columns, ReviewQueue(ledger, columns) as queue:
        columns.wait()
        photos = Photos(queue.reader)
        pictures = Thumbnails(photos, tmp_path / "thumbnails")
        state = ReviewState("tags.csv", queue, store, columns, photos, pictures, "Ada", ("Belt",))
        app = review_app(state, TOKEN, 8000, local_hosts("127.0.0.1"))
        yield Review(folder, state, app)


@pytest.fixture
def client(review: Review) -> Iterator[TestClient]:
    """A client that has the token."""
    with TestClient(review.app, base_url="http://127.0.0.1:8000", headers={"authorization": f"Bearer {TOKEN}"}) as opened:
        yield opened


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Open a browser."""
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield opened
        opened.close()
