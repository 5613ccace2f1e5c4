"""Tables of the metrics of labelled photos, which the terminal, the Markdown and the HTML report share.

`metrics` is what `evaluate.metrics_of` returns for one source, `rows` are the examples that it was computed from.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from tagger.arrays import Flags, Floats
from tagger.evaluation.evaluate import Example
from tagger.evaluation.tables import MISSING, Column, Table, interval_cell, make_table, optional_cell
from tagger.metrics.calibration import calibration_error, reliability_table
from tagger.metrics.classification import confused_pairs
from tagger.metrics.significance import bootstrap_interval, macro_accuracy, macro_bootstrap_interval

Metrics: TypeAlias = Mapping[str, Any]
Rows: TypeAlias = Sequence[Example]
Sets: TypeAlias = Mapping[str, Rows]
Criterion: TypeAlias = Callable[[Example], bool]

MOST_PAIRS = 20
"""Confused pairs that are listed."""

NO_TAG = "no tag"

SHORT_LABEL = 5
"""Characters of a label in the confusion table, whose ten columns fit a terminal of 80."""

SOURCE_COLUMNS = (
    Column("source", "left"),
    Column("n"),
    Column("macro accuracy", short="macro acc."),
    Column("accuracy", short="acc."),
    Column("group accuracy", short="group acc."),
    Column("calibration error", short="calib. error"),
    Column("unflagged", short="un- flagged"),
    Column("of these right", short="these right"),
    Column("others flagged"),
)


# From metrics ------------------------------------------------------------------------------------------------------


def metrics_tables(metrics: Metrics) -> list[Table]:
    """Return the tables that a terminal shows of what `evaluate.metrics_of` returns.

    One source gives metrics by class, the confusion matrix, reliability and coverage; several give one table with a row each.
    """
    if "sources" in metrics:
        return [sources_table(metrics["sources"])]
    return [class_table(metrics), confusion_table(metrics), calibration_table(metrics), coverage_table(metrics)]


def metrics_lines(metrics: Metrics) -> list[str]:
    """Return sentences with the metrics of one source that no table holds, and with the photos that were left out."""
    accuracy = metrics["unflagged_accuracy"]
    right = "none" if accuracy is None else f"{accuracy:.4f} right"
    lines = [
        f"group accuracy {metrics['group_accuracy']:.4f}; unflagged at {metrics['min_confidence']:.4f}: "
        f"{metrics['unflagged_share']:.1%}, {right}; no product found: {metrics['not_recognised']}"
    ]
    clear = metrics.get("unambiguous", {"n": 0})
    if clear["n"]:
        lines.append(
            f"without loosely mapped kinds: accuracy {clear['accuracy']:.4f}, macro accuracy {clear['macro_accuracy']:.4f}, "
            f"n = {clear['n']:,}"
        )
    if metrics["failed"]:
        lines.append(f"left out, could not be read: {metrics['failed']}")
    if metrics["other_labels"]:
        total = sum(metrics["other_labels"].values())
        lines.append(
            f"left out, labels that the bundle lacks: {metrics['other_labels']}; "
            f"{metrics['other_labels_flagged']} of {total} flagged"
        )
    return lines


def sources_table(sources: Mapping[str, Metrics]) -> Table:
    """Return a row for each source, and one without the loosely mapped photos where a source holds some."""
    rows = []
    for name, metrics in sources.items():
        rows.append((name, *_source_cells(metrics)))
        if "unambiguous" in metrics:
            rows.append((f"{name}, unambiguous", *_source_cells(metrics["unambiguous"])))
    return Table("", SOURCE_COLUMNS, tuple(rows))


def _source_cells(metrics: Metrics) -> list[str]:
    keys = ("macro_accuracy", "accuracy", "group_accuracy", "calibration_error", "unflagged_share", "unflagged_accuracy")
    others = sum(metrics["other_labels"].values())
    flagged = metrics["other_labels_flagged"] / others if others else None
    return [f"{metrics['n']:,}", *(optional_cell(metrics.get(key)) for key in keys), optional_cell(flagged)]


def class_table(metrics: Metrics) -> Table:
    """Return precision, recall and F1 of each class that occurs."""
    rows = [
        [label, f"{row['n']:,}", *(f"{row[key]:.3f}" for key in ("precision", "recall", "f1"))]
        for label, row in metrics["per_class"].items()
        if row["n"]
    ]
    return make_table(("class", "n", "precision", "recall", "F1"), rows, "Precision, recall and F1 by class")


def confusion_table(metrics: Metrics) -> Table:
    """Return the counts of predicted labels (columns) by true class (rows), with labels cut to `SHORT_LABEL` characters."""
    confusion = metrics["confusion"]
    short = [label[:SHORT_LABEL] for label in confusion["labels"]]
    without_tag = ["none"] if any(confusion["without_tag"]) else []
    rows = []
    for name, counts, without in zip(short, confusion["counts"], confusion["without_tag"], strict=True):
        shown = [*counts, without] if without_tag else counts
        if any(shown):
            rows.append([name, *(str(count) if count else "." for count in shown)])
    return make_table(["true", *short, *without_tag], rows, "Confusion matrix: rows are true, columns predicted")


def prediction_table(metrics: Metrics) -> Table:
    """Return all predictions of each true class in one cell, the most frequent first, with their shares of the class."""
    confusion = metrics["confusion"]
    counts = np.column_stack([confusion["counts"], confusion["without_tag"]])
    labels, totals = [*confusion["labels"], NO_TAG], counts.sum(axis=1)
    rows = []
    for true in np.flatnonzero(totals):
        order = [at for at in np.argsort(-counts[true], kind="stable") if counts[true, at]]
        shares = ", ".join(f"{labels[at]} {counts[true, at]:,} ({counts[true, at] / totals[true]:.1%})" for at in order)
        rows.append([labels[true], f"{totals[true]:,}", shares])
    return make_table(("true", "n", "predicted"), rows, "All predictions of each class, with their share of it", text=(0, 2))


def pair_table(metrics: Metrics) -> Table:
    """Return the confused pairs of a true and a predicted class, the most frequent `MOST_PAIRS`; without rows if none."""
    pairs = confused_pairs(metrics["confusion"])
    title = f"The {MOST_PAIRS} most frequent of {len(pairs)} pairs" if len(pairs) > MOST_PAIRS else "All pairs"
    rows = [
        [true, predicted or NO_TAG, f"{n:,}", f"{share:.1%}"]
        for true, predicted, n, share in (pair.values() for pair in pairs[:MOST_PAIRS])
    ]
    return make_table(("true", "predicted", "images", "share of the true class"), rows, title, text=(0, 1))


def calibration_table(metrics: Metrics) -> Table:
    """Return accuracy and mean confidence by bin of the confidence."""
    rows = [
        [f"{row['from']:.2f}-{row['to']:.2f}", f"{row['n']:,}", f"{row['confidence']:.3f}", f"{row['accuracy']:.3f}"]
        for row in metrics["reliability"]
    ]
    return make_table(("confidence", "n", "mean confidence", "accuracy"), rows, "Reliability by confidence")


def coverage_table(metrics: Metrics) -> Table:
    """Return the accuracy of the most confident shares of the images."""
    rows = [
        [f"{row['coverage']:.0%}", f"{row['n']:,}", f"{row['accuracy']:.4f}", f"{row['least_confidence']:.4f}"]
        for row in metrics["coverage"]
    ]
    return make_table(("most confident", "n", "accuracy", "least confidence"), rows, "Accuracy by coverage")


# From examples: the metric of no photos is `-` ---------------------------------------------------------------------


def known_rows(rows: Rows) -> list[Example]:
    """Return the photos that could be read and have a label of the bundle."""
    return [row for row in rows if row.known and not row.failed]


def other_rows(rows: Rows) -> list[Example]:
    """Return the photos that could be read and have a label that the bundle lacks."""
    return [row for row in rows if not row.known and not row.failed]


def unflagged_rows(rows: Rows) -> list[Example]:
    """Return the photos whose confidence reaches the threshold."""
    return [row for row in rows if row.unflagged]


def summary_table(sets: Sets, columns: Sequence[str], title: str = "") -> Table:
    """Return a row for each set of photos with the named columns of `SUMMARY_CELLS`; shares have 95 % intervals."""
    rows = [[name, *(SUMMARY_CELLS[column](rows) for column in columns)] for name, rows in sets.items()]
    return make_table(["photos", *columns], rows, title)


def size_cell(rows: Rows) -> str:
    """Return the number of photos and, in brackets, of their groups."""
    return f"{len(rows)} ({len({row.group for row in rows})})" if rows else MISSING


def share_cell(rows: Rows, criterion: Criterion) -> str:
    """Return the share of photos that meet a criterion, with its interval over groups."""
    return interval_cell(bootstrap_interval([criterion(row) for row in rows], [row.group for row in rows])) if rows else MISSING


def mean_cell(rows: Rows, criterion: Criterion) -> str:
    """Return the share of photos that meet a criterion, without an interval."""
    return f"{np.mean([criterion(row) for row in rows]):.3f}" if rows else MISSING


def macro_mean_cell(rows: Rows, criterion: Criterion) -> str:
    """Return the mean over the classes of the share of photos that meet a criterion, without an interval."""
    return f"{macro_accuracy([criterion(row) for row in rows], [row.label for row in rows]):.3f}" if rows else MISSING


def macro_cell(rows: Rows) -> str:
    """Return the macro accuracy with its interval over groups."""
    right, labels, groups = [row.right for row in rows], [row.label for row in rows], [row.group for row in rows]
    return interval_cell(macro_bootstrap_interval(right, labels, groups)) if rows else MISSING


def calibration_cell(rows: Rows) -> str:
    """Return the expected calibration error."""
    return f"{calibration_error(reliability_table(*confidence_and_right(rows))):.3f}" if rows else MISSING


def confidence_and_right(rows: Rows) -> tuple[Floats, Flags]:
    """Return confidences (n,) in 0..1 and whether each prediction is right (n,)."""
    return np.array([row.confidence for row in rows]), np.array([row.right for row in rows])


SUMMARY_CELLS: dict[str, Callable[[Rows], str]] = {
    "n": lambda rows: f"{len(known_rows(rows)):,}",
    "n (groups)": lambda rows: size_cell(known_rows(rows)),
    "macro accuracy": lambda rows: macro_cell(known_rows(rows)),
    "accuracy": lambda rows: share_cell(known_rows(rows), lambda row: row.right),
    "group right": lambda rows: share_cell(known_rows(rows), lambda row: row.group_right),
    "calibration error": lambda rows: calibration_cell(known_rows(rows)),
    "unflagged": lambda rows: mean_cell(known_rows(rows), lambda row: row.unflagged),
    "of these right": lambda rows: share_cell(unflagged_rows(known_rows(rows)), lambda row: row.right),
    "others flagged": lambda rows: share_cell(other_rows(rows), lambda row: not row.unflagged),
}
"""The columns of a summary, each computed from the photos of a set. "Others" are photos of none of the bundle's classes."""
