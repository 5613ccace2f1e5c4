"""What was measured as one HTML file with its pictures: the rows come from `evaluate`, the figures from `classification`.

The file needs nothing beside it: no network, no script, no font.
"""

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from string import Template
from typing import Any, TypeAlias

import numpy as np

from tagger.arrays import Classes, Pixels
from tagger.escaping import for_html
from tagger.evaluation import charts
from tagger.evaluation.evaluate import Evaluation, Example, metrics_by_source
from tagger.metrics import classification
from tagger.metrics.significance import RESAMPLES, Interval, bootstrap_interval, macro_bootstrap_interval
from tagger.models.card import HISTORY_FILE
from tagger.models.history import Epoch
from tagger.models.side_files import REPORT_FILE
from tagger.photos.decode import decode
from tagger.records import Photo

SUREST = 12
"""Right predictions that are shown of each source, and wrong ones."""

MOST_PAIRS = 20
"""Confused pairs that are listed."""

Files: TypeAlias = dict[str, bytes]
"""Pictures by the name of their file; each is added as soon as the HTML shows it."""

Metrics: TypeAlias = Mapping[str, Any]
"""What `figures_of` returns of one source."""


def html_report(evaluation: Evaluation, history: Sequence[Epoch], command: str) -> Files:
    """Return the files of a report on an evaluation that `command` made: its pictures as PNGs, and last `report.html`.

    `history` is that of the bundle's training, empty where it has none. The HTML holds the pictures too. The surest
    predictions show the photos themselves.
    """
    files: Files = {}
    metrics = metrics_by_source(evaluation)
    body = [
        _element("h1", f"How right {evaluation.model} is"),
        f"<p>Made by <code>{for_html(command)}</code></p>",
        *_summary(evaluation, metrics),
        *_training(files, history),
    ]
    for number, (name, rows) in enumerate(evaluation.sources.items(), 1):
        body += [_element("h2", f"{number}. {name}"), *_source(files, f"{number}-", rows, metrics[name])]
    page = _PAGE.substitute(title=for_html(f"{evaluation.model}: report"), style=_STYLE, body="\n".join(body))
    return {**files, REPORT_FILE: page.encode("utf-8", "backslashreplace")}


# Sections ----------------------------------------------------------------------------------------------------------


def _summary(evaluation: Evaluation, metrics: Mapping[str, Metrics]) -> Iterator[str]:
    """Yield one row a source, and a further one of its photos that are not loosely mapped."""
    rows = []
    for name, photos in evaluation.sources.items():
        known = _known(photos)
        rows.append([name, *_summary_cells(known, metrics[name])])
        if "unambiguous" in metrics[name]:
            clear = [row for row in known if not row.ambiguous]
            rows.append([f"{name}, unambiguous", *_summary_cells(clear, metrics[name]["unambiguous"])])
    yield _element("h2", "Summary")
    yield _element(
        "p",
        f"Unflagged are tags of a confidence of {evaluation.min_confidence:.4f} or more. In brackets are 95 % intervals, from "
        f"{RESAMPLES:,} draws of whole groups of photos that hang together.",
    )
    titles = ("source", "n", "accuracy", "macro accuracy", "calibration error", "unflagged", "of these right")
    yield _table(f"Figures of {evaluation.model}", titles, rows)


def _summary_cells(known: Sequence[Example], metrics: Metrics) -> list[str]:
    if not known:
        return ["0", *["-"] * 5]
    right, labels, groups = ([getattr(row, name) for row in known] for name in ("right", "label", "group"))
    return [
        f"{metrics['n']:,}",
        _interval(bootstrap_interval(right, groups)),
        _interval(macro_bootstrap_interval(right, labels, groups)),
        f"{metrics['calibration_error']:.3f}",
        f"{metrics['unflagged_share']:.1%}",
        "-" if metrics["unflagged_accuracy"] is None else f"{metrics['unflagged_accuracy']:.3f}",
    ]


