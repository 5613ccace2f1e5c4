"""The HTML report stands alone, shows the metrics, and bears any label, any number of classes and any photo."""

import base64
import re
from dataclasses import replace
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import pytest
from evaluation_helpers import HOSTILE, Page, evaluation_of, example, page_of
from helpers import draw_photo

from tagger.data.labels import LABELS
from tagger.evaluation import charts
from tagger.evaluation.evaluate import Evaluation, evaluate, metrics_of
from tagger.evaluation.html_report import MOST_CONFIDENT, REPORT_FILE, html_report
from tagger.evaluation.metrics_tables import MOST_PAIRS
from tagger.evaluation.settings import EvaluateSettings
from tagger.metrics import classification
from tagger.models.history import Epoch

pytestmark = pytest.mark.usefixtures("one_thread")

PNG = "data:image/png;base64,"

HISTORY = [Epoch(1, 2.0, 0.5, 1.5, 30.0), Epoch(2, 1.0, 0.75, 0.8, 31.0), Epoch(3, 0.5, 0.875, 0.6, 29.0)]

Report = tuple[Evaluation, dict[str, bytes]]


@pytest.fixture(scope="module")
def plain_report() -> Report:
    """An evaluation of 300 images of ten labels, with its report."""
    evaluation = evaluation_of(LABELS, 300)
    return evaluation, html_report(evaluation, HISTORY, "fmtag evaluate set")


# The page ----------------------------------------------------------------------------------------------------------


def test_the_page_stands_alone(plain_report: Report) -> None:
    """It names no other file and no address, runs nothing, and every image in it is also a file beside it, byte by byte."""
    _, files = plain_report
    html = files[REPORT_FILE].decode()
    page = Page(html)
    assert not {"script", "link", "iframe", "object", "embed", "base", "form"} & {tag for tag, _ in page.tags}
    assert not [name for _, attributes in page.tags for name in attributes if name == "href" or name.startswith("on")]
    assert not re.search(r"https?:|@import|url\(|@font-face", html)
    sources = [image["src"] or "" for image in page.all("img")]
    assert all(source.startswith(PNG) for source in sources)
    beside = sorted(content for name, content in files.items() if name != REPORT_FILE)
    assert sorted(base64.b64decode(source.removeprefix(PNG)) for source in sources) == beside
    assert list(files)[-1] == REPORT_FILE


def test_the_page_is_accessible_and_printable(plain_report: Report) -> None:
    """It has a language, every image a description, every table a caption and scoped headers, and a style for print."""
    _, files = plain_report
    page = page_of(files)
    assert page.all("html") == [{"lang": "en"}]
    assert all(image["alt"] for image in page.all("img"))
    assert len(page.all("table")) == len(page.all("caption")) == len(page.tables) == 6
    assert {head["scope"] for head in page.all("th")} == {"col", "row"}
    assert "@media print" in files[REPORT_FILE].decode()
    for image in page.all("img"):
        assert 0 < int(image["width"] or 0) <= 960


def test_the_page_shows_the_metrics(plain_report: Report) -> None:
    """Summary, classes, pairs, bins and coverage are those of `metrics_of`; the command and the model stand in it."""
    evaluation, files = plain_report
    metrics, page = metrics_of(evaluation), page_of(files)
    assert "fmtag evaluate set" in page.text
    [summary] = page.rows("Metrics of model@0")
    assert summary[:2] == ["set", "300"]
    for cell, key in ((summary[2], "accuracy"), (summary[3], "macro_accuracy"), (summary[6], "unflagged_accuracy")):
        assert float(cell.split()[0]) == pytest.approx(metrics[key], abs=5.1e-4)
    assert summary[4] == f"{metrics['calibration_error']:.3f}"
    assert summary[5] == f"{metrics['unflagged_share']:.3f}"
    for row in page.rows("Precision, recall and F1 by class"):
        expected = metrics["per_class"][row[0]]
        assert row[1:] == [f"{expected['n']}", *(f"{expected[key]:.3f}" for key in ("precision", "recall", "f1"))]
    assert [row[1] for row in page.rows("Reliability by confidence")] == [str(row["n"]) for row in metrics["reliability"]]
    assert [row[2] for row in page.rows("Accuracy by coverage")] == [f"{row['accuracy']:.4f}" for row in metrics["coverage"]]
    pairs = [list(pair.values()) for pair in classification.confused_pairs(metrics["confusion"])]
    assert len(pairs) > MOST_PAIRS
    assert [row[:3] for row in page.rows(f"The {MOST_PAIRS} most frequent of {len(pairs)}")] == [
        [true, predicted or "no tag", str(n)] for true, predicted, n, _ in pairs[:MOST_PAIRS]
    ]


