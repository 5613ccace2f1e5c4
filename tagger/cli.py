"""The command line: parse, build one settings object, call one function, print, exit.

Every import that pulls torch, torchvision or pandas in stands inside a command, so that `fmtag --help` answers at once.
"""

import difflib
import json
import shlex
import sys
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from tagger.errors import ConfigurationError, FmtagError, Interrupted
from tagger.settings import (
    AUGMENTATIONS,
    DEFAULT_MODEL,
    DEVICES,
    FORMATS,
    MIXES,
    MOST_MEMBERS,
    NETWORKS,
    ONLY,
    OTHER_LABELS,
    RECIPES,
    RUNTIMES,
    TRAINING_DEVICES,
    AdaptSettings,
    Augmentation,
    CompareSettings,
    EvaluateSettings,
    ExportSettings,
    Format,
    Recipe,
    RecipeName,
    RunSettings,
    TrainSettings,
    TuneSettings,
)

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CONFIGURATION = "fmtag.toml"
"""Looked for in the working folder; flags and the environment overrule it."""

EXIT_FAILED_PHOTOS = 3
EXIT_INTERRUPTED = 130
EXIT_SIGNAL = 128
"""Shells add a signal's number to this."""

FILE_SUFFIXES = frozenset(
    ".bmp .csv .doc .docx .gif .htm .html .jpeg .jpg .json .jsonl .markdown .odt .parquet .pdf .png .rst .svg .tex .tsv .txt "
    ".webp .xhtml .xls .xlsx .xml .yaml .yml .zip".split()
)
"""What no folder for a report is likely to be named by, while one like run-0.2 is."""

FILE = click.Path(dir_okay=False, path_type=Path)

Command = TypeVar("Command", bound=Callable[..., Any])
Known = TypeVar("Known")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit code; an `FmtagError` is one sentence and exit 1."""
    command = shlex.join(["fmtag", *(sys.argv[1:] if arguments is None else arguments)])
    asked: dict[str, Any] = {"debug": False, "log_format": "text", "command": command}
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"PIL\.")  # what is wrong with a photo stands in its own row
            code = cli.main(
                arguments,
                "fmtag",
                standalone_mode=False,
                auto_envvar_prefix="FMTAG",
                default_map=_configured(Path(CONFIGURATION)),
                obj=asked,
            )
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted; the output is as it was before.", err=True)
        code = EXIT_INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()  # whoever read our output has left; there is nobody to tell
        code = 1
    except FmtagError as error:
        if asked["debug"]:
            traceback.print_exc()
        as_json = asked["log_format"] == "json"
        click.echo(json.dumps({"event": "error", "message": str(error)}) if as_json else f"Error: {error}", err=True)
        code = error.exit_code
    sys.exit(code)


def _configured(path: Path) -> dict[str, dict[str, Any]]:
    """Return the defaults that the file `path` gives, by command and parameter; none where there is no file.

    Its tables are named like the commands, its keys like the long options: `[run]` and then `top-k = 3`.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path} cannot be read as TOML ({error}); mend or remove it.") from error
    defaults: dict[str, dict[str, Any]] = {}
    for command, values in tables.items():
        known = {
            option[2:]: parameter.name for parameter in _known(command, cli.commands, path).params for option in parameter.opts
        }
        if not isinstance(values, dict):
            raise ConfigurationError(f"{path}: {command} must be a table; write [{command}] above its options.")
        defaults[command] = {str(_known(name.replace("_", "-"), known, path)): value for name, value in values.items()}
    return defaults


def _known(name: str, among: Mapping[str, Known], path: Path) -> Known:
    if name in among:
        return among[name]
    near = difflib.get_close_matches(name, among, 1)
    hint = f"; did you mean {near[0]!r}?" if near else f"; there are: {', '.join(among)}."
    raise ConfigurationError(f"{path} names {name!r}, which there is not{hint}")


