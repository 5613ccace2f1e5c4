"""`fmtag corrections`: write what people decided to a file, or record the decisions of a file."""

from pathlib import Path
from typing import get_args

import click

from tagger.cli.options import FILE, LEDGER_OF_RUNS, OUTPUT_FILE, OUTPUT_OF_RUNS, option, with_debug, with_label_column
from tagger.cli.terminal import say
from tagger.settings import FORMATS, Format


@click.command()
@click.argument("output", type=OUTPUT_OF_RUNS, required=False)
@option("--ledger", type=LEDGER_OF_RUNS, metavar="FILE", help="Ledger of the runs.  [default: the one beside OUTPUT]")
@option("--out", type=OUTPUT_FILE, metavar="FILE", help="File to write the decisions to, or - for standard output.")
@option(
    "--format",
    "format_",
    type=click.Choice([*FORMATS, "label-studio"]),
    help="Format of --out.  [default: by its suffix, label-studio for .label-studio.json; csv on stdout]",
)
@option("--open", "with_open", is_flag=True, help="Write the photos that wait for a decision, too, without a label.")
@option("--from", "file", type=FILE, metavar="FILE", help="Record the decisions of this table or export of Label Studio.")
@with_label_column
@option("--reviewer", metavar="NAME", help="Who decided.  [default: as the file tells, otherwise the login name]")
@option(
    "--url-prefix",
    default="",
    metavar="TEXT",
    help="What stands before the paths in Label Studio, as /data/local-files/?d=catalog/.",
)
@option("--label-config", type=OUTPUT_FILE, metavar="FILE", help="Write the labelling interface for Label Studio (XML).")
@with_debug
def corrections(
    output: Path | None,
    ledger: Path | None,
    out: Path | None,
    format_: str | None,
    with_open: bool,
    file: Path | None,
    label_column: str | None,
    reviewer: str | None,
    url_prefix: str,
    label_config: Path | None,
) -> None:
    """Write what people decided about the photos of OUTPUT, which `fmtag run` wrote, or record the decisions of a file.

    Decisions come from `fmtag review` and from files that --from has recorded. With --from and --out, the file is recorded
    first.
    """
    if output is None and ledger is None:
        raise click.UsageError("Give the output of a `fmtag run`, such as tags.csv, or its ledger with --ledger.")
    if out is None and file is None and label_config is None:
        raise click.UsageError("Give --out a file for the decisions, --from a file of decisions, or --label-config a file.")
    from tagger.catalog.output import format_of
    from tagger.catalog.output_paths import Input, Output, check_output_paths
    from tagger.files import encode_text, write_file
    from tagger.review import corrections as listing
    from tagger.review import label_studio
    from tagger.review.corrections_import import import_answers
    from tagger.review.ledger_reader import LedgerReader
    from tagger.review.reviewer import login_name
    from tagger.run.paths import ledger_of_output

    path = ledger or ledger_of_output(output or Path())
    inputs = [("the ledger", path), ("the output", output), ("the file of --from", file)]
    check_output_paths(
        [Output("--out", out), Output("--label-config", label_config)],
        [Input(name, given) for name, given in inputs if given is not None],
    )
    if out is not None and format_ is None and out.name.lower().endswith(label_studio.NAME_ENDING):
        format_ = "label-studio"
    if out is not None and format_ is None:
        format_ = format_of(str(out))
    if file is not None:
        done = import_answers(path, file, login_name(), reviewer, label_column, url_prefix)
        for sentence in done.notes:
            say(f"Note: {sentence}", err=True)
        decisions = "1 decision" if done.recorded == 1 else f"{done.recorded:,} decisions"
        say(f"{decisions} recorded, {done.unchanged:,} known already. The next fmtag run writes them.", err=True)
    with LedgerReader(path) as reader:
        if out is not None:
            found = listing.read_corrections(reader, with_open)
            count = (
                label_studio.write_tasks(found, str(out), url_prefix)
                if format_ == "label-studio"
                else listing.write_table(found, str(out), _table_format(format_))
            )
            photos = "1 photo" if count == 1 else f"{count:,} photos"
            say(f"{photos}{'' if with_open else ' that people decided about'}. Written to {out}.", err=True)
        if label_config is not None:
            labels = [*listing.known_labels(reader), *listing.further_labels(reader)]
            text = encode_text(label_studio.label_config(dict.fromkeys(labels)))
            if str(label_config) == "-":
                click.echo(text, nl=False)
            else:
                write_file(label_config, text)
                say(f"Labelling interface written to {label_config}.", err=True)


def _table_format(name: str | None) -> Format:
    """Return the format of that name."""
    return next(format for format in get_args(Format) if format == name)
