"""`fmtag corrections` on the command line: what it writes, prints and refuses."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from adaptation_helpers import write_table
from corrections_helpers import NAMES, Shop, copy_of
from corrections_helpers import shop as shop  # fixtures that are used by their names
from corrections_helpers import shop_template as shop_template
from helpers import assert_one_sentence, csv_rows, rows_of, run_cli


def test_decisions_go_out_and_come_in(shop: Shop, shop_template: Path, tmp_path: Path) -> None:
    """By the output or the ledger; counts are on standard error, and the next run writes them."""
    shop.decide({"0.jpg": "Bag", "sub/0.jpg": ""})
    written = run_cli("corrections", shop.out, "--out", tmp_path / "c.csv")
    assert (written.code, written.out) == (0, "")
    assert written.err == f"3 photos that people decided about. Written to {tmp_path / 'c.csv'}.\n"
    second = copy_of(shop_template, tmp_path / "second")
    taken = run_cli("corrections", "--ledger", second.ledger, "--from", tmp_path / "c.csv")
    assert (taken.code, taken.err) == (0, "2 decisions recorded, 0 known already. The next fmtag run writes them.\n")
    assert second.decided()["copy.jpg"] == ("Bag", "Ada")
    again = run_cli("corrections", second.out, "--from", tmp_path / "c.csv", "--out", "-")
    assert again.err.startswith("0 decisions recorded, 2 known already.")
    assert csv_rows(again.out) == rows_of(tmp_path / "c.csv")


def test_the_name_is_that_of_the_login_or_the_option(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table without names is taken in that of the user."""
    monkeypatch.setenv("LOGNAME", "cy")
    run_cli("corrections", shop.out, "--from", write_table(tmp_path / "a.csv", [("@at.jpg", "Bag")]))
    run_cli("corrections", shop.out, "--from", write_table(tmp_path / "b.csv", [("0.jpg", "Bag")]), "--reviewer", "Ada")
    assert {name: by for name, (_, by) in shop.decided().items()} == {"@at.jpg": "cy", "0.jpg": "Ada", "copy.jpg": "Ada"}


def test_label_studio_gets_tasks_and_an_interface(shop: Shop, tmp_path: Path) -> None:
    """By the ending of the name or --format; with --open the flagged photos are tasks to do."""
    shop.decide({"@at.jpg": "Belt"})
    out, config = tmp_path / "t.label-studio.json", tmp_path / "config.xml"
    prefix = ("--url-prefix", "/data/local-files/?d=shop/")
    done = run_cli("corrections", shop.out, "--out", out, "--label-config", config, "--open", *prefix)
    assert done.code == 0, done.err
    tasks = json.loads(out.read_text(encoding="utf-8"))
    assert len(tasks) == len(NAMES) + 1
    assert sum(bool(task["annotations"]) for task in tasks) == 1
    assert all(task["data"]["image"].startswith("/data/local-files/?d=shop/") for task in tasks)
    choices = [one.attrib["value"] for one in ET.parse(config).iter("Choice")]
    assert (choices[0], choices[-2:]) == ("T-shirt/top", ["Belt", "none of these labels"])
    printed = run_cli("corrections", shop.out, "--label-config", "-")
    assert printed.out == config.read_text(encoding="utf-8")
    named = run_cli("corrections", shop.out, "--out", "-", "--format", "label-studio")
    assert [task["data"]["path"] for task in json.loads(named.out)] == ["@at.jpg"]


def test_notes_are_one_line_each(shop: Shop, tmp_path: Path) -> None:
    """Names of photos and labels act on no terminal."""
    table = write_table(tmp_path / "c.csv", [("@at.jpg", "Bag"), ("gone\x1b[2J\n.jpg", "Bag")])
    taken = run_cli("corrections", shop.out, "--from", table)
    assert taken.err.splitlines() == [
        "Note: Photos that the ledger does not have, left out (1): gone\\x1b[2J\\n.jpg.",
        "1 decision recorded, 0 known already. The next fmtag run writes them.",
    ]


def test_a_file_to_fill_in(shop: Shop, tmp_path: Path) -> None:
    """With --open a table has the flagged photos without a label; filled in, it is taken."""
    assert run_cli("corrections", shop.out, "--open", "--out", tmp_path / "o.csv").code == 0
    rows = rows_of(tmp_path / "o.csv")
    assert {row["label"] for row in rows} == {""}
    filled = [tuple((row | {"label": "Coat"}).values()) for row in rows[:2]]
    assert run_cli("corrections", shop.out, "--from", write_table(tmp_path / "f.csv", filled, tuple(rows[0]))).code == 0
    assert {row["path"] for row in rows[:2]} <= {*shop.decided()}


def test_refusals(shop: Shop, tmp_path: Path) -> None:
    """No ledger, nothing to do, an output over an input, a file of another shape: one sentence, and nothing is written."""
    before = shop.out.read_bytes()
    assert_one_sentence(run_cli("corrections", "--out", "c.csv"), 2, "--ledger")
    assert_one_sentence(run_cli("corrections", shop.out), 2, "--from")
    assert_one_sentence(run_cli("corrections", tmp_path / "x.csv", "--out", tmp_path / "c.csv"), 1, "no ledger beside")
    assert_one_sentence(run_cli("corrections", "--ledger", tmp_path / "x", "--out", tmp_path / "c.csv"), 1, "no ledger")
    assert_one_sentence(run_cli("corrections", shop.out, "--out", shop.out), 1, "would be replaced")
    assert_one_sentence(run_cli("corrections", shop.out, "--out", shop.ledger), 1, "would be replaced")
    assert_one_sentence(run_cli("corrections", shop.out, "--out", tmp_path / "c.txt"), 1, "--format")
    assert_one_sentence(run_cli("corrections", shop.out, "--from", tmp_path / "none.csv"), 1, "There is no")
    (tmp_path / "coco.json").write_text('{"images": [], "annotations": [], "categories": []}')
    assert_one_sentence(run_cli("corrections", shop.out, "--from", tmp_path / "coco.json"), 1, "JSON-MIN")
    assert shop.out.read_bytes() == before
