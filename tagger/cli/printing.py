"""Figures as a person reads them on a terminal, and as a file."""

import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text
from tqdm import tqdm

from tagger.adaptation.adapt import AdaptationResult
from tagger.cli.terminal import Terminal, say
from tagger.errors import BundleError
from tagger.evaluation.compare import Comparison
from tagger.evaluation.comparison_report import TITLES, cell
from tagger.inference.export import CHECKED_IMAGES, ExportCheck
from tagger.metrics.significance import Interval
from tagger.models import bundle
from tagger.models.card import Card
from tagger.models.network import Network
from tagger.models.summary import count_parameters, layers
from tagger.training.history import EpochMetrics
from tagger.training.publish import TrainedBundle
from tagger.training.tune import StudyResult, TrialMetrics

SIGNIFICANCE_LEVEL = 0.05
"""Differences that chance brings about less often than this are named."""

LISTED_SUSPECTS = 20
"""Likely wrong labels that a terminal can bear."""


COMPARED = (
    "accuracy",
    "macro_f1",
    "calibration_error",
    "parameters",
    "macs",
    "bytes",
    "pictures_a_second_1",
    "pictures_a_second_256",
)
"""Columns that a terminal of 80 has room for."""


def print_metrics(metrics: dict[str, Any]) -> None:
    """Print what `evaluate.figures_of` returned: all figures of a single source, a row for each of several."""
    if "sources" in metrics:
        _print_sources(metrics["sources"])
    else:
        _print_source(metrics)


def _print_source(metrics: dict[str, Any]) -> None:
    """Print one summary, then a table each of classes, confusion, reliability, coverage."""
    console = Terminal()
    console.print(
        Text(f"accuracy {metrics['accuracy']:.4f}", "bold"),
        f"macro accuracy {metrics['macro_accuracy']:.4f}, calibration error {metrics['calibration_error']:.4f}, "
        f"n = {metrics['n']:,}, {metrics['model']}",
        sep=", ",
    )
    for line in _photo_lines(metrics):
        console.print(line)
    classes = Table("class", "n", "precision", "recall", "F1", title="By class")
    for label, row in metrics["per_class"].items():
        if row["n"]:
            classes.add_row(label, str(row["n"]), *(f"{row[key]:.3f}" for key in ("precision", "recall", "f1")))
    console.print(classes)
    console.print(_confusion_table(metrics["confusion"]))
    reliability = Table("confidence", "n", "mean confidence", "accuracy", title="Reliability")
    for row in metrics["reliability"]:
        band = f"{row['from']:.2f}-{row['to']:.2f}"
        reliability.add_row(band, str(row["n"]), f"{row['confidence']:.3f}", f"{row['accuracy']:.3f}")
    console.print(reliability)
    coverage = Table("surest", "n", "accuracy", "least confidence", title="Accuracy against coverage")
    for row in metrics["coverage"]:
        share = f"{row['coverage']:.0%}"
        coverage.add_row(share, str(row["n"]), f"{row['accuracy']:.4f}", f"{row['least_confidence']:.4f}")
    console.print(coverage)


def _confusion_table(confusion: dict[str, Any]) -> Table:
    """Return rows of true classes and columns of tags, narrow enough for a terminal of 80 columns."""
    short = [label[:5] for label in confusion["labels"]]
    untagged = ["none"] if any(confusion["without_tag"]) else []
    title = "Confusion: rows are true, columns tagged"
    table = Table("true", *short, *untagged, title=title, box=box.SIMPLE_HEAD, padding=(0, 0))
    for name, tagged, without in zip(short, confusion["counts"], confusion["without_tag"], strict=True):
        counts = [*tagged, without] if untagged else tagged
        if any(counts):
            table.add_row(name, *(str(count) if count else "." for count in counts))
    return table


def _photo_lines(metrics: dict[str, Any]) -> list[str]:
    accuracy = metrics["unflagged_accuracy"]
    sure = "none" if accuracy is None else f"{accuracy:.4f} right"
    lines = [
        f"group accuracy {metrics['group_accuracy']:.4f}; unflagged at {metrics['min_confidence']:.4f}: "
        f"{metrics['unflagged_share']:.1%}, {sure}; no product found: {metrics['not_recognised']}"
    ]
    clear = metrics.get("unambiguous", {"n": 0})
    if clear["n"]:
        lines.append(
            f"without loosely mapped kinds: accuracy {clear['accuracy']:.4f}, macro accuracy {clear['macro_accuracy']:.4f}, "
            f"n = {clear['n']:,}"
        )
    if metrics["failed"]:
        lines.append(f"left out, could not be read: {metrics['failed']}")
    if metrics["other_labels"]:
        total = sum(metrics["other_labels"].values())
        lines.append(
            f"left out, labels that the bundle does not know: {metrics['other_labels']}; "
            f"{metrics['other_labels_flagged']} of {total} flagged"
        )
    return lines


