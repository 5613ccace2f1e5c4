"""The command line: parse, build one settings object, call one function, print, exit.

Every import that pulls torch, torchvision or pandas in stands inside a command, so that `fmtag --help` answers at once.
"""

import io
import json
import math
import os
import shlex
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from tagger.adaptation.settings import OTHER_LABELS, AdaptSettings
from tagger.cli.config import CONFIGURATION, configured, origin
from tagger.errors import FmtagError, Interrupted
from tagger.escaping import for_json, for_terminal
from tagger.evaluation.settings import CompareSettings, EvaluateSettings
from tagger.inference.settings import RUNTIMES, ExportSettings
from tagger.models.config import MAX_ENSEMBLE_MEMBERS
from tagger.run.settings import ONLY, RunSettings
from tagger.settings import DEFAULT_MODEL, DEVICES, FORMATS, Format
from tagger.training.recipe import AUGMENTATIONS, MIXES, NETWORKS, RECIPES, Augmentation, Recipe, RecipeName
from tagger.training.settings import TRAINING_DEVICES, TrainSettings, TuneSettings

EXIT_FAILED_PHOTOS = 3
EXIT_INTERRUPTED = 130
EXIT_SIGNAL = 128
"""Shells add a signal's number to this."""

MOST_SEED = 2**32 - 1

MOST_EPOCHS = 100_000

FILE_SUFFIXES = frozenset(
    ".bmp .csv .doc .docx .gif .htm .html .jpeg .jpg .json .jsonl .markdown .odt .parquet .pdf .png .rst .svg .tex .tsv .txt "
    ".webp .xhtml .xls .xlsx .xml .yaml .yml .zip".split()
)
"""What no folder for a report is likely to be named by, while one like run-0.2 is."""

FILE = click.Path(dir_okay=False, path_type=Path)

Command = TypeVar("Command", bound=Callable[..., Any])


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit code; an `FmtagError` is one sentence and exit 1, as is any other error."""
    given = sys.argv[1:] if arguments is None else arguments
    asked: dict[str, Any] = {"debug": "--debug" in given, "log_format": "text", "command": shlex.join(["fmtag", *given])}
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that lacks a letter shows its number
            stream.reconfigure(errors="backslashreplace")
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"PIL\.")  # what is wrong with a photo stands in its own row
            code = cli.main(
                arguments,
                "fmtag",
                standalone_mode=False,
                auto_envvar_prefix="FMTAG",
                default_map=configured(Path(CONFIGURATION), cli),
                obj=asked,
            )
    except click.ClickException as error:
        _show(error)
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted; the output is as it was before.", err=True)
        code = EXIT_INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()  # whoever read our output has left; there is nobody to tell
        code = 1
    except Exception as error:
        if asked["debug"]:
            traceback.print_exc()
        sentence = _sentence(error)
        as_json = asked["log_format"] == "json"
        click.echo(
            for_json(json.dumps({"event": "error", "message": sentence})) if as_json else f"Error: {for_terminal(sentence)}",
            err=True,
        )
        code = error.exit_code if isinstance(error, FmtagError) else 1
    sys.exit(code)


def _sentence(error: Exception) -> str:
    """Return what is wrong and what to do, also where nobody has foreseen the error."""
    if isinstance(error, FmtagError):
        return str(error)
    if isinstance(error, MemoryError):
        return "There is not enough memory for this; close other programs, or give a smaller --batch-size or fewer --workers."
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if isinstance(error, OSError):
        return f"The operating system refused something that fmtag needs ({what}); mend that, or see with --debug where."
    return f"This is a bug in fmtag ({what}); give the command again with --debug, and report what it prints."


def _show(error: click.ClickException) -> None:
    """Print what is wrong with the command line, as click does, but escaped, and with its origin."""
    if error.__class__.__name__ == "NoArgsIsHelpError":  # which older versions of click lack; the message is the help
        error.show()
        return
    if isinstance(error, click.UsageError) and error.ctx is not None:
        click.echo(f"{error.ctx.get_usage()}\nTry '{error.ctx.command_path} --help' for help.\n", err=True)
    message = error.format_message()
    if not isinstance(error, click.MissingParameter):  # whose lines are click's own
        message = for_terminal(message + origin(error))
    click.echo(f"Error: {message}", err=True)


class _Finite(click.FloatRange):
    """A number within a range; `nan` and infinities lie in every one by click's comparison, and in none by ours."""

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Any:
        number = super().convert(value, parameter, context)
        if not math.isfinite(number):
            self.fail(f"{number} is no number.", parameter, context)
        return number