def test_all_counts_stand_in_the_page(plain_report: Report) -> None:
    """A table holds all counts that the confusion matrix draws; those of a class sum up to it."""
    evaluation, files = plain_report
    confusion = metrics_of(evaluation)["confusion"]
    rows = page_of(files).rows("All predictions of")
    assert [row[0] for row in rows] == list(LABELS)
    for (label, n, predicted), counts, without in zip(rows, confusion["counts"], confusion["without_tag"], strict=True):
        found = {name: int(count) for name, count in re.findall(r"(?:^|, )(.+?) (\d+) \([\d.]+%\)", predicted)}
        expected = {name: count for name, count in zip([*LABELS, "no tag"], [*counts, without], strict=True) if count}
        assert found == expected, label
        assert sum(found.values()) == int(n)


def test_the_most_confident_are_shown(plain_report: Report) -> None:
    """The most confident wrong and right predictions come first, each image enlarged, with label, prediction, confidence."""
    evaluation, files = plain_report
    rows = sorted(evaluation.sources["set"], key=lambda row: -row.confidence)
    text = "".join(page_of(files).text.split())
    for name, right in (("wrong", False), ("right", True)):
        chosen = [row for row in rows if row.right == right][:MOST_CONFIDENT]
        assert len(chosen) == sum(file.startswith(f"1-{name}-") for file in files) == MOST_CONFIDENT
        for number, row in enumerate(chosen, 1):
            shown = cv2.imdecode(np.frombuffer(files[f"1-{name}-{number:02}.png"], np.uint8), cv2.IMREAD_UNCHANGED)
            assert row.image is not None
            assert np.array_equal(shown, np.kron(row.image, np.ones((4, 4), np.uint8)))
            expected = f"true: {row.label} predicted: {row.predicted} confidence {row.confidence:.4f} {row.group}"
            assert expected.replace(" ", "") in text


@pytest.mark.slow
def test_the_same_rows_make_the_same_bytes(plain_report: Report) -> None:
    """Neither the time nor a user's own settings of matplotlib change a byte."""
    evaluation, files = plain_report
    with matplotlib.rc_context({"font.size": 20, "lines.linewidth": 9, "text.color": "red"}):
        assert html_report(evaluation, HISTORY, "fmtag evaluate set") == files
    for name, content in files.items():
        if name != REPORT_FILE:
            assert not re.search(b"tEXt|iTXt|zTXt|tIME", content), name


def test_labels_of_any_kind_are_harmless() -> None:
    """Markup, math, any script, broken encodings, control characters and length neither run, crash nor get lost."""
    evaluation = evaluation_of(HOSTILE, 150, name="<i>set</i> $a$")
    files = html_report(evaluation, HISTORY, "fmtag <b> '$c$' \udcfe")
    page = page_of(files)
    assert not {"script", "i"} & {tag for tag, _ in page.tags}
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert "\x00" not in page.text
    classes = [row[0] for row in page.rows("Precision, recall and F1 by class")]
    assert [classes[at] for at in (0, 1, 2, 3, 4, 5, 7, 8, 10)] == [HOSTILE[at] for at in (0, 1, 2, 3, 4, 5, 7, 8, 10)]
    assert "1. <i>set</i> $a$" in page.text
    assert "fmtag <b> '$c$' \\udcfe" in page.text


@pytest.mark.slow
def test_of_many_classes_the_most_confused_are_drawn() -> None:
    """Charts of more than 60 classes draw the most confused and the weakest ones and say so; the tables hold all."""
    labels = [f"{'label' if at % 2 else 'a label of a very long name'} {at}" for at in range(75)]
    page = page_of(html_report(evaluation_of(labels, 300), [], ""))
    assert [row[0] for row in page.rows("All predictions of")] == labels
    assert "of the 60 most confused of 75 classes" in page.text
    assert "of the 60 classes with the lowest F1 of 75" in page.text


