"""Shared by the tests of the review page in a real browser: the served command, its ledger, what a page shows."""

import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from helpers import ROOT, draw_photo

CHROMIUM = Path("/usr/bin/chromium")
VIEWPORT = {"width": 1280, "height": 800}

Watched = list[str]
"""What a page must never do: errors on the console, dialogs, requests to other servers."""


class Served(NamedTuple):
    """A running `fmtag review`: its folder, with `products.csv`, `tags.csv` and `tags.ledger`, its process and its address."""

    folder: Path
    process: "subprocess.Popen[str]"
    address: str
    """With the token."""

    @property
    def origin(self) -> str:
        """The address without a path."""
        return self.address.partition("/?")[0]

    @property
    def token(self) -> str:
        """What requests without a browser prove themselves with."""
        return self.address.partition("token=")[2]

    @property
    def ledger(self) -> Path:
        """The ledger of the runs."""
        return self.folder / "tags.ledger"

    def decisions(self) -> list[tuple[str, str | None, str]]:
        """Return path, label and reviewer of all reviews of the ledger, in their order."""
        query = "SELECT items.key, label, reviewer FROM reviews JOIN items ON items.id = item ORDER BY reviews.id"
        with closing(sqlite3.connect(self.ledger)) as sql:
            return sql.execute(query).fetchall()

    def counting(self) -> dict[str, str]:
        """Return the labels that count, by path."""
        query = (
            "SELECT items.key, label FROM items JOIN contents ON contents.id = items.content"
            " JOIN reviews ON reviews.id = review WHERE published IS NOT NULL"
        )
        with closing(sqlite3.connect(self.ledger)) as sql:
            return dict(sql.execute(query).fetchall())


@contextmanager
def serve(folder: Path, *options: str) -> Iterator[Served]:
    """Run `fmtag review` on the output of a folder until the end of the block."""
    command = [sys.executable, "-m", "tagger", "review", "tags.csv", "--no-browser", "--reviewer", "Ada", *options]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(folder / "cache")}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=folder, env=environment) as process:
        assert process.stderr is not None
        try:
            found = re.search(r"http://\S+", process.stderr.readline())
            assert found is not None
            yield Served(folder, process, found[0])
        finally:
            process.kill()
            process.wait(30)


COATS = [f"shop/new/coat-{number}.jpg" for number in range(8)]
"""In the order of doubt, the most doubtful first."""

BAGS = [f"shop/old/bag-{number}.jpg" for number in range(4)]

GUARDED = COATS[2]
"""The coat whose runner-up is a rare label."""

CUT = "shop/old/cut.jpg"


def write_review_catalog(folder: Path) -> None:
    """Write the photos and their table, `products.csv`, into a folder."""
    for number, path in enumerate([*COATS, *BAGS]):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        draw_photo(number).save(folder / path)
    (folder / CUT).write_bytes((folder / BAGS[0]).read_bytes()[:2000])
    lines = [f"{path},SKU-{number:03},Product {number}" for number, path in enumerate([*COATS, *BAGS, CUT])]
    (folder / "products.csv").write_text("\n".join(["image,sku,title", *lines, ""]))


def fmtag_run(folder: Path, bundle: Path) -> None:
    """Tag the table of a folder by the real command; no photo passes the threshold."""
    command = [sys.executable, "-m", "tagger", "run", "products.csv", "--out", "tags.csv", "--model", bundle]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*map(str, command), "--min-confidence", "1"], cwd=folder, env=environment, capture_output=True, timeout=120
    )
    assert done.returncode == 3, done.stderr.decode()  # one photo is cut off


def set_shares(ledger: Path) -> None:
    """Write probabilities into the ledger of the catalog: coats that may be bags, bags that may be coats, and `GUARDED`."""
    for number, path in enumerate(COATS):
        second = "Sandal" if path == GUARDED else "Bag"
        set_probabilities(ledger, path, {"Coat": 0.5 + number / 100, second: 0.3, "Shirt": 0.1})
    for number, path in enumerate(BAGS):
        set_probabilities(ledger, path, {"Bag": 0.4 + number / 100, "Coat": 0.35, "Shirt": 0.2})


def set_probabilities(ledger: Path, path: str, shares: dict[str, float]) -> None:
    """Write into a ledger what the networks say of a photo: probabilities 0..1 by label; its row gets the best one."""
    with closing(sqlite3.connect(ledger)) as sql:
        (labels,) = sql.execute("SELECT labels FROM models").fetchone()
        names = re.findall(r'"([^"]+)"', labels)
        values = np.array([shares.get(name, 0.0) for name in names], "<f4")
        best = max(shares, key=lambda label: shares[label])
        sql.execute(
            "UPDATE contents SET probabilities = ? WHERE id = (SELECT content FROM items WHERE key = ?)",
            (values.tobytes(), path),
        )
        sql.execute(
            "UPDATE items SET tag = ?, confidence = ?, low_confidence = 'true', reason = 'low_confidence' WHERE key = ?",
            (best, f"{shares[best]:.4f}", path),
        )
        sql.commit()


def open_page(context: Any, served: Served, query: str = "") -> tuple[Any, Watched]:
    """Open the review in a new page of a browser context; return the page and what it does wrong, which grows."""
    wrong: Watched = []
    page = context.new_page()
    page.set_default_timeout(15_000)
    page.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda request: None if _is_own(request.url, served) else wrong.append(request.url))
    page.goto(served.address)
    if query:
        page.goto(f"{served.origin}/review?{query}")
    return page, wrong


def _is_own(url: str, served: Served) -> bool:
    return url.startswith((served.origin, "data:"))


def paths(page: Any) -> list[str]:
    """Return the paths of the cards, in their order."""
    return list(page.locator(".card .path").all_inner_texts())


def focused(page: Any) -> str:
    """Return the path of the focused card; empty where none is focused."""
    return str(page.evaluate("document.activeElement.closest('.card')?.querySelector('.path').textContent ?? ''"))


def decided(page: Any) -> list[str]:
    """Return the paths of the cards that are shown as decided."""
    return list(page.locator(".card.decided .path").all_inner_texts())


def ticked(page: Any) -> list[str]:
    """Return the paths of the cards that are ticked."""
    return list(page.locator('.card[aria-selected="true"] .path').all_inner_texts())


def press(page: Any, *keys: str) -> None:
    """Press keys one after another."""
    for key in keys:
        page.keyboard.press(key)


def wait_for_status(page: Any, text: str) -> None:
    """Wait until the live region announces a text."""
    page.locator("#status-footer", has_text=text).wait_for()


def wait_for_count(page: Any, selector: str, count: int) -> None:
    """Wait until so many elements fit a selector."""
    from playwright.sync_api import expect

    expect(page.locator(selector)).to_have_count(count, timeout=15_000)