def _print_sources(sources: dict[str, dict[str, Any]]) -> None:
    """Print a row for each source, and one more without the loosely mapped photos where it holds some."""
    console = Terminal()
    console.print(next(iter(sources.values()))["model"])
    head = ("n", "macro\nacc.", "acc.", "group\nacc.", "calib.\nerror", "un-\nflagged", "these\nright", "others\nflagged")
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 0))
    table.add_column("source", overflow="fold")
    for name in head:
        table.add_column(Text(name), justify="right")
    for name, metrics in sources.items():
        table.add_row(name, *_source_cells(metrics))
        if "unambiguous" in metrics:
            table.add_row(f"{name}, unambiguous", *_source_cells(metrics["unambiguous"]))
    console.print(table)
    for name, metrics in sources.items():
        if metrics["failed"]:
            console.print(f"{name}: left out, could not be read: {metrics['failed']}")


def _source_cells(metrics: dict[str, Any]) -> list[str]:
    names = ("macro_accuracy", "accuracy", "group_accuracy", "calibration_error", "unflagged_share", "unflagged_accuracy")
    cells = ["-" if metrics.get(name) is None else f"{metrics[name]:.3f}" for name in names]
    others = sum(metrics["other_labels"].values())
    return [f"{metrics['n']:,}", *cells, f"{metrics['other_labels_flagged'] / others:.3f}" if others else "-"]


def print_comparison(comparison: Comparison) -> None:
    """Print a row a family of bundles, and the differences that are hardly chance."""
    console = Terminal()
    rows = comparison.rows()
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 0))
    table.add_column("bundle", overflow="fold")
    for key in COMPARED:
        table.add_column(Text(TITLES[key].replace(" ", "\n")), justify="right")
    for row in rows:
        table.add_row(row["name"], *(cell(row, key) for key in COMPARED))
    console.print(table)
    for row in comparison.differences():
        if row["p"] < SIGNIFICANCE_LEVEL:
            first_wins = row["only_first_right"] > row["only_second_right"]
            better, worse = (row["first"], row["second"]) if first_wins else (row["second"], row["first"])
            console.print(f"{better} is better than {worse}: p = {row['p']:.2g} (McNemar, exact)", highlight=False)


