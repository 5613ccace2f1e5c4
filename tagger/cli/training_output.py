"""Print the progress and the result of a training, and write its report."""

from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from tagger.cli.terminal import Terminal, say

if TYPE_CHECKING:
    from tagger.evaluation.evaluate import Evaluation
    from tagger.training.history import EpochMetrics
    from tagger.training.publish import TrainedBundle


def print_epoch(metrics: "EpochMetrics") -> None:
    """Print one line per epoch on standard error."""
    left = tqdm.format_interval(metrics.seconds_left)
    held_out = "" if metrics.held_out_accuracy is None else f"held-out accuracy {metrics.held_out_accuracy:.4f}  "
    Terminal(stderr=True, highlight=False).print(
        f"epoch {metrics.epoch}/{metrics.epochs}  loss {metrics.loss:.4f}  {held_out}{metrics.seconds:.0f} s, {left} left"
    )


def print_trained(trained: "TrainedBundle", report: Path | None = None) -> None:
    """Print the metrics of a new bundle and its name, and where its report lies."""
    metrics = trained.bundle.card.metrics
    for part in (name for name in ("held_out", "test") if name in metrics):
        row = metrics[part]
        say(f"{part:9} accuracy {row['accuracy']:.4f}, calibration error {row['calibration_error']:.4f}, n = {row['n']:,}")
    say(f"{trained.bundle.model}: {metrics['parameters']:,} parameters, {metrics['macs']:,} MACs")
    if report is not None:
        say(f"report: {report}")


def report_training(trained: "TrainedBundle", out: Path, evaluation: "Evaluation", command: str) -> None:
    """Write the HTML report of a new bundle into its folder `out`, and print its metrics."""
    from tagger.evaluation.html_report import html_report
    from tagger.files import write_folder
    from tagger.models.history import history
    from tagger.models.side_files import REPORT, REPORT_FILE

    folder = out / REPORT
    write_folder(folder, html_report(evaluation, history(out), command))
    print_trained(trained, folder / REPORT_FILE)