class _ReportPlace(click.Path):
    """A Markdown file by its suffix, or a folder, which none is by the suffix of another kind of file."""

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Path:
        place = Path(str(super().convert(value, parameter, context)))
        if _is_markdown(place) and place.is_dir():
            self.fail(f"{place} is a folder; give a file that ends in .md, or a folder of another name.", parameter, context)
        if place.suffix.lower() in FILE_SUFFIXES and not place.is_dir():
            self.fail(
                f"{place} ends in {place.suffix}; give a folder, which gets a report.html, or a file that ends in .md.",
                parameter,
                context,
            )
        return place


def _is_markdown(report: Path) -> bool:
    return report.suffix.lower() == ".md"


def _note(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
    """Let `main`, which speaks of errors, know the option too."""
    context.find_root().obj[parameter.name] = value
    return value


def _model(context: click.Context, parameter: click.Parameter, value: str | None) -> str:
    """Return the bundle's name: the one given, else the user's default."""
    if value is not None:
        return value
    from tagger.models.registry import default_model

    return default_model()


def with_debug(command: Command) -> Command:
    """Add --debug, which `main` acts on."""
    help_text = "Show the traceback of an error."
    return click.option("--debug", is_flag=True, expose_value=False, callback=_note, help=help_text)(command)


with_workers = click.option("--workers", type=click.IntRange(1, 256), help="Threads that read photos.  [default: processors]")
with_image_column = click.option("--image-column", help="Column of a table that holds the paths.  [default: told by its name]")
with_teachers = click.option(
    "--distill-from",
    "teachers",
    multiple=True,
    metavar="MODEL",
    help="Bundle to learn from beside the labels; may be given more than once.  [default: what the recipe names]",
)

with_training_device = click.option(
    "--device",
    type=click.Choice(TRAINING_DEVICES),
    default="auto",
    show_default=True,
    help="Where to train: on a CUDA GPU, where there is one, or on the processor.",
)

READING = (
    click.option("--device", type=click.Choice(DEVICES), default="auto", show_default=True, help="Where to compute."),
    with_workers,
    with_image_column,
    with_debug,
)
"""Options of every command that reads photos and runs a network."""


def with_model(command: Command) -> Command:
    """Add the options of the commands that tag photos with a bundle."""
    options = [
        click.option(
            "--model",
            callback=_model,
            help=f"Name of the bundle, or its folder as ./x.  [default: the user's, else {DEFAULT_MODEL}]",
        ),
        click.option("--batch-size", type=click.IntRange(1, 65536), default=256, show_default=True, help="Photos a step."),
        *READING,
    ]
    for option in reversed(options):
        command = option(command)
    return command


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(version("fmtag"), message="fmtag %(version)s")
def cli() -> None:
    """Tag catalog photos: a tag, a believable confidence and a low-confidence flag for each."""


@cli.command()
@click.argument("source")
@click.option("--out", required=True, help="File to write (.csv .json .jsonl .parquet), or - for stdout.")
@click.option("--format", "format_", type=click.Choice(FORMATS), help="Format.  [default: by the suffix; csv on stdout]")
@click.option("--top-k", type=click.IntRange(1, 1000), default=1, show_default=True, help="Tags a photo.")
@click.option("--min-confidence", type=_Finite(0, 1), help="Flag tags below this.  [default: the bundle's own]")
@click.option(
    "--precision",
    type=_Finite(0, 1),
    help="Flag so many that this share of the others is right, as far as the bundle's card knows.",
)
@click.option("--allow-truncated", is_flag=True, help="Tag files that end early, always flagged, one at a time.")
@click.option("--excel", is_flag=True, help="CSV for spreadsheets: byte order mark, formulas made harmless.")
@click.option("--list-ignored", is_flag=True, help="Name the entries of a folder that are no images.")
@click.option("--debug-garments", type=click.Path(path_type=Path), metavar="DIR", help="Write what the network saw, as PNGs.")
@click.option("--label-map", type=FILE, metavar="FILE.csv", help="Other names for labels: two columns, label and name.")
@click.option("--ledger", type=FILE, metavar="FILE", help="What is done already.  [default: beside --out, named like it]")
@click.option("--fresh", is_flag=True, help="Look at every photo anew, whatever the ledger knows.")
@click.option("--verify", is_flag=True, help="Read all files, even where size and time are as they were.")
@click.option(
    "--settle", type=_Finite(0), default=0.0, metavar="SECONDS", help="Leave out files written within so many seconds."
)
@click.option(
    "--give-up",
    type=click.IntRange(1, 1_000_000),
    default=RunSettings.give_up,
    show_default=True,
    metavar="N",
    help="Stop trying a photo that could not be read in N runs, until its file changes.",
)
@click.option("--only", type=click.Choice(ONLY), multiple=True, help="Write these rows alone; may be given more than once.")
@click.option("--changes", metavar="FILE", help="Write what is another than in the last run (.csv .json .jsonl .parquet).")
@click.option("--report", type=FILE, metavar="FILE.json", help="Write counts, times, versions and every failure.")
@click.option(
    "--wait", type=_Finite(0), default=0.0, metavar="SECONDS", help="Wait so long for another run to end.  [default: not]"
)
@click.option("--allow-vanished", is_flag=True, help="Go on though most of the known photos are gone.")
@click.option("--quiet", is_flag=True, help="Say nothing but errors.")
@click.option(
    "--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True, help="Of stderr.", callback=_note
)
@with_model
def run(format_: Format | None, list_ignored: bool, quiet: bool, log_format: str, **options: Any) -> int:
    """Tag the photos of SOURCE: a folder, an image, a table (.csv .tsv .jsonl .parquet), or - for paths on stdin.

    What is done already stands in a ledger beside the output, so the same command, given again, looks at new and changed
    photos alone, and goes on where one was stopped.

    Exit codes: 0 every photo tagged or flagged; 1 the run could not be done; 2 wrong usage; 3 done, but some photos
    could not be read (they are rows all the same); 4 another run is going on; 130 or 143 stopped by a signal.
    """
    from tagger.cli.progress import LogFormat, Progress
    from tagger.run import pipeline
    from tagger.run.report import write_report_after
    from tagger.run.summary import RunSummary
    from tagger.signals import SignalGuard

    settings = RunSettings(format=format_, **options)
    report, stopping = RunSummary(), SignalGuard()
    with Progress(cast(LogFormat, log_format), quiet) as progress:
        watcher = pipeline.RunCallbacks(
            ignored=progress.ignored if list_ignored else lambda path, why: None,
            started=lambda report: progress.started(report, settings.source, settings.out),
            warned=progress.warned,
            failed=progress.failed,
            scored=progress.looked,
            defer=stopping.defer,
            ignore=stopping.ignore,
        )
        try:
            with stopping.listening(), write_report_after(settings, report, progress.warned):
                pipeline.run(settings, sys.stdin.buffer, watcher, report)
        except Interrupted as stop:
            progress.interrupted(report)
            return EXIT_SIGNAL + stop.signal
        progress.done(report, settings.out)
    return EXIT_FAILED_PHOTOS if report.failed else 0


@cli.command()
@click.argument("path")
@click.option("--ledger", type=FILE, required=True, metavar="FILE", help="Ledger of the runs, as beside their output.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_debug
def explain(path: str, ledger: Path, as_json: bool) -> None:
    """Print all that a ledger knows about the photo PATH: bytes, bundle, probabilities, why it was flagged, every night."""
    from tagger.run import explain as explaining

    known = explaining.explain(path, ledger)
    click.echo(for_json(json.dumps(known, indent=2, ensure_ascii=False)) if as_json else explaining.as_text(known))


@cli.command()
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option("--out", type=FILE, help="JSON file for all figures.")
@click.option(
    "--report",
    type=_ReportPlace(),
    metavar="DIR|FILE.md",
    help="Folder for report.html, charts, tables and the surest predictions in one file, and for its pictures; or Markdown "
    "file with all that can be said of the photos, with 95 % intervals. The folder shows photos, so mind whose they are.",
)
@click.option(
    "--sheet",
    type=FILE,
    metavar="FILE.png",
    help="Picture of the surest errors. It shows the photos, so mind whose they are.",
)
@click.option("--label-column", help="Column of a table that holds the labels.  [default: told by its name]")
@click.option("--data", type=click.Path(path_type=Path), metavar="DIR", help="Folder of Fashion-MNIST's four files.")
@with_model
@click.pass_obj
def evaluate(
    asked: dict[str, Any],
    /,
    sources: tuple[str, ...],
    out: Path | None,
    report: Path | None,
    sheet: Path | None,
    **options: Any,
) -> None:
    """Measure a bundle on each SOURCE: labelled photos, or fashion-mnist, its test set.

    Labelled photos are a table with an image and a label column, a folder that holds such a table named labels.csv, or a
    folder with a subfolder a class. A table's column `group` names photos that are not independent, such as those of one
    product, and intervals are by group; "(ambiguous)" in its column `kind` marks loosely mapped photos, and figures come
    with and without those.
    """
    from tagger.catalog.labelled import labels_location, photo_files
    from tagger.catalog.output_paths import Input, Output, check_output_paths, fashion_mnist_files
    from tagger.cli.printing import print_metrics
    from tagger.evaluation.contact_sheet import contact_sheet
    from tagger.evaluation.evaluate import evaluate as judge
    from tagger.evaluation.evaluate import metrics_of
    from tagger.evaluation.html_report import html_report
    from tagger.evaluation.markdown_report import markdown_report
    from tagger.file_names import escape_surrogates
    from tagger.files import write_file, write_folder, write_json
    from tagger.models import card
    from tagger.models import history as history_module

    settings = EvaluateSettings(sources, **options)
    markdown = report if report is not None and _is_markdown(report) else None
    folder = None if markdown is not None else report
    inputs = [Input("the source itself", labels_location(source)) for source in sources]
    inputs += [Input("a file of the bundle", file) for file in card.files_of(settings.model)]
    if sheet is not None and os.path.isfile(sheet):  # an older sheet may be replaced, a photo may not
        inputs += [Input("one of the photos", file) for file in photo_files(sources, settings.image_column)]
    check_output_paths(
        [
            Output("--report", folder, "images"),
            *(Output(option, path) for option, path in {"--out": out, "--report": markdown}.items()),
            Output("--sheet", sheet, "image"),
        ],
        [*inputs, *fashion_mnist_files(settings.data)],
    )
    history = [] if folder is None else history_module.history(settings.model)
    evaluation = judge(settings)
    metrics = metrics_of(evaluation)
    if folder is not None:
        write_folder(folder, html_report(evaluation, history, asked["command"]))
    elif markdown is not None:
        write_file(markdown, escape_surrogates(markdown_report(evaluation, asked["command"])).encode())
    if sheet is not None:
        write_file(sheet, contact_sheet(evaluation))
    print_metrics(metrics)
    if out is not None:
        write_json(out, metrics)


@cli.command()
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@click.option("--data", type=click.Path(path_type=Path), metavar="DIR", help="Folder of Fashion-MNIST's four files.")
@click.option("--out", type=FILE, help="Write the rows here, as .csv or .json.")
@click.option("--report", type=FILE, metavar="FILE.md", help="Write the tables here as Markdown.")
@click.option("--chart", type=FILE, metavar="FILE.png", help="Draw accuracy against cost.")
@click.pass_obj
@with_debug
def compare(
    asked: dict[str, Any],
    models: tuple[str, ...],
    data: Path | None,
    out: Path | None,
    report: Path | None,
    chart: Path | None,
) -> None:
    """Hold bundles against each other on Fashion-MNIST's test set: right, believable, large, fast, and what is chance.

    A MODEL is a bundle's name, or its folder as ./x. Bundles that differ in their seed alone are one row, with their mean and
    spread, and another row says what they reach together.
    """
    from tagger.catalog.output_paths import Input, Output, check_output_paths, fashion_mnist_files
    from tagger.cli.printing import print_comparison
    from tagger.evaluation import comparison_report
    from tagger.evaluation.charts import costs
    from tagger.evaluation.compare import compare as measure
    from tagger.file_names import escape_surrogates
    from tagger.files import write_file
    from tagger.models.card import files_of

    if out is not None and out.suffix not in (".csv", ".json"):
        raise click.UsageError(f"{out} ends neither in .csv nor in .json; give one of these to --out.")
    inputs = [Input("a file of a bundle", file) for name in models for file in files_of(name)]
    check_output_paths(
        [Output("--out", out), Output("--report", report), Output("--chart", chart, "image")],
        [*inputs, *fashion_mnist_files(data)],
    )
    comparison = measure(CompareSettings(models, data))
    print_comparison(comparison)
    if out is not None:
        write_file(
            out,
            comparison_report.comparison_as_csv(comparison)
            if out.suffix == ".csv"
            else comparison_report.comparison_as_json(comparison),
        )
    if report is not None:
        write_file(report, escape_surrogates(comparison_report.comparison_as_markdown(comparison, asked["command"])).encode())
    if chart is not None:
        write_file(chart, costs(comparison.rows()))


@cli.command()
@click.argument("model")
@click.option("--to", type=click.Choice(RUNTIMES), required=True, help="What is to run it: ONNX's runtimes or torch alone.")
@click.option("--out", type=FILE, required=True, help="The new file.")
@click.option("--int8", is_flag=True, help="Make weights and activations int8 (ONNX).")
@click.option(
    "--prune", type=_Finite(0, 1, max_open=True), default=0.0, help="Share of the weights, the smallest, that become 0."
)
@click.option("--data", type=click.Path(path_type=Path), metavar="DIR", help="Folder of Fashion-MNIST's four files.")
@with_debug
def export(**options: Any) -> None:
    """Write the bundle MODEL as one file for other runtimes, checked on 1,000 images against what it was made of.

    The file takes pictures uint8 (n, 1, 28, 28), 0 for background, and gives calibrated probabilities of the labels that its
    metadata name. What is neither pruned nor made int8 is written only if it says the same.
    """
    from tagger.cli.printing import print_exported
    from tagger.inference.export import export as write

    print_exported(write(ExportSettings(**options)))


def _recipe(context: click.Context, parameter: click.Parameter, value: str) -> RecipeName | Path:
    """Return a recipe's name, or the file that holds one."""
    for name in RECIPES:
        if value == name:
            return name
    if not os.path.isfile(value):  # unlike Path's, false for names that no file can have
        raise click.BadParameter(f"{value!r} is none of {', '.join(RECIPES)}, and no file.", context, parameter)
    return Path(value)


def _augment(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[Augmentation, ...] | None:
    """Return the ways to change pictures that stand in a list with commas; none of them for the word none."""
    named = [] if value in (None, "none") else [name.strip() for name in str(value).split(",")]
    for name in named:
        if name not in AUGMENTATIONS:
            raise click.BadParameter(f"{name!r} is none of {', '.join(AUGMENTATIONS)}.", context, parameter)
    return None if value is None else tuple(way for way in AUGMENTATIONS if way in named)


@cli.command()
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder of the new bundle.")
@click.option("--name", help="The bundle's name.  [default: that of its folder]")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    metavar="SOURCE",
    help="Folder of Fashion-MNIST's four files; or labelled photos, a table or a folder with a subfolder a class.",
)
@click.option("--mix", type=click.Choice(MIXES), default=Recipe.mix, show_default=True, help="What is learnt.")
@click.option("--network", type=click.Choice(NETWORKS), help="Shape to train.  [default: base]")
@click.option(
    "--recipe",
    callback=_recipe,
    default="modern",
    show_default=True,
    metavar="modern|original|FILE.json",
    help="How: as we do, as the project does that the network comes from, or by a file that `fmtag tune` wrote.",
)
@click.option("--lr", type=_Finite(0, 1, min_open=True), help="Peak learning rate; Muon's goes along.  [default: the recipe's]")
@click.option(
    "--from",
    "--start",
    "start",
    metavar="MODEL",
    help="Bundle whose weights training begins with.  [default for the mix: residual, for labelled photos: catalog]",
)
@click.option(
    "--pretrained",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Weights of torchvision to begin with, for the networks that are its own.",
)
@with_teachers
@click.option(
    "--photos",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="Folder of labelled photos for the mix of catalog, such as the clothing dataset (CC0-1.0).",
)
@click.option(
    "--calibrated-by",
    metavar="MODEL",
    help="Learn all 60,000 images; temperature and thresholds are those of a bundle of the same recipe that held some out.",
)
@click.option("--epochs", type=click.IntRange(1, MOST_EPOCHS), help="Passes over the images.  [default: those of the recipe]")
@click.option("--batch-size", type=click.IntRange(2, 65536), help="Images a step.  [default: those of the recipe]")
@click.option(
    "--seed", type=click.IntRange(0, MOST_SEED), help=f"Start of all chance.  [default: {Recipe.seed}, or the recipe file's]"
)
@click.option(
    "--augment",
    callback=_augment,
    metavar="WAY,...",
    help=f"What becomes of pictures: {', '.join(AUGMENTATIONS)}, or none.  [default: the recipe's]",
)
@click.option(
    "--ensemble",
    type=click.IntRange(1, MAX_ENSEMBLE_MEMBERS),
    metavar="N",
    help="Train N networks, each with the next seed, and make one bundle of them; it costs N times as much, and tags so too.  "
    "[default: 1, or the recipe file's]",
)
@click.option(
    "--class-weights/--no-class-weights",
    default=None,
    help="Let rare classes weigh as much as frequent ones.  [default: for labelled photos]",
)
@click.option(
    "--patience",
    type=click.IntRange(1, MOST_EPOCHS),
    metavar="N",
    help="End when N epochs brought no lower held-out loss, with the best.",
)
@click.option(
    "--floor",
    type=_Finite(0, 1),
    help="Least held-out accuracy.  [default: 0.9, by an original recipe 0.8, for labelled photos 0]",
)
@click.option(
    "--tolerance",
    type=_Finite(0, 1),
    default=TrainSettings.tolerance,
    show_default=True,
    help="Share of a class that may be right less often than by the bundle that is in the folder.",
)
@click.option("--force", is_flag=True, help="Replace the bundle in the folder though the new one may be worse.")
@click.option("--resume", is_flag=True, help="Go on from the checkpoint in the folder.")
@with_image_column
@click.option("--label-column", help="Column of a table that holds the labels.  [default: told by its name]")
@with_training_device
@with_workers
@with_debug
@click.pass_obj
def retrain(asked: dict[str, Any], /, **options: Any) -> None:
    """Train a network on Fashion-MNIST, on the mix for photos, or on labelled photos of your own, and write it as a bundle.

    The bundle is calibrated on what was held out and measured on what nothing has seen before; metrics.json, history.csv and
    report/report.html lie beside it. It replaces another one in the folder only if it is no worse.
    """
    from tagger.cli.printing import print_epoch, print_retrained
    from tagger.cli.progress import progress_bar
    from tagger.cli.retrain_options import RetrainOptions, resolve
    from tagger.cli.terminal import say
    from tagger.evaluation.evaluate import evaluate as judge
    from tagger.evaluation.evaluate import evaluate_test_set
    from tagger.evaluation.html_report import html_report
    from tagger.files import write_folder
    from tagger.models.bundle_name import check_name
    from tagger.models.history import history
    from tagger.models.side_files import REPORT, REPORT_FILE, TEST
    from tagger.training.finetune import finetune, load_photos_to_learn
    from tagger.training.pretrain import pretrain as make
    from tagger.training.publish import check_output_paths_of

    given = RetrainOptions(**options)
    settings = resolve(given)

    check_name(settings.name or settings.out.resolve().name)
    place, out = settings.out / REPORT, settings.out
    check_output_paths_of(settings, given.recipe if isinstance(given.recipe, Path) else None)
    if given.own:
        with progress_bar("photos") as progress:
            photos_read = load_photos_to_learn(settings, progress)
        made = finetune(settings, photos_read, print_epoch, partial(say, err=True))
        evaluation = judge(EvaluateSettings((str(settings.out / TEST),), model=out, workers=settings.workers))
    else:
        made = make(settings, print_epoch, partial(say, err=True))
        evaluation = evaluate_test_set(EvaluateSettings((), model=out, data=settings.data))
    write_folder(place, html_report(evaluation, history(out), asked["command"]))
    print_retrained(made, place / REPORT_FILE)


@cli.command()
@click.option("--out", type=FILE, required=True, metavar="FILE.json", help="Recipe file to write.")
@click.option("--network", type=click.Choice(NETWORKS), default=TuneSettings.network, show_default=True, help="Shape to train.")
@click.option(
    "--trials",
    type=click.IntRange(1, 1_000_000),
    default=TuneSettings.trials,
    show_default=True,
    help="Trials in all, earlier ones too.",
)
@click.option(
    "--epochs",
    type=click.IntRange(1, MOST_EPOCHS),
    default=TuneSettings.epochs,
    show_default=True,
    help="Passes over the images, a trial.",
)
@click.option(
    "--images",
    type=click.IntRange(1_000, 55_000),
    default=TuneSettings.images,
    show_default=True,
    help="Training images of a trial, the same ones in all, chosen by the seed.",
)
@click.option("--seed", type=click.IntRange(0, MOST_SEED), default=TuneSettings.seed, show_default=True, help="Of all chance.")
@with_teachers
@click.option("--study", type=FILE, metavar="FILE.sqlite", help="The trials.  [default: beside --out, named like it]")
@click.option("--data", type=click.Path(path_type=Path), metavar="DIR", help="Folder of Fashion-MNIST's four files.")
@with_debug
def tune(**options: Any) -> int:
    """Search for a better recipe by short trials, and write the best as a file for `fmtag retrain --recipe`.

    The defaults are for two cores: a small network, few epochs, a third of the images. Learning rates,
    weight decay, batch size, shifts, mirroring, cutout, label smoothing and what teachers say are searched; 5,000 held-out
    training images judge, and the test set is never opened. The same command, given again, goes on with the study. Exit code 4:
    another search has it.
    """
    from tagger.cli.printing import print_trial, print_tuned
    from tagger.cli.terminal import say
    from tagger.signals import SignalGuard
    from tagger.training.tune import tune as search

    settings = TuneSettings(**options)
    try:
        with SignalGuard().listening():
            found = search(
                settings,
                lambda done, best: print_trial(done, best, settings.trials),
                partial(say, err=True),
            )
    except Interrupted as stop:
        click.echo("Interrupted; the trials that have ended are kept, and the same command goes on after them.", err=True)
        return EXIT_SIGNAL + stop.signal
    print_tuned(found, settings.out)
    return 0


def with_catalog(command: Command) -> Command:
    """Add what the commands that look at a whole catalog share."""
    options = [
        click.argument("catalog"),
        click.option(
            "--from", "start", default=DEFAULT_MODEL, show_default=True, metavar="MODEL", help="Bundle to begin with."
        ),
        *READING,
    ]
    for option in reversed(options):
        command = option(command)
    return command


@cli.command()
@click.option("--out", required=True, metavar="NAME", help="Name of the new bundle among your own, or a folder.")
@click.option(
    "--labels", metavar="TABLE", help="Labelled photos: a table, a folder with a subfolder a class, a corrected output of run."
)
@click.option("--label-column", help="Column of the table that holds the labels.  [default: told by its name]")
@click.option(
    "--other-labels",
    type=click.Choice(OTHER_LABELS),
    help="What becomes of the bundle's labels that the table does not name.  [default: keep, if it names some of them]",
)
@click.option("--deep", is_flag=True, help="Let the network learn too: slower, for some hundreds of labels.")
@click.option("--force", is_flag=True, help="Write the bundle even if it is less right, or learnt from too little.")
@with_catalog
def adapt(out: str, **options: Any) -> None:
    """Learn a shop from the photos of CATALOG, with labels for some of them or without, and write a bundle.

    The catalog is anything that `run` takes. Labels may be the bundle's, or any others, and `-` is for photos of none of
    them. What was gained is said, by cross-validation over whole products, before anything is replaced.
    """
    from tagger.adaptation.adapt import adapt as learn
    from tagger.cli.printing import print_adapted
    from tagger.cli.progress import progress_bar
    from tagger.models import card

    folder = card.bundle_folder(out)
    with progress_bar("photos") as progress:
        adapted = learn(AdaptSettings(out=str(folder), **options), progress)
    print_adapted(adapted, out)


@cli.command()
@click.option("--count", type=click.IntRange(1, 10_000), default=100, show_default=True, help="Photos to pick.")
@click.option("--out", required=True, help="Table to fill in (.csv .json .jsonl .parquet), or - for stdout.")
@with_catalog
def pick(count: int, out: str, **options: Any) -> None:
    """Pick the photos of CATALOG that are most worth a label: doubtful, varied, none twice.

    Fill the column `label` of the table in and give it to `adapt --labels`. A row left empty is passed over.
    """
    from tagger.adaptation.active_learning import write_picks
    from tagger.cli.progress import progress_bar
    from tagger.cli.terminal import say

    with progress_bar("photos") as progress:
        picked, total = write_picks(AdaptSettings(out=out, **options), count, progress)
    say(f"{picked} of {total:,} photos to label. Written to {out}.", err=True)


@cli.group(invoke_without_command=True)
@click.pass_context
def models(context: click.Context) -> None:
    """List the bundles at hand, shipped and your own; `models show NAME` prints a card, `models default NAME` sets one."""
    if context.invoked_subcommand is None:
        from tagger.cli.printing import print_models
        from tagger.cli.terminal import say
        from tagger.errors import BundleError
        from tagger.models import registry
        from tagger.models.registry import default_model

        shipped, own = registry.shipped_bundles(), registry.user_bundles()
        try:
            chosen = default_model()
        except BundleError as error:  # the bundles that there are can be listed all the same, to choose another
            say(f"Warning: {error}", err=True)
            chosen = ""
        print_models(shipped, own, chosen)


@models.command()
@click.argument("name")
@with_debug
def default(name: str) -> None:
    """Let the bundle NAME tag wherever none is named."""
    from tagger.cli.terminal import say
    from tagger.models import bundle

    say(f"{bundle.set_default_model(name).model} tags from now on where no --model is given.", err=True)


@models.command()
@click.argument("name")
@with_debug
def show(name: str) -> None:
    """Print the card and the layers of the bundle NAME, with what each puts out and costs."""
    from tagger.cli.printing import print_layers
    from tagger.models import bundle
    from tagger.models.card import card_as_json

    loaded = bundle.load(name)
    click.echo(for_json(json.dumps({"model": loaded.model, **card_as_json(loaded.card)}, indent=2, ensure_ascii=False)))
    print_layers(loaded.network())
