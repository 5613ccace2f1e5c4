"""Fixtures of the tests of the review's data: a table of photos that the command has tagged, and its queue."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from helpers import rows_of
from queue_helpers import Catalog, tag, write_table

from benchmarks.speed.review_rows import make_catalog
from tagger.review.columns import Columns
from tagger.review.queue import ReviewQueue


@pytest.fixture(scope="session")
def tagged_template(tmp_path_factory: pytest.TempPathFactory, photo_bundle: Path) -> Path:
    """A table of photos, tagged once by the command, of which each test gets a copy."""
    folder = tmp_path_factory.mktemp("tagged") / "shop"
    folder.mkdir()
    tag(write_table(folder / "catalog"), folder / "tags.csv", photo_bundle)
    return folder


@pytest.fixture
def tagged(tagged_template: Path, tmp_path: Path) -> Catalog:
    """A table of photos, tagged once by the command."""
    folder = Path(shutil.copytree(tagged_template, tmp_path / "shop"))
    with closing(sqlite3.connect(folder / "tags.ledger")) as sql, sql:  # as if it had been tagged there
        for column in ("source", "out", "root"):
            sql.execute(f"UPDATE runs SET {column} = replace({column}, ?, ?)", (str(tagged_template), str(folder)))
    return Catalog(
        folder / "catalog" / "products.csv", folder / "tags.csv", folder / "tags.ledger", rows_of(folder / "tags.csv")
    )


@pytest.fixture
def queue(tagged: Catalog) -> Iterator[ReviewQueue]:
    """The queue of that catalog, with the columns of its table."""
    with Columns(tagged.out) as columns, ReviewQueue(tagged.ledger, columns) as opened:
        assert columns.wait()
        yield opened


@pytest.fixture(scope="session")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of a catalog of 3,000 rows, tagged in three nights, without its photos; its ledger lies beside it."""
    return make_catalog(tmp_path_factory.mktemp("many") / "shop", 3_000, photos=0)
