"""A comparison of bundles as tables, Markdown, CSV and JSON."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from tagger import files
from tagger.escaping import code_for_markdown
from tagger.evaluation.compare import BATCHES, Comparison
from tagger.evaluation.tables import MISSING, Table, make_table, render_markdown
from tagger.files import encode_text

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
    **{f"pictures_a_second_{batch}": f"images/s at {batch}" for batch in BATCHES},
    "training_seconds": "training, s",
}
"""The columns of `Comparison.rows` with their titles."""

TERMINAL_KEYS = (
    "name",
    "accuracy",
    "macro_f1",
    "calibration_error",
    "parameters",
    "macs",
    "bytes",
    *(f"pictures_a_second_{batch}" for batch in BATCHES),
)
"""The columns that fit a terminal of 80 characters."""

SIGNIFICANCE_LEVEL = 0.05
"""The p-value below which a difference is reported as significant."""


def comparison_table(comparison: Comparison, keys: Sequence[str] = tuple(TITLES)) -> Table:
    """Return a row for each family of bundles and each ensemble, with the columns `keys` that have a value in any row."""
    rows = comparison.rows()
    used = [key for key in keys if any(row.get(key) is not None for row in rows)]
    note = (
        f"n = {len(comparison.labels):,}, so that the binomial standard error is about 0.2 points. One view of each image; "
        "bundles for photos average it with its mirror image. Means over the seeds; ± is the accuracy's standard deviation. "
        "An ensemble costs as much as all its members."
    )
    return make_table([TITLES[key] for key in used], ([cell(row, key) for key in used] for row in rows), "Bundles", note)


def difference_table(comparison: Comparison) -> Table:
    """Return a row for every two bundles or ensembles: the images that only one predicts right, and McNemar's p-value."""
    rows = [
        [
            f"{row['first']}, {row['second']}",
            str(row["only_first_right"]),
            str(row["only_second_right"]),
            f"{row['p']:.2g}",
        ]
        for row in comparison.differences()
    ]
    titles = ("", "only the first is right", "only the second", "p")
    note = "For the first bundle of each row. p is the p-value of McNemar's exact test, of no difference between the two."
    return make_table(titles, rows, "Differences", note)


def significant_differences(comparison: Comparison) -> list[str]:
    """Return a sentence for each pair whose difference has a p-value below `SIGNIFICANCE_LEVEL`."""
    sentences = []
    for row in comparison.differences():
        if row["p"] < SIGNIFICANCE_LEVEL:
            first_wins = row["only_first_right"] > row["only_second_right"]
            better, worse = (row["first"], row["second"]) if first_wins else (row["second"], row["first"])
            sentences.append(f"{better} is better than {worse}: p = {row['p']:.2g} (McNemar, exact)")
    return sentences


def cell(row: dict[str, Any], key: str) -> str:
    """Return a metric as text, or `-` where the row has none."""
    value = row.get(key)
    if value is None:
        return MISSING
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


def comparison_as_markdown(comparison: Comparison, command: str) -> str:
    """Return the comparison that `command` made as Markdown."""
    lines = ["# Networks on Fashion-MNIST", "", code_for_markdown(command), "", *comparison_lines(comparison)]
    return "".join(f"{line}\n" for line in lines)


def comparison_lines(comparison: Comparison) -> list[str]:
    """Return the lines of the two Markdown tables, bundles and differences, without headings."""
    differences = difference_table(comparison)
    return render_markdown(comparison_table(comparison)) + (render_markdown(differences) if differences.rows else [])


def comparison_as_csv(comparison: Comparison) -> bytes:
    """Return the rows as CSV with the metrics as numbers: shares 0..1, seconds, bytes."""
    return encode_text(pd.DataFrame(comparison.rows()).to_csv(index=False, lineterminator="\n"))


def comparison_as_json(comparison: Comparison) -> bytes:
    """Return rows and differences as JSON."""
    return files.as_json({"rows": comparison.rows(), "differences": comparison.differences()})
