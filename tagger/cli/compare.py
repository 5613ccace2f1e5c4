"""`fmtag compare`: compare bundles on the Fashion-MNIST test set."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tagger.cli.options import OUTPUT_FILE, Invocation, option, with_debug, with_fashion_mnist
from tagger.cli.terminal import Terminal, results_console
from tagger.evaluation.settings import CompareSettings
from tagger.streams import is_stream

if TYPE_CHECKING:
    from tagger.evaluation.compare import Comparison


@click.command()
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@with_fashion_mnist
@option("--out", type=OUTPUT_FILE, help="Write the rows as .csv or .json.")
@option("--report", type=OUTPUT_FILE, metavar="FILE.md", help="Write the tables as Markdown.")
@option("--chart", type=OUTPUT_FILE, metavar="FILE.png", help="Plot accuracy against cost.")
@with_debug
@click.pass_obj
def compare(
    invocation: Invocation,
    models: tuple[str, ...],
    data: Path | None,
    out: Path | None,
    report: Path | None,
    chart: Path | None,
) -> None:
    """Compare bundles on the Fashion-MNIST test set: accuracy, calibration, size, speed, significance.

    MODEL is the name of a bundle, or its folder written with a separator, as ./mine. Bundles that differ in their seed only
    are one row with mean and standard deviation, and a further row gives their ensemble.
    """
    from tagger.catalog.output_paths import Input, Output, check_output_paths, fashion_mnist_files
    from tagger.evaluation import comparison_report
    from tagger.evaluation.charts import costs
    from tagger.evaluation.compare import compare as measure
    from tagger.files import encode_text, write_file
    from tagger.models.card import files_of

    if out is not None and out.suffix not in (".csv", ".json") and not is_stream(out):
        raise click.UsageError(f"{out} ends neither in .csv nor in .json; give one of these to --out.")
    inputs = [Input("a file of a bundle", file) for name in models for file in files_of(name)]
    check_output_paths(
        [Output("--out", out), Output("--report", report), Output("--chart", chart, "image")],
        [*inputs, *fashion_mnist_files(data)],
    )
    console = results_console((out, report, chart))
    comparison = measure(CompareSettings(models, data))
    if out is not None:
        as_rows = comparison_report.comparison_as_json if out.suffix == ".json" else comparison_report.comparison_as_csv
        write_file(out, as_rows(comparison))
    if report is not None:
        markdown = comparison_report.comparison_as_markdown(comparison, invocation.command)
        write_file(report, encode_text(markdown))
    if chart is not None:
        write_file(chart, costs(comparison.rows()))
    print_comparison(comparison, console)


def print_comparison(comparison: "Comparison", console: Terminal | None = None) -> None:
    """Print a row per family of bundles, and the significant differences."""
    from tagger.evaluation.comparison_report import TERMINAL_KEYS, comparison_table, significant_differences
    from tagger.evaluation.tables import render_terminal

    console = console or Terminal()
    console.print(render_terminal(comparison_table(comparison, TERMINAL_KEYS)))
    for sentence in significant_differences(comparison):
        console.print(sentence, highlight=False)
