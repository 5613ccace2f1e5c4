"""The evaluation of a bundle as one HTML file, with charts, tables and the most confident predictions."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from tagger.arrays import Pixels
from tagger.escaping import for_html
from tagger.evaluation import charts
from tagger.evaluation.evaluate import Evaluation, Example, metrics_by_source
from tagger.evaluation.html_page import element, figure, image, page
from tagger.evaluation.metrics_tables import (
    NO_TAG,
    Metrics,
    Rows,
    calibration_table,
    class_table,
    confidence_and_right,
    coverage_table,
    known_rows,
    pair_table,
    prediction_table,
    summary_table,
)
from tagger.evaluation.tables import render_html
from tagger.metrics import classification
from tagger.metrics.significance import RESAMPLES
from tagger.models.card import HISTORY_FILE
from tagger.models.history import Epoch
from tagger.models.side_files import REPORT_FILE
from tagger.photos.loader import decode_holder
from tagger.records import Photo

MOST_CONFIDENT = 12
"""Right predictions that are shown of each source, and wrong ones."""

Files: TypeAlias = dict[str, bytes]
"""PNGs by file name; each is added when the HTML shows it."""

_SUMMARY = ("n", "accuracy", "macro accuracy", "calibration error", "unflagged", "of these right")


def html_report(evaluation: Evaluation, history: Sequence[Epoch], command: str) -> Files:
    """Return the files of a report on an evaluation that `command` made: its images as PNGs, and last `report.html`.

    `history` is that of the bundle's training, empty where it has none. The HTML embeds the images too. The most
    confident predictions show the photos themselves.
    """
    files: Files = {}
    metrics = metrics_by_source(evaluation)
    parts = [
        element("h1", f"Evaluation of {evaluation.model}"),
        f"<p>Made by <code>{for_html(command)}</code></p>",
        *_summary(evaluation),
        *_training(files, history),
    ]
    for number, (name, rows) in enumerate(evaluation.sources.items(), 1):
        parts += [element("h2", f"{number}. {name}"), *_source(files, f"{number}-", rows, metrics[name])]
    return {**files, REPORT_FILE: page(f"{evaluation.model}: report", parts)}


# Sections ----------------------------------------------------------------------------------------------------------


def _summary(evaluation: Evaluation) -> Iterator[str]:
    """Yield a table with a row for each source, and one without the loosely mapped photos where a source holds some."""
    sets: dict[str, Rows] = {}
    for name, rows in evaluation.sources.items():
        sets[name] = rows
        clear = [row for row in rows if not row.ambiguous]
        if len(clear) < len(rows):
            sets[f"{name}, unambiguous"] = clear
    yield element("h2", "Summary")
    yield element(
        "p",
        f"Unflagged are tags of a confidence of {evaluation.min_confidence:.4f} or more. In brackets are 95 % intervals, from "
        f"{RESAMPLES:,} draws of whole groups of photos that are not independent, such as those of one product.",
    )
    yield render_html(summary_table(sets, _SUMMARY, f"Metrics of {evaluation.model}"))


def _training(files: Files, history: Sequence[Epoch]) -> Iterator[str]:
    yield element("h2", "Training")
    if not history:
        yield element("p", f"This bundle has no history: its folder holds no {HISTORY_FILE}, or one without epochs.")
        return
    seconds, measured = sum(row.seconds for row in history), [row for row in history if row.held_out_accuracy is not None]
    result = f"After {len(history)} epochs and {seconds:,.0f} seconds the loss is {history[-1].loss:.4f}"
    result += f", the held-out accuracy {measured[-1].held_out_accuracy:.4f}." if measured else "; nothing was held out."
    yield element(
        "p",
        f"{result} The training loss is measured on augmented images and perhaps softened targets, so it may exceed the "
        "held-out loss.",
    )
    alt = f"Curves over the epochs of training. At first the loss is {history[0].loss:.4f}. {result}"
    yield _figure(files, "training.png", charts.training(history), alt, "Loss and accuracy by epoch.")


def _source(files: Files, prefix: str, rows: Rows, metrics: Metrics) -> Iterator[str]:
    """Yield the sections of one source, whose images have the prefix in their files' names."""
    yield from (element("p", sentence) for sentence in _left_out(metrics))
    known = known_rows(rows)
    if not known:
        yield element("p", "No photo has a label of this bundle, so no accuracy can be measured.")
        return
    yield from _confusion(files, prefix, metrics)
    yield from _by_class(files, prefix, metrics)
    yield from _confidence(files, prefix, known, metrics)
    by_confidence = sorted(known, key=lambda row: -row.confidence)
    wrong, right = ([row for row in by_confidence if row.right == wanted] for wanted in (False, True))
    yield from _most_confident(files, f"{prefix}wrong", "Most confident wrong predictions", wrong)
    yield from _most_confident(files, f"{prefix}right", "Most confident right predictions", right)


def _left_out(metrics: Metrics) -> Iterator[str]:
    if metrics["failed"]:
        yield f"Left out, as they could not be read: {_counted(metrics['failed'])}."
    if metrics["other_labels"]:
        flagged = metrics["other_labels_flagged"]
        yield f"Of labels that the bundle lacks: {_counted(metrics['other_labels'])}; {flagged:,} of these were flagged."
    if metrics["not_recognised"]:
        yield f"Photos in which no product was found, which count as wrong: {metrics['not_recognised']:,}."


