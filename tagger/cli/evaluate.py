"""`fmtag evaluate`: measure a bundle on labelled photos."""

import os
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from tagger.cli.options import OUTPUT_FILE, Invocation, option, with_fashion_mnist, with_label_column, with_model
from tagger.cli.terminal import Terminal, results_console
from tagger.evaluation.settings import EvaluateSettings
from tagger.streams import is_stream

FILE_SUFFIXES = frozenset(
    ".bmp .csv .doc .docx .gif .htm .html .jpeg .jpg .json .jsonl .markdown .odt .parquet .pdf .png .rst .svg .tex .tsv .txt "
    ".webp .xhtml .xls .xlsx .xml .yaml .yml .zip".split()
)
"""Suffixes that the name of a report's folder is unlikely to have, unlike that of run-0.2."""


class ReportPath(click.Path):
    """A Markdown file by its suffix, or a folder; a name with the suffix of another kind of file is refused."""

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Path:
        """Return the path."""
        path = Path(str(super().convert(value, parameter, context)))
        if _is_markdown(path) and path.is_dir():
            self.fail(f"{path} is a folder; give a file that ends in .md, or a folder of another name.", parameter, context)
        if path.suffix.lower() in FILE_SUFFIXES and not path.is_dir():
            self.fail(
                f"{path} ends in {path.suffix}; give a folder, which gets a report.html, or a file that ends in .md.",
                parameter,
                context,
            )
        return path


def _is_markdown(report: Path) -> bool:
    return report.suffix.lower() == ".md" or is_stream(report)


@click.command()
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@option("--out", type=OUTPUT_FILE, metavar="FILE.json", help="Write all metrics as JSON.")
@option(
    "--report",
    type=ReportPath(),
    metavar="DIR|FILE.md",
    help="Write a folder with report.html and its pictures, or a Markdown file with all metrics and 95 % intervals. "
    "The folder shows the photos themselves: check whose they are before you share it.",
)
@option(
    "--sheet",
    type=OUTPUT_FILE,
    metavar="FILE.png",
    help="Draw the most confident errors. It shows the photos themselves: check whose they are before you share it.",
)
@with_label_column
@with_fashion_mnist
@with_model
@click.pass_obj
def evaluate(
    invocation: Invocation,
    /,
    sources: tuple[str, ...],
    out: Path | None,
    report: Path | None,
    sheet: Path | None,
    **options: Any,
) -> None:
    """Measure a bundle on each SOURCE: labelled photos, or fashion-mnist for the Fashion-MNIST test set.

    Labelled photos are a table with an image and a label column, a folder that holds such a table named labels.csv, or a
    folder with one subfolder per class. The table's column `group` names photos that are not independent, such as those of one
    product; intervals are by group. "(ambiguous)" in its column `kind` marks photos that only loosely belong to their class;
    metrics are given with and without those.
    """
    from tagger.catalog.labelled import labels_location, photo_files
    from tagger.catalog.output_paths import Input, Output, check_output_paths, fashion_mnist_files
    from tagger.evaluation.contact_sheet import contact_sheet
    from tagger.evaluation.evaluate import evaluate as measure
    from tagger.evaluation.evaluate import metrics_of
    from tagger.evaluation.html_report import html_report
    from tagger.evaluation.markdown_report import markdown_report
    from tagger.files import encode_text, write_file, write_folder, write_json
    from tagger.models import card
    from tagger.models import history as history_module

    settings = EvaluateSettings(sources, **options)
    markdown = report if report is not None and _is_markdown(report) else None
    folder = None if markdown is not None else report
    inputs = [Input("the source itself", labels_location(source)) for source in sources]
    inputs += [Input("a file of the bundle", file) for file in card.files_of(settings.model)]
    if sheet is not None and os.path.isfile(sheet):  # an older sheet may be replaced, a photo may not
        inputs += [Input("one of the photos", file) for file in photo_files(sources, settings.reading)]
    check_output_paths(
        [
            Output("--report", folder, "images"),
            *(Output(name, path) for name, path in {"--out": out, "--report": markdown}.items()),
            Output("--sheet", sheet, "image"),
        ],
        [*inputs, *fashion_mnist_files(settings.data)],
    )
    console = results_console((out, report, sheet))
    history = [] if folder is None else history_module.history(settings.model)
    evaluation = measure(settings)
    metrics = metrics_of(evaluation)
    if folder is not None:
        write_folder(folder, html_report(evaluation, history, invocation.command))
    elif markdown is not None:
        write_file(markdown, encode_text(markdown_report(evaluation, invocation.command)))
    if sheet is not None:
        write_file(sheet, contact_sheet(evaluation))
    if out is not None:
        write_json(out, metrics)
    print_metrics(metrics, console)


def print_metrics(metrics: dict[str, Any], console: Terminal | None = None) -> None:
    """Print the result of `metrics_of`: all tables of a single source, or one row for each of several."""
    from tagger.evaluation.metrics_tables import metrics_lines, metrics_tables
    from tagger.evaluation.tables import render_terminal

    console = console or Terminal()
    sources = metrics.get("sources")
    if sources is None:
        console.print(
            Text(f"accuracy {metrics['accuracy']:.4f}", "bold"),
            f"macro accuracy {metrics['macro_accuracy']:.4f}, calibration error {metrics['calibration_error']:.4f}, "
            f"n = {metrics['n']:,}, {metrics['model']}",
            sep=", ",
        )
        for line in metrics_lines(metrics):
            console.print(line)
    else:
        console.print(next(iter(sources.values()))["model"])
    for table in metrics_tables(metrics):
        console.print(render_terminal(table))
    for name, source in (sources or {}).items():
        if source["failed"]:
            console.print(f"{name}: left out, could not be read: {source['failed']}")