def _training(files: Files, history: Sequence[Epoch]) -> Iterator[str]:
    yield _element("h2", "Training")
    if not history:
        yield _element("p", f"This bundle has no history: its folder holds no {HISTORY_FILE}, or one without epochs.")
        return
    seconds, measured = sum(row.seconds for row in history), [row for row in history if row.held_out_accuracy is not None]
    said = f"After {len(history)} epochs and {seconds:,.0f} seconds the loss is {history[-1].loss:.4f}"
    said += f", the held-out accuracy {measured[-1].held_out_accuracy:.4f}." if measured else "; nothing was held out."
    yield _element("p", f"{said} Training may see harder pictures and other targets, so its loss need not be the smaller one.")
    alt = f"Curves over the epochs of training. At first the loss is {history[0].loss:.4f}. {said}"
    yield _figure(files, "training.png", charts.training(history), alt, "Loss and accuracy by epoch.")


def _source(files: Files, prefix: str, rows: Sequence[Example], metrics: Metrics) -> Iterator[str]:
    """Yield all of one source; its pictures' files are named by the prefix."""
    yield from (_element("p", said) for said in _left_out(metrics))
    known = _known(rows)
    if not known:
        yield _element("p", "No photo has a label of this bundle, so there is nothing to be right about.")
        return
    yield from _confusion(files, prefix, metrics)
    yield from _by_class(files, prefix, metrics)
    yield from _confidence(files, prefix, known, metrics)
    by_confidence = sorted(known, key=lambda row: -row.confidence)
    yield from _surest(files, f"{prefix}wrong", "Surest wrong predictions", [row for row in by_confidence if not row.right])
    yield from _surest(files, f"{prefix}right", "Surest right predictions", [row for row in by_confidence if row.right])


def _known(rows: Sequence[Example]) -> list[Example]:
    """Return the rows that figures are of."""
    return [row for row in rows if row.known and not row.failed]


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
    pairs = classification.confused_pairs(confusion)
    counts = np.column_stack([confusion["counts"], confusion["without_tag"]])
    labels = [*confusion["labels"], "no tag"]
    totals, right = counts.sum(axis=1), np.diag(counts)
    # Classes that neither occur nor are said would only take room; of many the most confused ones are drawn.
    there = np.flatnonzero(totals + counts.sum(axis=0)[:-1])
    wrong = totals + counts.sum(axis=0)[:-1] - 2 * right
    shown = np.sort(there[np.argsort(-wrong[there], kind="stable")][: charts.MOST_CLASSES])
    columns = [*shown, len(labels) - 1] if any(confusion["without_tag"]) else [*shown]
    png = charts.confusion(
        counts[np.ix_(shown, columns)],
        totals[shown],
        [labels[at] for at in shown],
        [labels[at] for at in columns[len(shown) :]],
    )
    part = "" if len(shown) == len(there) else f" of the {len(shown)} most confused of {len(there)} classes"
    most = f" Most often {_predicted(pairs[0])}." if pairs else ""
    alt = (
        f"Confusion matrix{part}: {right.sum():,} of {n:,} pictures were called what they are.{most} The table has all counts."
    )
    yield _element("h3", "What is taken for what")
    yield _figure(
        files, f"{prefix}confusion.png", png, alt, f"Confusion matrix{part}: counts, shaded by share of the true class."
    )
    yield _table(
        "All that was said of each class, with its share of the class",
        ("true", "n", "said"),
        ([labels[at], f"{totals[at]:,}", _shares(labels, counts[at])] for at in np.flatnonzero(totals)),
        texts=(2,),
    )
    yield _element("h3", "Most confused pairs")
    if pairs:
        yield _table(
            f"The {MOST_PAIRS} most frequent of {len(pairs)} pairs" if len(pairs) > MOST_PAIRS else "All pairs",
            ("true", "said", "pictures", "share of the true class"),
            ([one["true"], one["said"] or "no tag", f"{one['n']:,}", f"{one['share']:.1%}"] for one in pairs[:MOST_PAIRS]),
            texts=(1,),
        )
    else:
        yield _element("p", "None: every prediction is right.")


