"""What the tests of evaluation share: labelled photos on disk, evaluations made of numbers, and reports read back."""

import csv
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
from helpers import draw_photo

from tagger.evaluation.evaluate import Evaluation, Example
from tagger.evaluation.html_report import REPORT_FILE
from tagger.records import Tag

Row = Sequence[object]

HOSTILE = (
    "<script>alert(1)</script>",
    '" onload="alert(1)',
    "$\\frac{$",
    "$x_1$ & $y^2$",
    "靴下とくつ",
    "جوارب",
    "a\udcff\x00b\x1b[31m",
    "line\nbreak",
    "very " * 40 + "long",
    " ",
    "%s {} $title ${body}",
    "\N{WAVING HAND SIGN}\N{EMOJI MODIFIER FITZPATRICK TYPE-5}",
)
"""Labels with markup, math, other scripts, broken encodings, control characters and great length."""


# Sources and rows --------------------------------------------------------------------------------------------------


def write_source(folder: Path, rows: Sequence[Row], header: Row = ("path", "label", "kind", "group"), first: int = 0) -> Path:
    """Write a folder with a photo for each row, drawn from the seeds `first` on, and its labels.csv, and return the folder."""
    folder.mkdir(parents=True)
    with (folder / "labels.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(header)
        for number, row in enumerate(rows):
            draw_photo(first + number, (120, 160)).save(folder / f"{number}.jpg")
            table.writerow([f"{number}.jpg", *row])
    return folder


def example(label: str, predicted: str, confidence: float, number: int = 0, **more: object) -> Example:
    """Return a row as `evaluate` makes it of one of Fashion-MNIST's images; `predicted` "" is no tag."""
    ranked = ((predicted, confidence),) if predicted else ()
    tag = Tag(ranked, confidence < 0.5, "low_confidence" if confidence < 0.5 else "", predicted)
    image = np.random.default_rng(number).integers(0, 256, (28, 28), np.uint8)
    return replace(Example(None, label, True, label, f"set/{number}", False, False, tag, image), **more)


def evaluation_of(labels: Sequence[str], n: int, name: str = "set", seed: int = 0) -> Evaluation:
    """Return an evaluation of `n` images with the labels in turn, two of three right, a few without a tag."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(n):
        label = labels[number % len(labels)]
        predicted = label if rng.random() < 2 / 3 else str(rng.choice([*labels, ""]))
        rows.append(example(label, predicted, round(float(rng.uniform(0.2, 1)), 4) if predicted else 0.0, number))
    return Evaluation("model@0", {label: label for label in labels}, 0.5, {name: rows})


# Reports read back -------------------------------------------------------------------------------------------------


def markdown_tables(report: str) -> list[list[dict[str, str]]]:
    """Return the tables of a Markdown report, each as its rows by the names of their columns."""
    found: list[list[list[str]]] = [[]]
    for line in report.splitlines():
        if line.startswith("| "):
            found[-1].append([cell.strip() for cell in line[1:-1].split("|")])
        elif not line.startswith("|---"):
            found.append([])
    return [[dict(zip(lines[0], line, strict=True)) for line in lines[1:]] for lines in found if lines]


class Page(HTMLParser):
    """A parsed page: its tags with their attributes, its text, and its tables by caption as rows of cells."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.tables: dict[str, list[list[str]]] = {}
        self._caption, self._open = "", ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._open = tag
        if tag == "caption":
            self._caption = ""
        elif tag == "tr":
            self.tables.setdefault(self._caption, []).append([])
        elif tag in ("th", "td"):
            self.tables[self._caption][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._open == "caption":
            self._caption += data
        elif self._open in ("th", "td"):
            self.tables[self._caption][-1][-1] += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """Return the attributes of each tag of that name."""
        return [attributes for name, attributes in self.tags if name == tag]

    def rows(self, caption: str) -> list[list[str]]:
        """Return the rows, without the head, of the only table whose caption begins so."""
        [table] = [rows for name, rows in self.tables.items() if name.startswith(caption)]
        return table[1:]


def page_of(files: dict[str, bytes]) -> Page:
    """Return the page among a report's files."""
    return Page(files[REPORT_FILE].decode())