def _confusion(files: Files, prefix: str, metrics: Metrics) -> Iterator[str]:
    confusion, n = metrics["confusion"], metrics["n"]
    pairs = pair_table(metrics)
    counts = np.column_stack([confusion["counts"], confusion["without_tag"]])
    labels = [*confusion["labels"], NO_TAG]
    totals, right = counts.sum(axis=1), np.diag(counts)
    # Classes that neither occur nor are predicted would only take space; of many the most confused ones are drawn.
    occurring = np.flatnonzero(totals + counts.sum(axis=0)[:-1])
    wrong = totals + counts.sum(axis=0)[:-1] - 2 * right
    shown = np.sort(occurring[np.argsort(-wrong[occurring], kind="stable")][: charts.MOST_CLASSES])
    columns = [*shown, len(labels) - 1] if any(confusion["without_tag"]) else [*shown]
    png = charts.confusion(
        counts[np.ix_(shown, columns)],
        totals[shown],
        [labels[at] for at in shown],
        [labels[at] for at in columns[len(shown) :]],
    )
    part = "" if len(shown) == len(occurring) else f" of the {len(shown)} most confused of {len(occurring)} classes"
    most = ""
    if pairs.rows:
        true, predicted, count, _ = pairs.rows[0]
        most = f" The most frequent error is {predicted} for {true}, {count} times."
    alt = f"Confusion matrix{part}: {right.sum():,} of {n:,} predictions are right.{most} The table has all counts."
    yield element("h3", "Confusion matrix")
    yield _figure(
        files, f"{prefix}confusion.png", png, alt, f"Confusion matrix{part}: counts, shaded by share of the true class."
    )
    yield render_html(prediction_table(metrics))
    yield element("h3", "Most confused pairs")
    yield render_html(pairs) if pairs.rows else element("p", "None: every prediction is right.")


def _by_class(files: Files, prefix: str, metrics: Metrics) -> Iterator[str]:
    occurring = {label: row for label, row in metrics["per_class"].items() if row["n"]}
    drawn = set(sorted(occurring, key=lambda label: occurring[label]["f1"])[: charts.MOST_CLASSES])
    part = "" if len(drawn) == len(occurring) else f" of the {len(drawn)} classes with the lowest F1 of {len(occurring)}"
    png = charts.classes({label: row for label, row in occurring.items() if label in drawn})
    weakest = min(occurring, key=lambda label: occurring[label]["f1"])
    lowest = f"the lowest F1 is that of {weakest}, {occurring[weakest]['f1']:.3f}"
    yield element("h3", "By class")
    yield _figure(
        files,
        f"{prefix}classes.png",
        png,
        f"Precision, recall and F1{part}; {lowest}. The table has all.",
        f"Precision, recall and F1{part}.",
    )
    yield render_html(class_table(metrics))


def _confidence(files: Files, prefix: str, known: Rows, metrics: Metrics) -> Iterator[str]:
    error, n = metrics["calibration_error"], metrics["n"]
    yield element("h3", "Confidence and accuracy")
    yield _figure(
        files,
        f"{prefix}reliability.png",
        charts.reliability(metrics["reliability"]),
        f"Reliability diagram: the calibration error is {error:.3f}. The table has all bins.",
        f"Reliability diagram: calibration error {error:.3f}, n = {n:,}.",
    )
    yield render_html(calibration_table(metrics))
    share, right = metrics["unflagged_share"], metrics["unflagged_accuracy"]
    if right is None:
        own, point = "no tag reaches the bundle's own threshold", None
    else:
        own, point = f"{share:.1%} reach the bundle's own threshold, and {right:.1%} of these are right", (share, right)
    curve = classification.coverage_curve(*confidence_and_right(known))
    yield element("h3", "Accuracy by coverage")
    yield _figure(
        files,
        f"{prefix}coverage.png",
        charts.coverage(*curve, point),
        f"Accuracy by the share of the most confident images: {own}. The table has some points.",
        f"Accuracy of the most confident images: {own}.",
    )
    yield render_html(coverage_table(metrics))


def _most_confident(files: Files, name: str, title: str, rows: Rows) -> Iterator[str]:
    """Yield the first of the rows as images, in files named by `name` and a number."""
    yield element("h3", title)
    if not rows:
        yield element("p", "None.")
        return
    yield element("p", f"The first {min(MOST_CONFIDENT, len(rows))} of {len(rows):,}.")
    yield '<ul class="tiles">'
    for number, row in enumerate(rows[:MOST_CONFIDENT], 1):
        place = row.file.name if row.file else row.group
        pixels, predicted = _pixels(row), row.predicted or NO_TAG
        yield "<li>"
        if pixels is None:
            yield element("p", "The photo can no longer be read.")
        else:
            png = charts.thumbnail(pixels)
            files[f"{name}-{number:02}.png"] = png
            yield image(png, f"{place}: {row.label}, predicted {predicted}")
        yield f"<div>true: <b>{for_html(row.label)}</b></div><div>predicted: <b>{for_html(predicted)}</b></div>"
        yield f"<div>confidence {row.confidence:.4f}</div>{element('small', place)}</li>"
    yield "</ul>"


def _pixels(row: Example) -> Pixels | None:
    """Return the image of a row; None where its file has disappeared since."""
    if row.file is None:
        return row.image
    photo = decode_holder(row.file)
    return photo.pixels if isinstance(photo, Photo) else None


def _counted(counts: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def _figure(files: Files, name: str, png: bytes, alt: str, caption: str) -> str:
    """Return a chart as HTML, and add it to the files."""
    files[name] = png
    return figure(png, alt, caption)
