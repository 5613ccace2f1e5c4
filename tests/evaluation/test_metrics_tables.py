"""Tables of metrics hold what `metrics_of` returns and what counting the rows gives."""

from dataclasses import replace

import pytest
from evaluation_helpers import evaluation_of, example

from tagger.data.labels import LABELS
from tagger.evaluation import metrics_tables
from tagger.evaluation.evaluate import Evaluation, metrics_of
from tagger.evaluation.metrics_tables import (
    MOST_PAIRS,
    SUMMARY_CELLS,
    confusion_table,
    known_rows,
    metrics_lines,
    other_rows,
    pair_table,
    prediction_table,
    share_cell,
    size_cell,
    sources_table,
    summary_table,
)

EVALUATION = evaluation_of(LABELS, 200)
METRICS = metrics_of(EVALUATION)


def small(*rows: tuple[str, str, float]) -> Evaluation:
    """Return an evaluation of images with label, prediction and confidence, of the labels a, b and c."""
    examples = [example(label, predicted, confidence, at) for at, (label, predicted, confidence) in enumerate(rows)]
    return Evaluation("m", {"a": "x", "b": "x", "c": "y"}, 0.5, {"set": examples})


def test_one_source_has_four_tables_and_several_have_one() -> None:
    """A single source is shown in detail, several as a row each."""
    titles = [table.title for table in metrics_tables.metrics_tables(METRICS)]
    assert [title.split()[0] for title in titles] == ["Precision,", "Confusion", "Reliability", "Accuracy"]
    [table] = metrics_tables.metrics_tables({"sources": {"first": METRICS, "second": METRICS}})
    assert [row[0] for row in table.rows] == ["first", "second"]


def test_tables_of_one_source_hold_its_metrics() -> None:
    """Classes, bins and coverages have the numbers of the metrics, each class a row."""
    classes, _, bins, coverages = metrics_tables.metrics_tables(METRICS)
    assert [row[0] for row in classes.rows] == list(LABELS)
    for row in classes.rows:
        expected = METRICS["per_class"][row[0]]
        assert row[1:] == (str(expected["n"]), *(f"{expected[key]:.3f}" for key in ("precision", "recall", "f1")))
    assert [row[1] for row in bins.rows] == [str(row["n"]) for row in METRICS["reliability"]]
    assert [row[2] for row in coverages.rows] == [f"{row['accuracy']:.4f}" for row in METRICS["coverage"]]
    assert [row[0] for row in coverages.rows] == ["50%", "60%", "70%", "80%", "90%", "95%", "100%"]


def test_classes_that_do_not_occur_are_left_out() -> None:
    """A class without a photo has no row among the classes and none in the confusion matrix, but its column."""
    metrics = metrics_of(small(("a", "a", 0.9), ("b", "c", 0.8)))
    classes, confusion, *_ = metrics_tables.metrics_tables(metrics)
    assert [row[0] for row in classes.rows] == ["a", "b"]
    assert confusion.rows == (("a", "1", ".", "."), ("b", ".", ".", "1"))


def test_confusion_counts_photos_without_a_tag() -> None:
    """A column for no tag stands at the end where some photo has none; labels are cut to five characters."""
    table = confusion_table(METRICS)
    assert [column.title for column in table.columns] == ["true", *(label[:5] for label in LABELS), "none"]
    assert [int(row[-1].replace(".", "0")) for row in table.rows] == METRICS["confusion"]["without_tag"]


def test_predictions_of_a_class_sum_up_to_it() -> None:
    """All predictions of a class stand in one cell, the most frequent first, with shares of the class."""
    metrics = metrics_of(small(("a", "b", 0.9), ("a", "b", 0.9), ("a", "a", 0.9), ("a", "", 0.0)))
    assert prediction_table(metrics).rows == (("a", "4", "b 2 (50.0%), a 1 (25.0%), no tag 1 (25.0%)"),)


def test_the_most_frequent_pairs_are_listed() -> None:
    """At most `MOST_PAIRS` pairs are listed under a title that says how many exist; none where all is right."""
    assert len(pair_table(METRICS).rows) == MOST_PAIRS
    assert pair_table(METRICS).title.startswith(f"The {MOST_PAIRS} most frequent of ")
    few = pair_table(metrics_of(small(("a", "b", 0.9), ("b", "", 0.0))))
    assert (few.title, few.rows) == ("All pairs", (("a", "b", "1", "100.0%"), ("b", "no tag", "1", "100.0%")))
    assert pair_table(metrics_of(small(("a", "a", 0.9)))).rows == ()


