"""Print the metrics of `fmtag evaluate` as tables on a terminal."""

from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from tagger.cli.terminal import Terminal, compact_table


def print_metrics(metrics: dict[str, Any]) -> None:
    """Print the result of `evaluation.evaluate.metrics_of`: all metrics of a single source, one row for each of several."""
    if "sources" in metrics:
        _print_sources(metrics["sources"])
    else:
        _print_source(metrics)


def _print_source(metrics: dict[str, Any]) -> None:
    """Print a summary, then a table each of classes, confusion, reliability, coverage."""
    console = Terminal()
    console.print(
        Text(f"accuracy {metrics['accuracy']:.4f}", "bold"),
        f"macro accuracy {metrics['macro_accuracy']:.4f}, calibration error {metrics['calibration_error']:.4f}, "
        f"n = {metrics['n']:,}, {metrics['model']}",
        sep=", ",
    )
    for line in _photo_lines(metrics):
        console.print(line)
    classes = Table("class", "n", "precision", "recall", "F1", title="By class")
    for label, row in metrics["per_class"].items():
        if row["n"]:
            classes.add_row(label, str(row["n"]), *(f"{row[key]:.3f}" for key in ("precision", "recall", "f1")))
    console.print(classes)
    console.print(_confusion_table(metrics["confusion"]))
    reliability = Table("confidence", "n", "mean confidence", "accuracy", title="Reliability")
    for row in metrics["reliability"]:
        band = f"{row['from']:.2f}-{row['to']:.2f}"
        reliability.add_row(band, str(row["n"]), f"{row['confidence']:.3f}", f"{row['accuracy']:.3f}")
    console.print(reliability)
    coverage = Table("surest", "n", "accuracy", "least confidence", title="Accuracy against coverage")
    for row in metrics["coverage"]:
        share = f"{row['coverage']:.0%}"
        coverage.add_row(share, str(row["n"]), f"{row['accuracy']:.4f}", f"{row['least_confidence']:.4f}")
    console.print(coverage)


def _confusion_table(confusion: dict[str, Any]) -> Table:
    """Return rows of true classes and columns of tags, narrow enough for a terminal of 80 columns."""
    short = [label[:5] for label in confusion["labels"]]
    untagged = ["none"] if any(confusion["without_tag"]) else []
    title = "Confusion: rows are true, columns tagged"
    table = Table("true", *short, *untagged, title=title, box=box.SIMPLE_HEAD, padding=(0, 0))
    for name, tagged, without in zip(short, confusion["counts"], confusion["without_tag"], strict=True):
        counts = [*tagged, without] if untagged else tagged
        if any(counts):
            table.add_row(name, *(str(count) if count else "." for count in counts))
    return table


def _photo_lines(metrics: dict[str, Any]) -> list[str]:
    accuracy = metrics["unflagged_accuracy"]
    sure = "none" if accuracy is None else f"{accuracy:.4f} right"
    lines = [
        f"group accuracy {metrics['group_accuracy']:.4f}; unflagged at {metrics['min_confidence']:.4f}: "
        f"{metrics['unflagged_share']:.1%}, {sure}; no product found: {metrics['not_recognised']}"
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
            f"left out, labels that the bundle does not know: {metrics['other_labels']}; "
            f"{metrics['other_labels_flagged']} of {total} flagged"
        )
    return lines


def _print_sources(sources: dict[str, dict[str, Any]]) -> None:
    """Print a row for each source, and one more without the loosely mapped photos where it holds some."""
    console = Terminal()
    console.print(next(iter(sources.values()))["model"])
    head = ("n", "macro\nacc.", "acc.", "group\nacc.", "calib.\nerror", "un-\nflagged", "these\nright", "others\nflagged")
    table = compact_table("source", *head)
    for name, metrics in sources.items():
        table.add_row(name, *_source_cells(metrics))
        if "unambiguous" in metrics:
            table.add_row(f"{name}, unambiguous", *_source_cells(metrics["unambiguous"]))
    console.print(table)
    for name, metrics in sources.items():
        if metrics["failed"]:
            console.print(f"{name}: left out, could not be read: {metrics['failed']}")


def _source_cells(metrics: dict[str, Any]) -> list[str]:
    names = ("macro_accuracy", "accuracy", "group_accuracy", "calibration_error", "unflagged_share", "unflagged_accuracy")
    cells = ["-" if metrics.get(name) is None else f"{metrics[name]:.3f}" for name in names]
    others = sum(metrics["other_labels"].values())
    return [f"{metrics['n']:,}", *cells, f"{metrics['other_labels_flagged'] / others:.3f}" if others else "-"]