class _Finite(click.FloatRange):
    """A number within a range; `nan` lies in every range by click's comparison, and in none by ours."""

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Any:
        number = super().convert(value, parameter, context)
        if number != number:
            self.fail("nan is no number.", parameter, context)
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
    from tagger import card

    return card.default_model()


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
    type=click.IntRange(1),
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
    from tagger import pipeline
    from tagger.progress import LogFormat, Progress
    from tagger.run_report import reported
    from tagger.stopping import Stopping

    settings = RunSettings(format=format_, **options)
    report, stopping = pipeline.Report(), Stopping()
    with Progress(cast(LogFormat, log_format), quiet) as progress:
        watcher = pipeline.Watcher(
            ignored=progress.ignored if list_ignored else lambda path, why: None,
            started=lambda report: progress.started(report, settings.source, settings.out),
            warned=progress.warned,
            failed=progress.failed,
            looked=progress.looked,
            finishing=stopping.finishing,
            ending=stopping.ending,
        )
        try:
            with stopping.listening(), reported(settings, report):
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
    from tagger import explain as explaining

    known = explaining.explain(path, ledger)
    text = json.dumps(known, indent=2, ensure_ascii=False) if as_json else explaining.as_text(known)
    click.echo(text.encode("utf-8", "backslashreplace"))


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
    from tagger import card
    from tagger.contact_sheet import contact_sheet
    from tagger.evaluate import evaluate as judge
    from tagger.evaluate import figures_of
    from tagger.html_report import html_report
    from tagger.labelled import place_of
    from tagger.output import check_folder, check_places, write_file, write_folder, write_json
    from tagger.photo_report import photo_report
    from tagger.report import print_figures

    settings = EvaluateSettings(sources, **options)
    markdown = report if report is not None and _is_markdown(report) else None
    check_places({"--out": out, "--report": markdown, "--sheet": sheet}, map(place_of, sources))
    folder = None if markdown is not None else report
    history: list[card.Epoch] = []
    if folder is not None:  # what is wrong with it is said before minutes of measuring
        check_folder(folder)
        history = card.history(settings.model)
    evaluation = judge(settings)
    figures = figures_of(evaluation)
    if folder is not None:
        write_folder(folder, html_report(evaluation, history, asked["command"]))
    elif markdown is not None:
        write_file(markdown, photo_report(evaluation, asked["command"]).encode("utf-8", "backslashreplace"))
    if sheet is not None:
        write_file(sheet, contact_sheet(evaluation))
    print_figures(figures)
    if out is not None:
        write_json(out, figures)


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
    from tagger import compare_report
    from tagger.charts import costs
    from tagger.compare import compare as measure
    from tagger.output import write_file
    from tagger.report import print_comparison

    if out is not None and out.suffix not in (".csv", ".json"):
        raise click.UsageError(f"{out} ends neither in .csv nor in .json; give one of these to --out.")
    comparison = measure(CompareSettings(models, data))
    print_comparison(comparison)
    if out is not None:
        write_file(out, compare_report.as_csv(comparison) if out.suffix == ".csv" else compare_report.as_json(comparison))
    if report is not None:
        text = compare_report.markdown(comparison, asked["command"])
        write_file(report, text.encode("utf-8", "backslashreplace"))
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
    from tagger.export import export as write
    from tagger.report import print_exported

    print_exported(write(ExportSettings(**options)))


