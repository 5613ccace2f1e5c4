"""The report as one HTML file: it stands alone, says what the figures say, and bears any label, any count and any photo."""
# ruff: noqa: SIM300 - what is expected stands first, as in every test here

import base64
import re
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import pytest
import torch
from helpers import ROOT, draw_photo

from tagger.data.images import Images
from tagger.data.labels import LABELS
from tagger.errors import BundleError, OutputError
from tagger.evaluation import charts
from tagger.evaluation.evaluate import Evaluation, Example, evaluate, metrics_of
from tagger.evaluation.html_report import MOST_CONFIDENT, REPORT_FILE, html_report
from tagger.evaluation.metrics_tables import MOST_PAIRS
from tagger.evaluation.settings import EvaluateSettings
from tagger.files import write_folder
from tagger.metrics import classification
from tagger.models import history as history_module
from tagger.models.history import Epoch
from tagger.records import Tag

PNG = "data:image/png;base64,"

HISTORY = [Epoch(1, 2.0, 0.5, 1.5, 30.0), Epoch(2, 1.0, 0.75, 0.8, 31.0), Epoch(3, 0.5, 0.875, 0.6, 29.0)]

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


class Page(HTMLParser):
    """What a page holds: its tags with their attributes, its words, and its tables by caption as rows of cells."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
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
        self.words += data
        if self._open == "caption":
            self._caption += data
        elif self._open in ("th", "td"):
            self.tables[self._caption][-1][-1] += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """Return the attributes of each tag of that name."""
        return [attributes for name, attributes in self.tags if name == tag]

    def rows(self, caption: str) -> list[list[str]]:
        """Return the rows of the only table whose caption begins so, without its head."""
        [table] = [rows for name, rows in self.tables.items() if name.startswith(caption)]
        return table[1:]


def page_of(files: dict[str, bytes]) -> Page:
    """Return the page among a report's files."""
    return Page(files[REPORT_FILE].decode())


def judged(label: str, said: str, confidence: float, number: int = 0, **more: object) -> Example:
    """Return a row as `evaluate` makes it of one of Fashion-MNIST's pictures; `said` "" is no tag."""
    ranked = ((said, confidence),) if said else ()
    tag = Tag(ranked, confidence < 0.5, "low_confidence" if confidence < 0.5 else "", said)
    picture = np.random.default_rng(number).integers(0, 256, (28, 28), np.uint8)
    return replace(Example(None, label, True, label, f"set/{number}", False, False, tag, picture), **more)