def print_exported(rows: Sequence[ExportCheck]) -> None:
    """Print how a bundle and the file that was made of it do on the pictures that it was checked on."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1))
    table.add_column("", overflow="fold")
    for title in ("kB", "zipped", "pict./s", "accuracy", f"same tags\nof {CHECKED_IMAGES:,}", "greatest\ndifference"):
        table.add_column(Text(title), justify="right")
    for row in rows:
        table.add_row(
            row.name,
            *(f"{size / 1000:,.0f}" for size in (row.size, row.compressed)),
            f"{row.images_per_second:,.0f}",
            f"{row.accuracy:.4f}",
            f"{row.same_tags:,}",
            f"{row.difference:.1e}",
        )
    Terminal().print(table)


def print_layers(network: Network) -> None:
    """Print a row a layer: what one picture is after it, its parameters and its multiply-accumulates; then their sums."""
    table = Table("layer", "kind", box=box.SIMPLE_HEAD, padding=(0, 1))
    for title in ("output", "parameters", "MACs"):
        table.add_column(title, justify="right")
    every = layers(network)
    for layer in every:
        shape = "x".join(map(str, layer.output))
        table.add_row(layer.name, layer.kind, shape, _count(layer.parameters), _count(layer.macs))
    table.add_section()
    table.add_row("all", "", "", f"{count_parameters(network):,}", f"{sum(layer.macs for layer in every):,}")
    Terminal().print(table)


def _count(value: int) -> str:
    return f"{value:,}" if value else "-"


def print_adapted(adapted: AdaptationResult, out: str) -> None:
    """Print what a shop has taught: by class with 95 % intervals, likely wrong labels, and all that was odd."""
    console = Terminal()
    for sentence in adapted.notes:
        console.print(sentence, highlight=False)
    if adapted.gains:
        table = Table("label", "n", "right before", "right after", title="Cross-validated over products", box=box.SIMPLE_HEAD)
        for gain in adapted.gains:
            table.add_row(gain.label, str(gain.n), *map(_interval, (gain.before, gain.after)))
        console.print(table)
    if adapted.suspects:
        table = Table("photo", "label", "likely", "probability", title="Labels that are likely wrong", box=box.SIMPLE_HEAD)
        for suspect in adapted.suspects[:LISTED_SUSPECTS]:
            table.add_row(suspect.path, suspect.label, suspect.predicted, f"{suspect.confidence:.2f}")
        console.print(table)
        if len(adapted.suspects) > LISTED_SUSPECTS:
            console.print(f"... and {len(adapted.suspects) - LISTED_SUSPECTS} more.")
    if adapted.written is not None:
        say(
            f"{adapted.photos:,} photos, {adapted.labelled:,} labelled; {adapted.changed:.1%} of the tags change. "
            f"{adapted.written.model}: fmtag run ... --model {out}",
            err=True,
        )


def _interval(interval: Interval) -> str:
    share, low, high = interval
    return f"{share:.3f} ({low:.3f}-{high:.3f})"


def print_models(shipped: Iterable[Path], own: Iterable[Path], default: str) -> None:
    """Print a line for each bundle: its model, where it comes from, and which one is the default."""
    for origin, folders in (("shipped", shipped), ("own", own)):
        for folder in folders:
            try:
                loaded = bundle.load(folder)
            except BundleError as error:
                say(f"{folder.name}  {error}")
                continue
            mark = "  default" if folder.name == default or str(folder.resolve()) == default else ""
            say(f"{loaded.model}  {origin}, {_origin(loaded.card)}{mark}")


def _origin(card: Card) -> str:
    if card.parent:
        gained = card.metrics.get("cross_validated", {}).get("all")
        found = f", {gained['after']:.3f} right of {gained['n']} labelled photos" if gained else ", without labels"
        return f"taught by a shop from {card.parent}{found}"
    return f"Fashion-MNIST test accuracy {card.metrics.get('test', {}).get('accuracy')}"


def print_epoch(metrics: EpochMetrics) -> None:
    """Print one line on standard error."""
    left = tqdm.format_interval(metrics.seconds_left)
    held_out = "" if metrics.held_out_accuracy is None else f"held-out accuracy {metrics.held_out_accuracy:.4f}  "
    Terminal(stderr=True, highlight=False).print(
        f"epoch {metrics.epoch}/{metrics.epochs}  loss {metrics.loss:.4f}  {held_out}{metrics.seconds:.0f} s, {left} left"
    )


def print_retrained(retrained: TrainedBundle, report: Path | None = None) -> None:
    """Print the figures of a new bundle and its name, and where its report lies."""
    metrics = retrained.bundle.card.metrics
    for part in (name for name in ("held_out", "test") if name in metrics):
        row = metrics[part]
        say(f"{part:9} accuracy {row['accuracy']:.4f}, calibration error {row['calibration_error']:.4f}, n = {row['n']:,}")
    say(f"{retrained.bundle.model}: {metrics['parameters']:,} parameters, {metrics['macs']:,} MACs")
    if report is not None:
        say(f"report: {report}")


def print_trial(done: TrialMetrics, best: TrialMetrics, trials: int) -> None:
    """Print one line on standard error: a trial that has ended, and the best so far."""
    metrics = "" if done.loss is None else f"loss {done.loss:.4f}  accuracy {done.accuracy:.4f}  "
    early = f"  ended after epoch {done.epochs}: {done.why}" if done.why else ""
    own = "  the recipe as it stands" if done.number == 1 else ""
    say(
        f"trial {done.number}/{trials}  {metrics}{done.seconds:.0f} s  best {best.loss:.4f} (trial {best.number}){early}{own}",
        err=True,
    )


def print_tuned(found: StudyResult, out: Path) -> None:
    """Print the best of a study, how much better it is than the recipe as it stands, and the command that trains with it."""
    best, first = found.best, found.first
    say(
        f"best of {found.trials}: trial {best.number}, held-out loss {best.loss:.4f}, accuracy {best.accuracy:.4f}, "
        f"n = {found.held_out:,}"
    )
    if best.number == first.number:
        say("That is the recipe as it stands: no trial was better.")
    else:
        less, more = (first.loss or 0) - (best.loss or 0), (best.accuracy or 0) - (first.accuracy or 0)
        say(
            f"The recipe as it stands: {first.loss:.4f}, {first.accuracy:.4f}. "
            f"The loss is {less:.4f} lower, the accuracy {more:+.4f}."
        )
    command = shlex.join(["fmtag", "retrain", "--recipe", str(out), "--out", f"my-{found.recipe.network}"])
    say(f"Train by it, in {found.recipe.epochs} epochs: {command}")
