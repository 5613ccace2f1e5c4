"""`fmtag pick`: a table to fill in."""

from collections.abc import Callable
from pathlib import Path

import pytest
from adaptation_helpers import write_table
from corrections_helpers import Shop
from corrections_helpers import shop as shop  # fixtures that are used by their names
from corrections_helpers import shop_template as shop_template
from helpers import assert_one_sentence, csv_rows, run_cli

pytestmark = pytest.mark.usefixtures("one_thread")


def test_photos_are_picked_into_a_table(photos: Callable[[int], Path], photo_bundle: Path, tmp_path: Path) -> None:
    """The table has the picked photos with an empty column `label`, in a file or on standard output, and a line counts them."""
    folder = photos(6)
    result = run_cli("pick", folder, "--from", photo_bundle, "--count", "3", "--out", "-")
    assert result.code == 0, result.err
    rows = csv_rows(result.out)
    assert 1 <= len(rows) <= 3
    assert len({row["path"] for row in rows}) == len(rows)
    assert {row["label"] for row in rows} == {""}
    assert result.err == f"{len(rows)} of 6 photos to label. Written to -.\n"
    again = run_cli("pick", folder, "--from", photo_bundle, "--count", "3", "--out", tmp_path / "to-label.csv")
    assert (again.code, again.out) == (0, "")
    assert csv_rows((tmp_path / "to-label.csv").read_text(encoding="utf-8")) == rows


@pytest.mark.parametrize("count", ["0", "10001", "x"])
def test_the_count_is_bounded(count: str, tmp_path: Path) -> None:
    """From 1 to 10,000 photos can be chosen."""
    assert_one_sentence(run_cli("pick", tmp_path, "--out", "-", "--count", count), 2, "--count")


def test_decided_photos_are_not_picked(shop: Shop, photo_bundle: Path, tmp_path: Path) -> None:
    """What people decided about, and its copies, is left out without being told; --no-reviews picks among all."""
    shop.decide({"0.jpg": "Bag", "@at.jpg": ""})
    given = (shop.folder, "--from", photo_bundle, "--count", "99", "--out", "-")
    picked = run_cli("pick", *given)
    assert picked.code == 0, picked.err
    assert "decisions of people about 3 photos, from" in picked.err
    paths = {row["path"] for row in csv_rows(picked.out)}
    assert paths
    assert not paths & {str(shop.folder / name) for name in ("0.jpg", "copy.jpg", "@at.jpg")}
    everything = {row["path"] for row in csv_rows(run_cli("pick", *given, "--no-reviews").out)}
    assert paths < everything
    table = write_table(tmp_path / "filled.csv", [(path, "Bag") for path in paths])
    assert run_cli("corrections", shop.out, "--from", table).code == 0
    assert csv_rows(run_cli("pick", *given).out) == []