def evaluation_of(labels: Sequence[str], n: int, name: str = "set", seed: int = 0) -> Evaluation:
    """Return an evaluation of `n` pictures with the labels in turn, two of three right, a few without a tag."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(n):
        label = labels[number % len(labels)]
        said = label if rng.random() < 2 / 3 else str(rng.choice([*labels, ""]))
        rows.append(judged(label, said, round(float(rng.uniform(0.2, 1)), 4) if said else 0.0, number))
    return Evaluation("model@0", {label: label for label in labels}, 0.5, {name: rows})


@pytest.fixture(scope="module")
def plain_report() -> tuple[Evaluation, dict[str, bytes]]:
    """An evaluation of 300 pictures of ten labels, with its report."""
    evaluation = evaluation_of(LABELS, 300)
    return evaluation, html_report(evaluation, HISTORY, "fmtag evaluate set")


Report = tuple[Evaluation, dict[str, bytes]]


# The page ----------------------------------------------------------------------------------------------------------


def test_the_page_stands_alone(plain_report: Report) -> None:
    """It names no other file and no address, runs nothing, and every picture in it lies beside it, byte by byte."""
    _, files = plain_report
    html = files[REPORT_FILE].decode()
    page = Page(html)
    assert not {"script", "link", "iframe", "object", "embed", "base", "form"} & {tag for tag, _ in page.tags}
    assert not [name for _, attributes in page.tags for name in attributes if name == "href" or name.startswith("on")]
    assert not re.search(r"https?:|@import|url\(|@font-face", html)
    sources = [image["src"] or "" for image in page.all("img")]
    assert all(source.startswith(PNG) for source in sources)
    beside = sorted(content for name, content in files.items() if name != REPORT_FILE)
    assert beside == sorted(base64.b64decode(source.removeprefix(PNG)) for source in sources)
    assert REPORT_FILE == list(files)[-1]


def test_the_page_can_be_read_without_eyes_and_on_paper(plain_report: Report) -> None:
    """It has a language, every picture words, every table a caption and cells that say what they are the head of."""
    _, files = plain_report
    page = page_of(files)
    assert [{"lang": "en"}] == page.all("html")
    assert all(image["alt"] for image in page.all("img"))
    assert len(page.all("table")) == len(page.all("caption")) == len(page.tables) == 6
    assert {"col", "row"} == {head["scope"] for head in page.all("th")}
    assert "@media print" in files[REPORT_FILE].decode()
    for image in page.all("img"):
        assert 0 < int(image["width"] or 0) <= 960


def test_the_page_says_what_the_figures_say(plain_report: Report) -> None:
    """Summary, classes, pairs, bins and coverage are those of `metrics_of`, and the command and the model stand in it."""
    evaluation, files = plain_report
    figures, page = metrics_of(evaluation), page_of(files)
    assert "fmtag evaluate set" in page.words
    [summary] = page.rows("Metrics of model@0")
    assert ["set", "300"] == summary[:2]
    for cell, key in ((summary[2], "accuracy"), (summary[3], "macro_accuracy"), (summary[6], "unflagged_accuracy")):
        assert figures[key] == pytest.approx(float(cell.split()[0]), abs=5.1e-4)
    assert f"{figures['calibration_error']:.3f}" == summary[4]
    assert f"{figures['unflagged_share']:.3f}" == summary[5]
    for row in page.rows("Precision, recall and F1 by class"):
        expected = figures["per_class"][row[0]]
        assert [f"{expected['n']}", *(f"{expected[key]:.3f}" for key in ("precision", "recall", "f1"))] == row[1:]
    assert [str(row["n"]) for row in figures["reliability"]] == [row[1] for row in page.rows("Reliability by confidence")]
    assert [f"{row['accuracy']:.4f}" for row in figures["coverage"]] == [row[2] for row in page.rows("Accuracy by coverage")]
    pairs = classification.confused_pairs(figures["confusion"])
    assert MOST_PAIRS < len(pairs)
    assert [[pair["true"], pair["said"] or "no tag", str(pair["n"])] for pair in pairs[:MOST_PAIRS]] == [
        row[:3] for row in page.rows(f"The {MOST_PAIRS} most frequent of {len(pairs)}")
    ]


def test_all_counts_stand_in_the_page(plain_report: Report) -> None:
    """What the confusion matrix draws can be read too: the counts of a class sum up to it."""
    evaluation, files = plain_report
    confusion = metrics_of(evaluation)["confusion"]
    rows = page_of(files).rows("All predictions of")
    assert list(LABELS) == [row[0] for row in rows]
    for (label, n, said), counts, without in zip(rows, confusion["counts"], confusion["without_tag"], strict=True):
        found = {name: int(count) for name, count in re.findall(r"(?:^|, )(.+?) (\d+) \([\d.]+%\)", said)}
        expected = {name: count for name, count in zip([*LABELS, "no tag"], [*counts, without], strict=True) if count}
        assert expected == found, label
        assert int(n) == sum(found.values())


def test_the_surest_are_shown(plain_report: Report) -> None:
    """The surest wrong and right predictions come first, each picture enlarged pixel by pixel, with label, tag, confidence."""
    evaluation, files = plain_report
    rows = sorted(evaluation.sources["set"], key=lambda row: -row.confidence)
    words = "".join(page_of(files).words.split())
    for name, right in (("wrong", False), ("right", True)):
        chosen = [row for row in rows if row.right == right][:MOST_CONFIDENT]
        assert MOST_CONFIDENT == len(chosen) == sum(file.startswith(f"1-{name}-") for file in files)
        for number, row in enumerate(chosen, 1):
            shown = cv2.imdecode(np.frombuffer(files[f"1-{name}-{number:02}.png"], np.uint8), cv2.IMREAD_UNCHANGED)
            assert row.image is not None
            assert np.array_equal(np.kron(row.image, np.ones((4, 4), np.uint8)), shown)
            said = f"true: {row.label} predicted: {row.predicted} confidence {row.confidence:.4f} {row.group}"
            assert said.replace(" ", "") in words


def test_the_same_rows_make_the_same_bytes(plain_report: Report) -> None:
    """Neither the time nor somebody's own settings of matplotlib change a byte."""
    evaluation, files = plain_report
    with matplotlib.rc_context({"font.size": 20, "lines.linewidth": 9, "text.color": "red"}):
        assert files == html_report(evaluation, HISTORY, "fmtag evaluate set")
    for name, content in files.items():
        if name != REPORT_FILE:
            assert not re.search(b"tEXt|iTXt|zTXt|tIME", content), name


