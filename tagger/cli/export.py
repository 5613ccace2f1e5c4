"""`fmtag export`: write a bundle for other runtimes."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich import box
from rich.table import Table
from rich.text import Text

from tagger.cli.options import OUTPUT_FILE, Finite, option, with_debug, with_fashion_mnist
from tagger.cli.terminal import Terminal, results_console
from tagger.inference.settings import RUNTIMES, ExportSettings

if TYPE_CHECKING:
    from tagger.inference.export import ExportCheck


@click.command()
@click.argument("model")
@option("--to", type=click.Choice(RUNTIMES), required=True, help="Format: ONNX, or torch.export for PyTorch alone.")
@option("--out", type=OUTPUT_FILE, required=True, metavar="FILE", help="File to write.")
@option("--int8", is_flag=True, help="Quantise weights and activations to int8 (ONNX).")
@option(
    "--prune",
    type=Finite(0, 1, max_open=True),
    default=0.0,
    metavar="SHARE",
    help="Set this share of the weights, the smallest, to zero.",
)
@with_fashion_mnist
@with_debug
def export(out: Path, **options: Any) -> None:
    """Write the bundle MODEL as one ONNX or torch.export file, and check it on 1,000 images against the bundle.

    The file maps images, uint8 (n, 1, 28, 28) with 0 for the background, to calibrated probabilities; its metadata name the
    labels. Without --int8 and --prune it is written only if all tags are the same.
    """
    from tagger.inference.export import export as write

    print_exported(write(ExportSettings(out=out, **options)), results_console([out]))


def print_exported(rows: "Sequence[ExportCheck]", console: Terminal | None = None) -> None:
    """Print size, speed and accuracy of a bundle and of the exported file, on the images that it was checked on."""
    from tagger.inference.export import CHECKED_IMAGES

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1))
    table.add_column("", overflow="fold")
    for title in ("kB", "zipped", "images/s", "accuracy", f"same tags\nof {CHECKED_IMAGES:,}", "greatest\ndifference"):
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
    (console or Terminal()).print(table)
