"""A comparison as people read it, tables in Markdown; and a table for machines."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pandas as pd

from tagger import files
from tagger.escaping import code_for_markdown, for_markdown
from tagger.evaluation.compare import BATCHES, Comparison
from tagger.file_names import escape_surrogates

TITLES = {
    "name": "bundle",
    "seeds": "seeds",
    "accuracy": "accuracy",
    "macro_precision": "macro precision",
    "macro_recall": "recall",
    "macro_f1": "F1",
    "calibration_error": "calibration error",
    "accuracy_at_90": "at 90 % coverage",
    "accuracy_at_80": "at 80 %",
    "cross_entropy": "cross-entropy",
    "parameters": "parameters",
    "macs": "MMAC",
    "bytes": "kB",
    **{f"pictures_a_second_{batch}": f"pictures/s at {batch}" for batch in BATCHES},
    "training_seconds": "training, s",
}


def comparison_as_markdown(comparison: Comparison, command: str) -> str:
    """Return the comparison that `command` made as Markdown."""
    return "".join(f"{line}\n" for line in _lines(comparison, command))


def _lines(comparison: Comparison, command: str) -> Iterator[str]:
    yield "# Networks on Fashion-MNIST"
    yield ""
    yield code_for_markdown(command)
    yield ""
    yield from tables(comparison)


def tables(comparison: Comparison) -> Iterator[str]:
    """Yield the lines of two Markdown tables, the bundles and their differences, each with what must be known to read it."""
    rows, differences = comparison.rows(), comparison.differences()
    yield (
        f"n = {len(comparison.labels):,}, so that the binomial standard error is about 0.2 points. One view of each picture; "
        "bundles for photos average it with its mirror image. Means over the seeds; ± is the accuracy's standard deviation. "
        "An ensemble costs what all its members do."
    )
    yield ""
    keys = [key for key in TITLES if any(row.get(key) is not None for row in rows)]
    yield from table([TITLES[key] for key in keys], ([cell(row, key) for key in keys] for row in rows))
    if differences:
        yield "For the first bundle of each row: p is how likely so uneven a number is by chance (McNemar's exact test)."
        yield ""
        yield from table(
            ("", "only the first is right", "only the second", "p"),
            (
                [
                    f"{row['first']}, {row['second']}",
                    str(row["only_first_right"]),
                    str(row["only_second_right"]),
                    f"{row['p']:.2g}",
                ]
                for row in differences
            ),
        )


def cell(row: dict[str, Any], key: str) -> str:
    """Return a figure as people read it, or - where there is none."""
    value = row.get(key)
    if value is None:
        return "-"
    if key == "accuracy" and row["accuracy_deviation"] is not None:
        return f"{100 * value:.2f} ± {100 * row['accuracy_deviation']:.2f} %"
    if key.startswith(("accuracy", "macro", "calibration")):
        return f"{100 * value:.2f} %"
    if key == "cross_entropy":
        return f"{value:.4f}"
    if key == "macs":
        return f"{value / 1e6:.1f}"
    if key == "bytes":
        return f"{value / 1000:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a Markdown table of plain texts, and an empty one."""
    yield f"| {' | '.join(map(for_markdown, titles))} |"
    yield f"|{'---|' * len(titles)}"
    for row in rows:
        yield f"| {' | '.join(map(for_markdown, row))} |"
    yield ""


def comparison_as_csv(comparison: Comparison) -> bytes:
    """Return the rows as a CSV, all figures as they are: shares 0..1, whole numbers."""
    return escape_surrogates(pd.DataFrame(comparison.rows()).to_csv(index=False, lineterminator="\n")).encode()


def comparison_as_json(comparison: Comparison) -> bytes:
    """Return rows and differences as JSON."""
    return files.as_json({"rows": comparison.rows(), "differences": comparison.differences()})