def test_labels_of_any_kind_are_harmless() -> None:
    """Markup, mathtext, any script, broken encodings, control characters and length neither run, crash nor get lost."""
    evaluation = evaluation_of(HOSTILE, 150, name="<i>set</i> $a$")
    files = html_report(evaluation, HISTORY, "fmtag <b> '$c$' \udcfe")
    page = page_of(files)
    assert not {"script", "i"} & {tag for tag, _ in page.tags}
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert "\x00" not in page.words
    classes = [row[0] for row in page.rows("Precision, recall and F1 by class")]
    assert [HOSTILE[at] for at in (0, 1, 2, 3, 4, 5, 7, 8, 10)] == [classes[at] for at in (0, 1, 2, 3, 4, 5, 7, 8, 10)]
    assert "1. <i>set</i> $a$" in page.words
    assert "fmtag <b> '$c$' \\udcfe" in page.words


@pytest.mark.parametrize("count", [2, 12, 13, 60, 75])
def test_any_number_of_labels_can_be_drawn(count: int) -> None:
    """From two labels on, short or long, charts have a size that can be read, and the tables hold all of them."""
    labels = [f"{'label' if at % 2 else 'a label of a very long name'} {at}" for at in range(count)]
    files = html_report(evaluation_of(labels, 4 * count), [], "")
    assert labels == [row[0] for row in page_of(files).rows("All predictions of")]
    for name in ("1-confusion.png", "1-classes.png"):
        width, height = charts.size_of(files[name])
        assert 200 < width < 12 * charts.DPI
        assert 200 < height < 12 * charts.DPI
    assert ("of the 60 most confused of 75 classes" in page_of(files).words) == (count > charts.MOST_CLASSES)


def test_all_right_and_all_unsure() -> None:
    """A source without an error, and one where no tag passes the threshold, have their reports too."""
    right = Evaluation("m", {"a": "a", "b": "b"}, 0.5, {"set": [judged("a", "a", 1.0), judged("b", "b", 1.0, 1)]})
    words = page_of(html_report(right, [], "")).words
    assert "None: every prediction is right." in words
    assert "None." in words
    unsure = replace(right, sources={"set": [judged("a", "b", 0.3), judged("a", "", 0.0, 1)]})
    assert "no tag reaches the bundle's own threshold" in page_of(html_report(unsure, [], "")).words