def _recipe(context: click.Context, parameter: click.Parameter, value: str) -> RecipeName | Path:
    """Return a recipe's name, or the file that holds one."""
    for name in RECIPES:
        if value == name:
            return name
    if not Path(value).is_file():
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
@click.option("--epochs", type=click.IntRange(1), help="Passes over the images.  [default: those of the recipe]")
@click.option("--batch-size", type=click.IntRange(2), help="Images a step.  [default: those of the recipe]")
@click.option("--seed", type=click.IntRange(0), help=f"Start of all chance.  [default: {Recipe.seed}, or the recipe file's]")
@click.option(
    "--augment",
    callback=_augment,
    metavar="WAY,...",
    help=f"What becomes of pictures: {', '.join(AUGMENTATIONS)}, or none.  [default: the recipe's]",
)
@click.option(
    "--ensemble",
    type=click.IntRange(1, MOST_MEMBERS),
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
    "--patience", type=click.IntRange(1), metavar="N", help="End when N epochs brought no lower held-out loss, with the best."
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
    from tagger.asked import Asked, settings_of
    from tagger.card import history
    from tagger.evaluate import evaluate as judge
    from tagger.evaluate import evaluate_test_set
    from tagger.finetune import TEST, collected, finetune
    from tagger.html_report import REPORT_FILE, html_report
    from tagger.output import check_folder, write_folder
    from tagger.progress import counting
    from tagger.report import print_epoch, print_retrained
    from tagger.retrain import retrain as make

    given = Asked(**options)
    settings = settings_of(given)

    def tell(text: str) -> None:
        click.echo(text, err=True)

    place, out = settings.out / "report", settings.out
    check_folder(place)  # said before hours of training
    if given.own:
        with counting("photos") as progress:
            photos_read = collected(settings, progress)
        made = finetune(settings, photos_read, print_epoch, tell)
        evaluation = judge(EvaluateSettings((str(settings.out / TEST),), model=out, workers=settings.workers))
    else:
        made = make(settings, print_epoch, tell)
        evaluation = evaluate_test_set(EvaluateSettings((), model=out, data=settings.data))
    write_folder(place, html_report(evaluation, history(out), asked["command"]))
    print_retrained(made, place / REPORT_FILE)


@cli.command()
@click.option("--out", type=FILE, required=True, metavar="FILE.json", help="Recipe file to write.")
@click.option("--network", type=click.Choice(NETWORKS), default=TuneSettings.network, show_default=True, help="Shape to train.")
@click.option(
    "--trials", type=click.IntRange(1), default=TuneSettings.trials, show_default=True, help="Trials in all, earlier ones too."
)
@click.option(
    "--epochs", type=click.IntRange(1), default=TuneSettings.epochs, show_default=True, help="Passes over the images, a trial."
)
@click.option(
    "--images",
    type=click.IntRange(1_000, 55_000),
    default=TuneSettings.images,
    show_default=True,
    help="Training images of a trial, the same ones in all, chosen by the seed.",
)
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=TuneSettings.seed, show_default=True, help="Of all chance.")
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
    from tagger.report import print_trial, print_tuned
    from tagger.stopping import Stopping
    from tagger.tune import tune as search

    settings = TuneSettings(**options)
    try:
        with Stopping().listening():
            found = search(
                settings,
                lambda done, best: print_trial(done, best, settings.trials),
                lambda text: click.echo(text, err=True),
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
    from tagger import card
    from tagger.adapt import adapt as learn
    from tagger.progress import counting
    from tagger.report import print_adapted

    folder = card.place_for(out)
    with counting("photos") as progress:
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
    from tagger.adapt import write_picks
    from tagger.progress import counting

    with counting("photos") as progress:
        picked, total = write_picks(AdaptSettings(out=out, **options), count, progress)
    click.echo(f"{picked} of {total:,} photos to label. Written to {out}.", err=True)


@cli.group(invoke_without_command=True)
@click.pass_context
def models(context: click.Context) -> None:
    """List the bundles at hand, shipped and your own; `models show NAME` prints a card, `models default NAME` sets one."""
    if context.invoked_subcommand is None:
        from tagger import card
        from tagger.report import print_models

        print_models(card.shipped(), card.own(), card.default_model())


@models.command()
@click.argument("name")
@with_debug
def default(name: str) -> None:
    """Let the bundle NAME tag wherever none is named."""
    from tagger import bundle

    click.echo(f"{bundle.set_default_model(name).model} tags from now on where no --model is given.", err=True)


@models.command()
@click.argument("name")
@with_debug
def show(name: str) -> None:
    """Print the card and the layers of the bundle NAME, with what each puts out and costs."""
    from dataclasses import asdict

    from tagger import bundle
    from tagger.report import print_layers

    loaded = bundle.load(name)
    click.echo(json.dumps({"model": loaded.model, **asdict(loaded.card)}, indent=2, ensure_ascii=False))
    print_layers(loaded.network())