def test_all_right_and_all_unsure() -> None:
    """A source without an error, and one where no tag reaches the threshold, have their reports too."""
    right = Evaluation("m", {"a": "a", "b": "b"}, 0.5, {"set": [example("a", "a", 1.0), example("b", "b", 1.0, 1)]})
    text = page_of(html_report(right, [], "")).text
    assert "None: every prediction is right." in text
    assert "None.\n" in text
    unsure = replace(right, sources={"set": [example("a", "b", 0.3), example("a", "", 0.0, 1)]})
    assert "no tag reaches the bundle's own threshold" in page_of(html_report(unsure, [], "")).text


def test_several_sources_each_have_their_part() -> None:
    """Every source has its row and its numbered images; one of OOD photos alone says that no accuracy can be measured."""
    first, second = evaluation_of(LABELS, 40), evaluation_of(LABELS, 50, seed=1)
    ood = [example("Belt", "Bag", 0.9, number, known=False) for number in range(3)]
    sources = {"first": first.sources["set"], "second": second.sources["set"], "ood": ood}
    files = html_report(replace(first, sources=sources), [], "")
    page = page_of(files)
    assert [row[:2] for row in page.rows("Metrics of")] == [["first", "40"], ["second", "50"], ["ood", "0"]]
    assert {name for name in files if name.endswith("confusion.png")} == {"1-confusion.png", "2-confusion.png"}
    assert "Of labels that the bundle lacks: Belt 3; 0 of these were flagged." in page.text
    assert "No photo has a label of this bundle, so no accuracy can be measured." in page.text


def test_loosely_mapped_photos_have_a_row_without_them() -> None:
    """Below all photos of a source stands a row of those that are not ambiguous."""
    evaluation = evaluation_of(LABELS, 40)
    rows = [replace(row, ambiguous=number % 4 == 0) for number, row in enumerate(evaluation.sources["set"])]
    page = page_of(html_report(replace(evaluation, sources={"set": rows}), [], ""))
    assert [row[:2] for row in page.rows("Metrics of")] == [["set", "40"], ["set, unambiguous", "30"]]


def test_photos_are_shown_small(small_bundle: Path, tmp_path: Path) -> None:
    """Photos are shown in their colours; one that was deleted after the evaluation leaves a sentence."""
    (tmp_path / "photos" / "Bag").mkdir(parents=True)
    for number in range(3):
        draw_photo(number).save(tmp_path / "photos" / "Bag" / f"{number}.png")
    evaluation = evaluate(EvaluateSettings((str(tmp_path / "photos"),), model=str(small_bundle)))
    assert all(row.image is None for row in evaluation.sources["photos"])
    (tmp_path / "photos" / "Bag" / "1.png").unlink()
    files = html_report(evaluation, [], "")
    shown = [content for name, content in files.items() if re.match("1-(wrong|right)-", name)]
    assert len(shown) == 2
    assert "The photo can no longer be read." in page_of(files).text
    photos = [cv2.resize(np.asarray(draw_photo(number)), (96, 128), interpolation=cv2.INTER_AREA) for number in (0, 2)]
    for content in shown:
        found = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1].astype(float)
        assert min(np.abs(found - photo).mean() for photo in photos) < 4


def test_the_history_is_summed_up_and_drawn(plain_report: Report) -> None:
    """Training has a sentence and a chart, also where nothing was held out; a bundle without a history says so."""
    _, files = plain_report
    assert "After 3 epochs and 90 seconds the loss is 0.5000, the held-out accuracy 0.8750." in page_of(files).text
    few = Evaluation("m", {"a": "a"}, 0.5, {"ood": [example("Belt", "a", 0.9, known=False)]})  # draws no other chart
    nothing_held_out = [row._replace(held_out_accuracy=None, held_out_loss=None) for row in HISTORY]
    with_loss_alone = html_report(few, nothing_held_out, "")
    assert "; nothing was held out." in page_of(with_loss_alone).text
    assert with_loss_alone["training.png"] != files["training.png"]
    without = html_report(few, [], "")
    assert "training.png" not in without
    assert "This bundle has no history" in page_of(without).text


def test_charts_have_their_printed_size(plain_report: Report) -> None:
    """The width of a chart on the page is that of its print at 96 pixels per inch."""
    _, files = plain_report
    widths = [int(image["width"] or 0) for image in page_of(files).all("img")]
    assert widths[0] == round(charts.size_of(files["training.png"])[0] / charts.DPI * 96)