def test_several_sources_each_have_their_part() -> None:
    """Every source has its row and its numbered pictures; one of strangers alone says that nothing can be right in it."""
    first, second = evaluation_of(LABELS, 40), evaluation_of(LABELS, 50, seed=1)
    strange = [judged("Belt", "Bag", 0.9, number, known=False) for number in range(3)]
    sources = {"first": first.sources["set"], "second": second.sources["set"], "strange": strange}
    files = html_report(replace(first, sources=sources), [], "")
    page = page_of(files)
    assert [["first", "40"], ["second", "50"], ["strange", "0"]] == [row[:2] for row in page.rows("Metrics of")]
    assert {"1-confusion.png", "2-confusion.png"} == {name for name in files if name.endswith("confusion.png")}
    assert "Of labels that the bundle lacks: Belt 3; 0 of these were flagged." in page.words
    assert "No photo has a label of this bundle, so no accuracy" in page.words


def test_loosely_mapped_photos_have_a_row_without_them() -> None:
    """Beside all photos of a source stand those that are not ambiguous."""
    evaluation = evaluation_of(LABELS, 40)
    rows = [replace(row, ambiguous=number % 4 == 0) for number, row in enumerate(evaluation.sources["set"])]
    page = page_of(html_report(replace(evaluation, sources={"set": rows}), [], ""))
    assert [["set", "40"], ["set, unambiguous", "30"]] == [row[:2] for row in page.rows("Metrics of")]


# From real pictures ------------------------------------------------------------------------------------------------


def test_fashion_mnist_shows_its_own_pictures(small_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test set's rows carry the very pictures that were judged, each with its own label."""
    with np.load(ROOT / "tests" / "fixtures" / "fashion-mnist-test-200.npz") as part:
        slice_ = dict(part)
    pictures = Images(torch.from_numpy(slice_["pixels"])[:, None], torch.from_numpy(slice_["labels"].astype(np.int64)))
    monkeypatch.setattr("tagger.data.fashion_mnist.load_fashion_mnist", lambda split, folder: pictures)
    evaluation = evaluate(EvaluateSettings(("fashion-mnist",), model=str(small_bundle)))
    for row, pixels, label in zip(evaluation.sources["fashion-mnist"], slice_["pixels"], slice_["labels"], strict=True):
        assert np.array_equal(pixels, row.image)
        assert LABELS[label] == row.label
    assert "1-wrong-01.png" in html_report(evaluation, [], "")


def test_photos_are_shown_small_and_gone_ones_said(small_bundle: Path, tmp_path: Path) -> None:
    """Photos are shown in their colours; one that has gone since it was judged leaves a sentence."""
    (tmp_path / "photos" / "Bag").mkdir(parents=True)
    for number in range(3):
        draw_photo(number).save(tmp_path / "photos" / "Bag" / f"{number}.png")
    evaluation = evaluate(EvaluateSettings((str(tmp_path / "photos"),), model=str(small_bundle)))
    assert all(row.image is None for row in evaluation.sources["photos"])
    (tmp_path / "photos" / "Bag" / "1.png").unlink()
    files = html_report(evaluation, [], "")
    shown = [content for name, content in files.items() if re.match("1-(wrong|right)-", name)]
    assert 2 == len(shown)
    assert "The photo can no longer be read." in page_of(files).words
    photos = [cv2.resize(np.asarray(draw_photo(number)), (96, 128), interpolation=cv2.INTER_AREA) for number in (0, 2)]
    for content in shown:
        found = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1].astype(float)
        assert min(np.abs(found - photo).mean() for photo in photos) < 4


# Training ----------------------------------------------------------------------------------------------------------