def test_sources_are_a_row_each() -> None:
    """Each source has its metrics, one more row without loosely mapped photos, and dashes where nothing is measured."""
    rows = [replace(row, ambiguous=at % 4 == 0) for at, row in enumerate(EVALUATION.sources["set"])]
    ood = [example("Belt", "Bag", 0.9 if at else 0.3, at, known=False) for at in range(4)]
    metrics = metrics_of(replace(EVALUATION, sources={"set": rows, "ood": ood}))["sources"]
    table = sources_table(metrics)
    assert [row[:2] for row in table.rows] == [("set", "200"), ("set, unambiguous", "150"), ("ood", "0")]
    assert table.rows[0][3] == f"{metrics['set']['accuracy']:.3f}"
    assert table.rows[2] == ("ood", "0", *["-"] * 6, "0.250")


def test_lines_name_all_that_is_left_out() -> None:
    """Unreadable photos, other labels and loosely mapped photos have a sentence each, and only where there are any."""
    assert len(metrics_lines(METRICS)) == 1
    more = METRICS | {
        "failed": {"unreadable": 2},
        "other_labels": {"Belt": 3, "Hat": 1},
        "other_labels_flagged": 3,
        "unambiguous": METRICS,
    }
    _, clear, failed, others = metrics_lines(more)
    assert clear.startswith("without loosely mapped kinds: accuracy ")
    assert failed == "left out, could not be read: {'unreadable': 2}"
    assert others.endswith("3 of 4 flagged")
    assert "100.0%, 1.0000 right" in metrics_lines(metrics_of(small(("a", "a", 0.9))))[0]
    assert "0.0%, none;" in metrics_lines(metrics_of(small(("a", "a", 0.3))))[0]


def test_known_and_other_photos_are_told_apart() -> None:
    """Photos that could not be read are neither known nor other."""
    known, other = example("a", "a", 0.9), example("Belt", "a", 0.9, known=False)
    broken = replace(known, tag=replace(known.tag, ranked=(), reason="unreadable"))
    assert broken.failed
    assert known_rows([known, other, broken]) == [known]
    assert other_rows([known, other, broken]) == [other]


def test_a_summary_counts_its_rows() -> None:
    """Every column is computed from the photos of its set; unflagged ones are those that reach the threshold."""
    evaluation = small(("a", "a", 0.9), ("a", "b", 0.8), ("b", "c", 0.3), ("c", "c", 0.2))
    table = summary_table({"set": evaluation.sources["set"], "empty": []}, tuple(SUMMARY_CELLS), "title")
    cells = dict(zip([column.title for column in table.columns], table.rows[0], strict=True))
    assert (cells["photos"], cells["n"], cells["n (groups)"]) == ("set", "4", "4 (4)")
    assert [cells[name].split()[0] for name in ("accuracy", "macro accuracy", "of these right")] == ["0.500", "0.500", "0.500"]
    assert (cells["unflagged"], cells["others flagged"]) == ("0.500", "-")
    assert table.rows[1] == ("empty", "0", *["-"] * (len(SUMMARY_CELLS) - 1))


def test_intervals_are_over_groups() -> None:
    """Photos of one product count as one draw: with a single group the interval has no width."""
    rows = [example("a", "a" if at else "b", 0.9, at, group="one") for at in range(4)]
    assert share_cell(rows, lambda row: row.right) == "0.750 (0.750-0.750)"
    assert size_cell(rows) == "4 (1)"
    apart = [replace(row, group=str(at)) for at, row in enumerate(rows)]
    assert share_cell(apart, lambda row: row.right) != "0.750 (0.750-0.750)"


@pytest.mark.parametrize("name", SUMMARY_CELLS)
def test_no_photos_are_no_metric(name: str) -> None:
    """A column of a set without photos is a dash, or 0 for their number."""
    assert SUMMARY_CELLS[name]([]) == ("0" if name == "n" else "-")