def _by_class(files: Files, prefix: str, metrics: Metrics) -> Iterator[str]:
    there = {label: row for label, row in metrics["per_class"].items() if row["n"]}
    drawn = set(sorted(there, key=lambda label: there[label]["f1"])[: charts.MOST_CLASSES])
    part = "" if len(drawn) == len(there) else f" of the {len(drawn)} classes with the lowest F1 of {len(there)}"
    png = charts.classes({label: row for label, row in there.items() if label in drawn})
    weakest = min(there, key=lambda label: there[label]["f1"])
    alt = f"Precision, recall and F1{part}; the lowest F1 is that of {weakest}, {there[weakest]['f1']:.3f}. The table has all."
    yield _element("h3", "By class")
    yield _figure(files, f"{prefix}classes.png", png, alt, f"Precision, recall and F1{part}.")
    keys = ("precision", "recall", "f1")
    cells = ([label, f"{row['n']:,}", *(f"{row[key]:.3f}" for key in keys)] for label, row in there.items())
    yield _table("Precision, recall and F1 by class", ("class", "n", "precision", "recall", "F1"), cells)


def _confidence(files: Files, prefix: str, known: Sequence[Example], metrics: Metrics) -> Iterator[str]:
    error, n = metrics["calibration_error"], metrics["n"]
    yield _element("h3", "Confidence and accuracy")
    yield _figure(
        files,
        f"{prefix}reliability.png",
        charts.reliability(metrics["reliability"]),
        f"Reliability diagram: the calibration error is {error:.3f}. The table has all bins.",
        f"Reliability diagram: calibration error {error:.3f}, n = {n:,}.",
    )
    yield _table(
        "Reliability by bins of the confidence",
        ("confidence", "n", "mean confidence", "accuracy"),
        (
            [f"{row['from']:.2f} to {row['to']:.2f}", f"{row['n']:,}", f"{row['confidence']:.3f}", f"{row['accuracy']:.3f}"]
            for row in metrics["reliability"]
        ),
    )
    share, right = metrics["unflagged_share"], metrics["unflagged_accuracy"]
    own = (
        f"the bundle's own threshold lets {share:.1%} pass, and {right:.1%} of these are right"
        if right is not None
        else ("the bundle's own threshold lets nothing pass")
    )
    curve = classification.coverage_curve(np.array([row.confidence for row in known]), np.array([row.right for row in known]))
    yield _element("h3", "Accuracy against coverage")
    yield _figure(
        files,
        f"{prefix}coverage.png",
        charts.coverage(*curve, None if right is None else (share, right)),
        f"Accuracy against the share of the surest pictures: {own}. The table has some points.",
        f"Accuracy of the surest pictures: {own}.",
    )
    yield _table(
        "Accuracy of the surest",
        ("surest", "n", "accuracy", "least confidence"),
        (
            [f"{row['coverage']:.0%}", f"{row['n']:,}", f"{row['accuracy']:.3f}", f"{row['least_confidence']:.4f}"]
            for row in metrics["coverage"]
        ),
    )


def _surest(files: Files, name: str, title: str, rows: Sequence[Example]) -> Iterator[str]:
    """Yield the first of the rows as pictures, in files named by `name` and a number."""
    yield _element("h3", title)
    if not rows:
        yield _element("p", "There are none.")
        return
    yield _element("p", f"The first {min(SUREST, len(rows))} of {len(rows):,}.")
    yield '<ul class="tiles">'
    for number, row in enumerate(rows[:SUREST], 1):
        place = row.file.name if row.file else row.group
        pixels, said = _pixels(row), row.predicted or "no tag"
        yield "<li>"
        if pixels is None:
            yield _element("p", "The photo cannot be read any more.")
        else:
            png = charts.thumbnail(pixels)
            files[f"{name}-{number:02}.png"] = png
            yield _image(png, f"{place}: {row.label}, called {said}", 1)
        yield f"<div>true: <b>{for_html(row.label)}</b></div><div>said: <b>{for_html(said)}</b></div>"
        yield f"<div>confidence {row.confidence:.4f}</div>{_element('small', place)}</li>"
    yield "</ul>"


def _pixels(row: Example) -> Pixels | None:
    """Return the picture of a row; None where its file is gone meanwhile."""
    if row.file is None:
        return row.picture
    photo = decode(row.file)
    return photo.pixels if isinstance(photo, Photo) else None