def test_the_history_is_read_and_drawn(plain_report: Report, small_bundle: Path, tmp_path: Path) -> None:
    """A bundle's history is its rows; cells are empty where nothing was held out, and a bundle without one says so."""
    evaluation, files = plain_report
    assert "After 3 epochs and 90 seconds the loss is 0.5000, the held-out accuracy 0.8750." in page_of(files).words
    assert [] == history_module.history(str(small_bundle))
    (tmp_path / "card.json").write_bytes((small_bundle / "card.json").read_bytes())
    lines = ["epoch,loss,held_out_accuracy,held_out_loss,seconds", "1,2.0,0.5,1.5,30.0", "2,1.0,,,31.5"]
    (tmp_path / "history.csv").write_text("\r\n".join([*lines, ""]))
    history = history_module.history(str(tmp_path))
    assert [Epoch(1, 2.0, 0.5, 1.5, 30.0), Epoch(2, 1.0, None, None, 31.5)] == history
    nothing_held_out = [row._replace(held_out_accuracy=None, held_out_loss=None) for row in history]
    drawn = {html_report(evaluation, some, "")["training.png"] for some in (history, nothing_held_out, history[:1])}
    assert 3 == len(drawn)
    assert "; nothing was held out." in page_of(html_report(evaluation, nothing_held_out, "")).words
    without = html_report(evaluation, [], "")
    assert "training.png" not in without
    assert "This bundle has no history" in page_of(without).words


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("epoch,loss\n1,2\n", "lacks held_out_accuracy, held_out_loss, seconds"),
        ("epoch,loss,held_out_accuracy,held_out_loss,seconds\n1,high,,,1\n", "high"),
        ("epoch,loss,held_out_accuracy,held_out_loss,seconds\n1,2\n", "lacks"),
    ],
    ids=["columns", "figures", "torn"],
)
def test_a_damaged_history_is_said(small_bundle: Path, tmp_path: Path, text: str, said: str) -> None:
    """A history that is none ends in one sentence about the bundle."""
    (tmp_path / "card.json").write_bytes((small_bundle / "card.json").read_bytes())
    (tmp_path / "history.csv").write_text(text)
    with pytest.raises(BundleError, match=said):
        history_module.history(str(tmp_path))


# Figures -----------------------------------------------------------------------------------------------------------


def test_the_curve_has_what_every_threshold_lets_pass() -> None:
    """For each confidence that occurs, the share at least as sure and how many of these are right."""
    rng = np.random.default_rng(3)
    confidence, right = rng.integers(0, 30, 200) / 30, rng.random(200) < 0.7
    shares, accuracies = classification.coverage_curve(confidence, right)
    thresholds = sorted(set(confidence), reverse=True)
    assert [np.mean(confidence >= threshold) for threshold in thresholds] == pytest.approx(shares.tolist())
    assert [right[confidence >= threshold].mean() for threshold in thresholds] == pytest.approx(accuracies.tolist())


def test_pairs_are_counted_by_true_class() -> None:
    """Pairs are what was said instead, also no tag, as shares of the true class, and right ones are none."""
    truth, said = np.array([0, 0, 0, 0, 1, 1, 2]), np.array([1, 1, classification.NO_TAG, 0, 1, 2, 2])
    figures = classification.classification_report(said, np.full(7, 0.5), truth, ("a", "b", "c"))
    assert [
        {"true": "a", "said": "b", "n": 2, "share": 0.5},
        {"true": "a", "said": "", "n": 1, "share": 0.25},
        {"true": "b", "said": "c", "n": 1, "share": 0.5},
    ] == classification.confused_pairs(figures["confusion"])


# The folder --------------------------------------------------------------------------------------------------------


def test_a_folder_is_made_and_only_the_files_are_replaced(tmp_path: Path) -> None:
    """Missing parents are made, files of the same name replaced, and others stay."""
    folder = tmp_path / "a" / "b"
    write_folder(folder, {"one": b"1", "two": b"2"})
    write_folder(folder, {"two": b"3"})
    assert {"one": b"1", "two": b"3"} == {file.name: file.read_bytes() for file in folder.iterdir()}


def test_a_folder_that_cannot_be_is_one_sentence(tmp_path: Path) -> None:
    """A file of that name, or above it, or a link to nowhere stays as it is."""
    (tmp_path / "file").write_text("kept")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for place in ("file", "file/below", "link"):
        with pytest.raises(OutputError, match="is no folder"):
            write_folder(tmp_path / place, {"one": b"1"})
    assert "kept" == (tmp_path / "file").read_text()
    assert {"file", "link"} == {path.name for path in tmp_path.iterdir()}
