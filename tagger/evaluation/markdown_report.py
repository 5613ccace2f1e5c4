"""Everything that can be said of labelled photos, with intervals, as one Markdown file. Pure: the rows come from `evaluate`."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeAlias

import numpy as np

from tagger.arrays import Flags, Floats
from tagger.escaping import code_for_markdown, for_markdown
from tagger.evaluation.evaluate import Evaluation, Example
from tagger.metrics import classification
from tagger.metrics.calibration import calibration_error, reliability_table
from tagger.metrics.significance import RESAMPLES, Interval, bootstrap_interval, macro_accuracy, macro_bootstrap_interval

Rows: TypeAlias = Sequence[Example]
Sets: TypeAlias = Mapping[str, Rows]
Mark: TypeAlias = Callable[[Example], bool]

_HALVES = (("", (False, True)), (", looked at", (False,)), (", kept", (True,)))
"""What a row is called that is of all photos or of one half, and which `kept` it takes."""

_HEADER = (
    "photos",
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
    """Return the report on the photos of an evaluation that `command` made, as Markdown; Fashion-MNIST has no part in it.

    Raises `DatasetError` where there are no photos.
    """
    return "".join(f"{line}\n" for line in _lines(evaluation, evaluation.photos(), command))


def _lines(evaluation: Evaluation, photos: Sets, command: str) -> Iterator[str]:
    clear = _clear(photos)
    together = {" + ".join(clear): _joined(clear)} if len(clear) > 1 else {}
    sets = {**photos, **together, **_unambiguous(photos)}
    yield f"# Real photos, {for_markdown(evaluation.model)}"
    yield code_for_markdown(command)
    yield f"\nShares with 95 % intervals from {RESAMPLES:,} draws of whole groups; others: photos of none of the classes.\n"
    yield from _summaries(sets)
    yield "\n## The half that choices look at\n"
    yield from _summaries(_half(sets, kept=False))
    yield "\n## The half that is kept for reporting\n"
    yield from _summaries(_half(sets, kept=True))
    yield from _by_group_of_labels(sets, evaluation)
    if _others(_joined(photos)):
        yield from _ood(photos)
    for name in (name for name in sets if name not in together):
        if known := _known(sets[name]):
            yield from _by_class(name, known, evaluation.labels)
            yield from _confidence(name, known)


# Which photos ------------------------------------------------------------------------------------------------------


def _clear(photos: Sets) -> dict[str, Rows]:
    """Return the sources with known labels and without loosely mapped ones, whose figures may be joined."""
    return {name: rows for name, rows in photos.items() if _known(rows) and not any(row.ambiguous for row in rows)}


def _unambiguous(photos: Sets) -> dict[str, Rows]:
    clear = {name: [row for row in rows if not row.ambiguous] for name, rows in photos.items()}
    return {f"{name}, unambiguous": rows for name, rows in clear.items() if len(rows) < len(photos[name])}


def _half(sets: Sets, kept: bool) -> dict[str, Rows]:
    return {name: [row for row in rows if row.kept == kept] for name, rows in sets.items()}


def _joined(sets: Sets) -> list[Example]:
    return [row for rows in sets.values() for row in rows]


def _known(rows: Rows) -> list[Example]:
    return [row for row in rows if row.known]


def _others(rows: Rows) -> list[Example]:
    return [row for row in rows if not row.known]


def _unflagged(rows: Rows) -> list[Example]:
    return [row for row in rows if row.unflagged]


# Tables ------------------------------------------------------------------------------------------------------------


def _summaries(sets: Sets) -> Iterator[str]:
    yield from _head(_HEADER)
    for name, rows in sets.items():
        known = _known(rows)
        yield _line(
            name,
            _size(known),
            _macro(known),
            _share(known, lambda row: row.right),
            _share(known, lambda row: row.group_right),
            _calibration_error(known),
            _mean(known, lambda row: row.unflagged),
            _share(_unflagged(known), lambda row: row.right),
            _share(_others(rows), lambda row: not row.unflagged),
        )


def _by_group_of_labels(sets: Sets, evaluation: Evaluation) -> Iterator[str]:
    """Yield the macro accuracy over the classes of each group, as that of all footwear."""
    groups = list(dict.fromkeys(evaluation.groups.values()))
    yield "\n## Macro accuracy by group of labels\n"
    yield from _head(["photos", *groups])
    for name, rows in sets.items():
        if known := _known(rows):
            yield _line(name, *(_macro([row for row in known if row.true_group == group]) for group in groups))


def _ood(photos: Sets) -> Iterator[str]:
    """Yield what is said of photos of none of the classes: how many are flagged, and how well confidence tells them.

    Those of a source with known ones too are compared within it, a source of strangers alone with the clear ones.
    """
    yield "\n## None of these\n"
    yield from _head(["photos", "n (groups)", "flagged", "AUROC", "against the known ones of"])
    clear = _clear(photos) or {name: rows for name, rows in photos.items() if _known(rows)}
    for name in (name for name in photos if _others(photos[name])):
        against = {name: photos[name]} if _known(photos[name]) else clear
        for title, halves in _HALVES:
            known, others = ([row for row in rows if row.kept in halves] for rows in (_joined(against), photos[name]))
            known, others = _known(known), _others(others)
            flagged = _share(others, lambda row: not row.unflagged)
            yield _line(name + title, _size(others), flagged, _auroc(known, others), " + ".join(against))


def _by_class(name: str, known: Rows, labels: Sequence[str]) -> Iterator[str]:
    yield f"\n## {for_markdown(name)}: by class\n"
    yield from _head(["class", "n (groups)", "recall", "precision", "unflagged", "of these right", "mostly taken for"])
    there = {label: rows for label in labels if (rows := [row for row in known if row.label == label])}
    for label, mine in there.items():
        wrong = Counter(row.predicted or "no product" for row in mine if not row.right)
        yield _line(
            label,
            _size(mine),
            _share(mine, lambda row: row.right),
            _mean([row for row in known if row.predicted == label], lambda row: row.right),
            _mean(mine, lambda row: row.unflagged),
            _mean(_unflagged(mine), lambda row: row.right),
            ", ".join(f"{predicted} {count}" for predicted, count in wrong.most_common(3)),
        )
    yield _line(
        "mean of the classes",
        "",
        _macro(known),
        "",
        _mean_of_classes(known, lambda row: row.unflagged),
        _mean_of_classes(_unflagged(known), lambda row: row.right),
        "",
    )


def _confidence(name: str, known: Rows) -> Iterator[str]:
    confidence, right = _examples(known)
    yield f"\nConfidence and accuracy, {for_markdown(name)}\n"
    yield from _head(["confidence", "n", "mean confidence", "accuracy"])
    for row in reliability_table(confidence, right):
        yield _line(f"{row['from']:.2f}-{row['to']:.2f}", f"{row['n']}", f"{row['confidence']:.3f}", f"{row['accuracy']:.3f}")
    yield f"\nAccuracy of the surest, {for_markdown(name)}\n"
    yield from _head(["surest", "n", "accuracy", "least confidence"])
    for row in classification.coverage_table(confidence, right):
        yield _line(f"{row['coverage']:.0%}", f"{row['n']}", f"{row['accuracy']:.3f}", f"{row['least_confidence']:.3f}")


# Cells: a figure of no photos is "-" -------------------------------------------------------------------------------


def _head(names: Sequence[str]) -> Iterator[str]:
    yield _line(*names)
    yield "|" + "---|" * len(names)


def _line(*cells: str) -> str:
    return f"| {' | '.join(map(for_markdown, cells))} |"


def _size(rows: Rows) -> str:
    return f"{len(rows)} ({len({row.group for row in rows})})" if rows else "-"


def _mean(rows: Rows, mark: Mark) -> str:
    return f"{np.mean([mark(row) for row in rows]):.3f}" if rows else "-"


def _mean_of_classes(rows: Rows, mark: Mark) -> str:
    return f"{macro_accuracy([mark(row) for row in rows], [row.label for row in rows]):.3f}" if rows else "-"


def _share(rows: Rows, mark: Mark) -> str:
    return _text(bootstrap_interval([mark(row) for row in rows], [row.group for row in rows])) if rows else "-"


def _macro(rows: Rows) -> str:
    marks, labels, groups = [row.right for row in rows], [row.label for row in rows], [row.group for row in rows]
    return _text(macro_bootstrap_interval(marks, labels, groups)) if rows else "-"


def _text(interval: Interval) -> str:
    share, low, high = interval
    return f"{share:.3f} ({low:.3f}-{high:.3f})"


def _calibration_error(rows: Rows) -> str:
    return f"{calibration_error(reliability_table(*_examples(rows))):.3f}" if rows else "-"


def _auroc(known: Rows, others: Rows) -> str:
    return f"{classification.auroc(_examples(known)[0], _examples(others)[0]):.3f}" if known and others else "-"


def _examples(rows: Rows) -> tuple[Floats, Flags]:
    """Return confidences (n,) and which of them are right (n,)."""
    return np.array([row.confidence for row in rows]), np.array([row.right for row in rows])