# Words: not escaped yet --------------------------------------------------------------------------------------------


def _interval(interval: Interval) -> str:
    share, low, high = interval
    return f"{share:.3f} ({low:.3f} to {high:.3f})"


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def _predicted(pair: Mapping[str, Any]) -> str:
    return f"{pair['true']} is called {pair['said'] or 'no tag'}, {pair['n']:,} times"


def _shares(labels: Sequence[str], counts: Classes) -> str:
    """Return what was said of one class, the most frequent first."""
    order = [at for at in np.argsort(-counts, kind="stable") if counts[at]]
    return ", ".join(f"{labels[at]} {counts[at]:,} ({counts[at] / counts.sum():.1%})" for at in order)


# HTML: whatever comes from outside goes through `for_html` ------------------------------------------------------------


def _element(tag: str, text: str) -> str:
    return f"<{tag}>{for_html(text)}</{tag}>"


def _table(caption: str, titles: Sequence[str], rows: Iterable[Sequence[str]], texts: Sequence[int] = ()) -> str:
    """Return a table whose first column names the rows; the columns `texts` hold words, all others figures."""
    kinds = [' class="text"' if at in texts else "" for at in range(len(titles))]
    head = "".join(f'<th scope="col"{kinds[at]}>{for_html(title)}</th>' for at, title in enumerate(titles))
    lines = [
        f'<tr><th scope="row">{for_html(first)}</th>'
        + "".join(f"<td{kinds[at]}>{for_html(cell)}</td>" for at, cell in enumerate(cells, 1))
        + "</tr>"
        for first, *cells in rows
    ]
    return _TABLE.substitute(caption=for_html(caption), head=head, lines="\n".join(lines))


def _figure(files: Files, name: str, png: bytes, alt: str, caption: str) -> str:
    """Return a chart as the HTML that shows it, and add it to the files."""
    files[name] = png
    return f"<figure>{_image(png, alt, charts.DPI / _CSS_DPI)}<figcaption>{for_html(caption)}</figcaption></figure>"


def _image(png: bytes, alt: str, density: float) -> str:
    width, height = (round(side / density) for side in charts.size_of(png))
    data = base64.b64encode(png).decode()
    return f'<img src="data:image/png;base64,{data}" width="{width}" height="{height}" alt="{for_html(alt)}">'


# Templates ---------------------------------------------------------------------------------------------------------


_CSS_DPI = 96
"""Pixels of a browser in an inch."""

_TABLE = Template("""<table>
<caption>$caption</caption>
<thead><tr>$head</tr></thead>
<tbody>
$lines
</tbody>
</table>""")

_PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>$title</title>
<style>
$style
</style>
</head>
<body>
$body
</body>
</html>
""")

_STYLE = """:root { color-scheme: light }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; font: 1rem/1.45 sans-serif; color: #111; background: #fff }
h1, h2, h3, p, code, figcaption, small, b, tbody th, .text { overflow-wrap: anywhere }
h2 { margin-top: 2.5rem; border-bottom: 2px solid #111 }
figure { margin: 1rem 0 }
img { max-width: 100%; height: auto }
figcaption, caption { text-align: left; font-style: italic; padding: .3rem 0 }
table { border-collapse: collapse; margin: 1rem 0 }
th, td { padding: .2rem .6rem; border-bottom: 1px solid #999; text-align: right; vertical-align: top;
  font-variant-numeric: tabular-nums }
thead th { border-bottom: 2px solid #111 }
tbody th, thead th:first-child, .text { text-align: left }
tbody th, td.text { min-width: 7rem }
td:not(.text) { white-space: nowrap }
.tiles { display: flex; flex-wrap: wrap; gap: 1rem; padding: 0; list-style: none }
.tiles li { width: 8.5rem; font-size: .875rem }
@page { margin: 12mm }
@media print {
  body { max-width: none; margin: 0; padding: 0; font-size: 10pt }
  h2, h3, caption { break-after: avoid }
  figure, tr, .tiles li { break-inside: avoid }
  figure img { max-height: 240mm; width: auto }
  thead { display: table-header-group }
}"""
