"""A catalog of photos with awkward names that has been tagged once, shared by the tests of corrections."""

import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest
from helpers import draw_photo
from run_helpers import age, query

from tagger.file_names import escape_surrogates
from tagger.run.pipeline import run
from tagger.run.review_values import Shown
from tagger.run.reviews import ReviewStore
from tagger.run.settings import RunSettings

NAMES = (
    "0.jpg",
    "a,b;c.jpg",
    'quote".jpg',
    "new\nline.jpg",
    "=1+1.jpg",
    "+plus.jpg",
    "-dash.jpg",
    "@at.jpg",
    "ümläut ß.jpg",
    "bytes \udcff.jpg",
    "sub/0.jpg",
    "sub/only here.jpg",
)
"""Paths of the catalog: what tables quote or spreadsheets run, letters with accents, bytes that are no Unicode."""


class Shop(NamedTuple):
    """A catalog, the output of a run over it, and its ledger."""

    folder: Path
    out: Path
    ledger: Path

    def shown(self, name: str) -> Shown:
        """Return a photo as a page shows it."""
        wanted = escape_surrogates(name)
        found = {self._text(key): Shown(item, sha) for key, item, sha in query(self.ledger, _ITEMS)}
        return found[wanted]

    def decide(self, labels: Mapping[str, str], reviewer: str = "Ada") -> None:
        """Record decisions; an empty label stands for none of the labels."""
        with closing(ReviewStore(self.ledger)) as store:
            for name, label in labels.items():
                assert store.record([self.shown(name)], label, reviewer).reviews

    def decided(self) -> dict[str, tuple[str, str]]:
        """Return label and reviewer of the decisions that count, by escaped path."""
        return {self._text(key): (label, reviewer) for key, label, reviewer in query(self.ledger, _COUNTING)}

    def reviews(self) -> int:
        """Return the number of decisions that were ever recorded."""
        return int(query(self.ledger, "SELECT count(*) FROM reviews")[0][0])

    @staticmethod
    def _text(key: str | bytes) -> str:
        return escape_surrogates(key if isinstance(key, str) else key.decode("utf-8", "surrogatepass"))


_ITEMS = "SELECT key, items.id, sha256 FROM items JOIN contents ON contents.id = content"

_COUNTING = """
    SELECT key, label, reviewer FROM items JOIN contents ON contents.id = items.content JOIN reviews ON reviews.id = review
"""


@pytest.fixture(scope="session")
def shop_template(tmp_path_factory: pytest.TempPathFactory, photo_bundle: Path) -> Path:
    """A folder with the catalog, its output and its ledger, of which each test gets a copy."""
    base = tmp_path_factory.mktemp("odd")
    (base / "shop" / "sub").mkdir(parents=True)
    for number, name in enumerate(NAMES):
        draw_photo(number, (120, 160)).save(base / "shop" / name)
    shutil.copy(base / "shop" / "0.jpg", base / "shop" / "copy.jpg")
    age(*(base / "shop").rglob("*.jpg"))
    run(RunSettings(source=str(base / "shop"), out=str(base / "tags.csv"), model=str(photo_bundle), min_confidence=0.99))
    return base


@pytest.fixture
def shop(shop_template: Path, tmp_path: Path) -> Shop:
    """The catalog, tagged once and undecided."""
    return copy_of(shop_template, tmp_path / "first")


def copy_of(template: Path, folder: Path) -> Shop:
    """Return a copy of a tagged catalog, as if it had been tagged there."""
    shutil.copytree(template, folder)
    with closing(sqlite3.connect(folder / "tags.ledger")) as sql, sql:
        for column in ("source", "out", "root"):
            sql.execute(f"UPDATE runs SET {column} = replace({column}, ?, ?)", (str(template), str(folder)))
    return Shop(folder / "shop", folder / "tags.csv", folder / "tags.ledger")
