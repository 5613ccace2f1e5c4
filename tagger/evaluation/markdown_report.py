"""The evaluation of labelled photos as one Markdown file, with intervals."""

from collections import Counter
from collections.abc import Iterator, Sequence

from tagger.escaping import code_for_markdown, for_markdown
from tagger.evaluation import metrics_tables
from tagger.evaluation.evaluate import Evaluation, Example
from tagger.evaluation.metrics_tables import (
    Rows,
    Sets,
    confidence_and_right,
    known_rows,
    macro_cell,
    macro_mean_cell,
    mean_cell,
    other_rows,
    share_cell,
    size_cell,
    summary_table,
    unflagged_rows,
)
from tagger.evaluation.tables import MISSING, Table, make_table, render_markdown
from tagger.metrics import classification
from tagger.metrics.calibration import reliability_table
from tagger.metrics.significance import RESAMPLES

NOTE = f"Shares have 95 % intervals from {RESAMPLES:,} draws of whole groups. Others: photos of none of the classes."

_HALVES = (("", (False, True)), (", looked at", (False,)), (", kept", (True,)))
"""The suffix of a row's name for all photos and for each half, and the values of `Example.kept` that it counts."""

_SUMMARY = (
    "n (groups)",
    "macro accuracy",
    "accuracy",
    "group right",
    "calibration error",
    "unflagged",
    "of these right",
    "others flagged",
)


def markdown_report(evaluation: Evaluation, command: str) -> str:
    """Return the report on the photos of an evaluation that `command` made, as Markdown.

    Fashion-MNIST's images are left out. Raises `DatasetError` where no photos remain.
    """
    photos = evaluation.photos()
    lines = [f"# Real photos, {for_markdown(evaluation.model)}", code_for_markdown(command), "", NOTE, ""]
    for level, table in _tables(photos, evaluation):
        lines += render_markdown(table, level)
    return "".join(f"{line}\n" for line in lines).rstrip("\n") + "\n"


def _tables(photos: Sets, evaluation: Evaluation) -> Iterator[tuple[int, Table]]:
    """Yield the tables of the report, each with the level of its heading; 0 for none."""
    clear = _clear(photos)
    together = {" + ".join(clear): _joined(clear)} if len(clear) > 1 else {}
    sets = {**photos, **together, **_unambiguous(photos)}
    yield 0, summary_table(sets, _SUMMARY)
    yield 2, summary_table(_half(sets, kept=False), _SUMMARY, "The half that choices look at")
    yield 2, summary_table(_half(sets, kept=True), _SUMMARY, "The half that is kept for reporting")
    yield 2, _groups_table(sets, evaluation)
    if other_rows(_joined(photos)):
        yield 2, _ood_table(photos)
    for name in (name for name in sets if name not in together):
        if known := known_rows(sets[name]):
            yield 2, _class_table(name, known, evaluation.labels)
            confidence, right = confidence_and_right(known)
            metrics = {
                "reliability": reliability_table(confidence, right),
                "coverage": classification.coverage_table(confidence, right),
            }
            for table in (metrics_tables.calibration_table(metrics), metrics_tables.coverage_table(metrics)):
                yield 3, Table(f"{name}: {table.title[0].lower()}{table.title[1:]}", table.columns, table.rows)


# Sets of photos ----------------------------------------------------------------------------------------------------


def _clear(photos: Sets) -> dict[str, Rows]:
    """Return the sets with known labels and without loosely mapped ones, which may be pooled."""
    return {name: rows for name, rows in photos.items() if known_rows(rows) and not any(row.ambiguous for row in rows)}


def _unambiguous(photos: Sets) -> dict[str, Rows]:
    clear = {name: [row for row in rows if not row.ambiguous] for name, rows in photos.items()}
    return {f"{name}, unambiguous": rows for name, rows in clear.items() if len(rows) < len(photos[name])}


def _half(sets: Sets, kept: bool) -> dict[str, Rows]:
    return {name: [row for row in rows if row.kept == kept] for name, rows in sets.items()}


def _joined(sets: Sets) -> list[Example]:
    return [row for rows in sets.values() for row in rows]


# Tables of the photos report alone ---------------------------------------------------------------------------------


def _groups_table(sets: Sets, evaluation: Evaluation) -> Table:
    """Return the macro accuracy over the classes of each group, such as footwear."""
    groups = list(dict.fromkeys(evaluation.groups.values()))
    rows = [
        [name, *(macro_cell([row for row in known if row.true_group == group]) for group in groups)]
        for name, photos in sets.items()
        if (known := known_rows(photos))
    ]
    return make_table(["photos", *groups], rows, "Macro accuracy by group of labels")


def _ood_table(photos: Sets) -> Table:
    """Return how many out-of-distribution photos are flagged, and how well the confidence separates them from known ones.

    The known ones are those of the same source, or of the clear sources where it holds none.
    """
    clear = _clear(photos) or {name: rows for name, rows in photos.items() if known_rows(rows)}
    rows = []
    for name in (name for name in photos if other_rows(photos[name])):
        against = {name: photos[name]} if known_rows(photos[name]) else clear
        for suffix, halves in _HALVES:
            known = known_rows([row for row in _joined(against) if row.kept in halves])
            others = other_rows([row for row in photos[name] if row.kept in halves])
            flagged = share_cell(others, lambda row: not row.unflagged)
            rows.append([name + suffix, size_cell(others), flagged, _auroc_cell(known, others), " + ".join(against)])
    titles = ("photos", "n (groups)", "flagged", "AUROC", "against the known ones of")
    return make_table(titles, rows, "None of these", text=(0, 4))


def _auroc_cell(known: Rows, others: Rows) -> str:
    if not known or not others:
        return MISSING
    return f"{classification.auroc(confidence_and_right(known)[0], confidence_and_right(others)[0]):.3f}"


def _class_table(name: str, known: Rows, labels: Sequence[str]) -> Table:
    rows = []
    for label in labels:
        photos = [row for row in known if row.label == label]
        if not photos:
            continue
        wrong = Counter(row.predicted or "no product" for row in photos if not row.right)
        rows.append(
            [
                label,
                size_cell(photos),
                share_cell(photos, lambda row: row.right),
                mean_cell([row for row in known if row.predicted == label], lambda row: row.right),
                mean_cell(photos, lambda row: row.unflagged),
                mean_cell(unflagged_rows(photos), lambda row: row.right),
                ", ".join(f"{predicted} {count}" for predicted, count in wrong.most_common(3)),
            ]
        )
    shares = (
        macro_mean_cell(known, lambda row: row.unflagged),
        macro_mean_cell(unflagged_rows(known), lambda row: row.right),
    )
    rows.append(["mean of the classes", "", macro_cell(known), "", *shares, ""])
    titles = ("class", "n (groups)", "recall", "precision", "unflagged", "of these right", "mostly taken for")
    return make_table(titles, rows, f"{name}: by class", text=(0, 6))
