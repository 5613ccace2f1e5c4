"""Charts of metrics as PNGs: pure functions, the same bytes for the same metrics.

They suit print and colour-blind readers: shades of grey, with markers and line styles in place of colours.
"""

import io
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from tagger.arrays import Classes, Floats, Pixels
from tagger.escaping import for_chart
from tagger.models.history import Epoch

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 150

MOST_CLASSES = 60
"""Classes on a chart at most."""

SIDE = 128
"""Pixels of a thumbnail's longer side at most."""

_WIDTH = 7.2
"""Inches: the width of A4 between its margins, so that text is printed in its size here."""

_NUMBERED_CLASSES = 12
"""Classes up to which the cells of a confusion matrix hold numbers."""

_CLASSES_PER_COLUMN = 30

_LONGEST = 22
"""Characters of a label on a chart at most."""

_STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",  # it comes with matplotlib, so that every machine draws the same
    "font.size": 9,
    "axes.titlesize": 10,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "0.85",
    "text.parse_math": False,  # a $ in a label is a $
}


def training(history: Sequence[Epoch]) -> bytes:
    """Return a chart of the loss and, where measured, the held-out loss and accuracy by epoch; at least one epoch is needed."""
    epochs = [row.epoch for row in history]
    held_out = any(row.held_out_accuracy is not None for row in history)

    def draw(figure: "Figure") -> None:
        rows = np.atleast_1d(figure.subplots(1 + held_out, 1, sharex=True))
        rows[0].plot(epochs, [row.loss for row in history], "-o", color="black", markersize=4, label="training")
        losses = [np.nan if row.held_out_loss is None else row.held_out_loss for row in history]
        if not np.isnan(losses).all():
            rows[0].plot(epochs, losses, "--s", color="0.35", markerfacecolor="white", markersize=4, label="held out")
        rows[0].set(ylabel="loss")
        rows[0].legend()
        if held_out:
            shares = [np.nan if row.held_out_accuracy is None else 100 * row.held_out_accuracy for row in history]
            rows[1].plot(epochs, shares, "--s", color="0.35", markerfacecolor="white", markersize=4)
            rows[1].set(ylabel="held-out accuracy, %")
        rows[-1].set(xlabel="epoch")
        rows[-1].xaxis.get_major_locator().set_params(integer=True)

    return _png(draw, _WIDTH, 2.6 + 2 * held_out)


def confusion(counts: Classes, totals: Classes, labels: Sequence[str], others: Sequence[str] = ()) -> bytes:
    """Return a confusion matrix, each row shaded by its shares, with numbers for up to 12 classes.

    `counts` (classes, classes + others) has true classes down and predictions across. `totals` (classes,) are the images of
    each true class, in the matrix or not. `labels` name the classes, and `others` further predictions, such as no tag.
    """
    shares = counts / np.maximum(totals, 1)[:, None]
    names, columns = [_short(label) for label in labels], [_short(label) for label in (*labels, *others)]
    numbered = len(names) <= _NUMBERED_CLASSES
    cell = 0.47 if numbered else max(0.14, 5.5 / len(names))
    margin = 0.5 + 0.07 * max(map(len, columns))

    def draw(figure: "Figure") -> None:
        from matplotlib.colors import PowerNorm

        axes = figure.subplots()
        # The square root makes rare predictions visible beside the frequent ones.
        drawn = axes.imshow(shares, cmap="Greys", norm=PowerNorm(0.5, 0, 1))
        axes.grid(visible=False)
        axes.set_xticks(range(len(columns)), columns, rotation=90)
        axes.set_yticks(range(len(names)), names)
        axes.set(xlabel="predicted", ylabel="true")
        bar = figure.colorbar(drawn, ax=axes, ticks=[0, 0.01, 0.05, 0.2, 0.5, 1], format=lambda share, _: f"{100 * share:.0f}")
        bar.set_label("% of the true class")
        if numbered:
            for (down, across), count in np.ndenumerate(counts):
                if count:
                    share = float(shares[down, across])
                    ink = "white" if share > 0.4 else "black"
                    axes.text(across, down, f"{count}\n{_percent(share)}", ha="center", va="center", color=ink, fontsize=8)

    return _png(draw, max(3.6, margin + cell * len(columns) + 0.9), max(2.4, margin + cell * len(names)))


def reliability(bins: Sequence[Mapping[str, float]]) -> bytes:
    """Return accuracy by confidence with the number of images of each bin below; `bins` are those of `reliability_table`."""
    middles = [(row["from"] + row["to"]) / 2 for row in bins]

    def draw(figure: "Figure") -> None:
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(5, 2))
        above.plot((0, 1), (0, 1), "--", color="0.35", label="perfectly calibrated")
        sure, right = [row["confidence"] for row in bins], [row["accuracy"] for row in bins]
        above.plot(sure, right, "-o", color="black", markersize=5, label="measured")
        above.set(ylabel="accuracy", xlim=(0, 1.01), ylim=(-0.03, 1.03))
        above.legend(loc="upper left")
        width = bins[0]["to"] - bins[0]["from"]
        bars = below.bar(middles, [row["n"] for row in bins], 0.94 * width, color="0.7", edgecolor="black")
        below.bar_label(bars, [f"{row['n']:,}" for row in bins], fontsize=8, padding=1)
        below.margins(y=0.25)
        below.set(xlabel="confidence", ylabel="images")

    return _png(draw, _WIDTH, 4.6)


def coverage(shares: Floats, accuracies: Floats, threshold: tuple[float, float] | None = None) -> bytes:
    """Return accuracy by coverage, for the `shares` and `accuracies` of `coverage_curve`.

    `threshold` holds coverage and accuracy 0..1 at the bundle's own threshold; None where no confidence reaches it.
    """

    def draw(figure: "Figure") -> None:
        axes = figure.subplots()
        axes.plot(
            100 * shares, 100 * accuracies, "-", color="black", label="any threshold", marker="." if len(shares) < 50 else ""
        )
        if threshold is not None:
            share, accuracy = (100 * value for value in threshold)
            axes.axvline(share, color="0.35", linestyle=":")
            label = f"the bundle's threshold: {share:.1f} % pass, {accuracy:.1f} % of these right"
            axes.plot([share], [accuracy], "D", color="black", markerfacecolor="white", markersize=8, label=label)
        axes.set(xlabel="coverage: most confident images, % of all", ylabel="accuracy, %", xlim=(0, 101))
        axes.legend(loc="lower left")

    return _png(draw, _WIDTH, 3.6)


def classes(per_class: Mapping[str, Mapping[str, float]]) -> bytes:
    """Return precision, recall and F1 of each class, for the `per_class` of `classification_report` or a part of it."""
    columns = -(-len(per_class) // _CLASSES_PER_COLUMN)
    parts = np.array_split(np.arange(len(per_class)), columns)
    labels, rows = [_short(label) for label in per_class], list(per_class.values())

    def draw(figure: "Figure") -> None:
        for axes, part in zip(figure.subplots(1, columns, squeeze=False, sharex=True)[0], parts, strict=True):
            for key, name, marker, size, shade in (  # sizes that show all markers where values are equal
                ("precision", "precision", "o", 9, "white"),
                ("recall", "recall", "s", 5, "0.6"),
                ("f1", "F1", "|", 13, "black"),
            ):
                values = [rows[at][key] for at in part]
                style = {"markersize": size, "markerfacecolor": shade, "markeredgecolor": "black"}
                axes.plot(values, range(len(part)), marker, label=name, **style)
            axes.set_yticks(range(len(part)), [labels[at] for at in part])
            axes.set_ylim(len(part) - 0.5, -0.5)
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=3)

    return _png(draw, _WIDTH, 0.9 + 0.24 * len(parts[0]))


def costs(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Return test accuracy by multiply-accumulates, a named point for each row of `Comparison.rows`.

    Error bars are standard deviations over seeds; ensembles are hollow squares.
    """

    def draw(figure: "Figure") -> None:
        axes = figure.subplots()
        for row in rows:
            place = (row["macs"] / 1e6, 100 * row["accuracy"])
            ensemble = row["seeds"] > 1 and row["accuracy_deviation"] is None
            marker, shade = ("s", "white") if ensemble else ("o", "black")
            deviation = 100 * (row["accuracy_deviation"] or 0)
            axes.errorbar(*place, yerr=deviation, marker=marker, markerfacecolor=shade, color="black", capsize=2)
            name = _short(row["name"].split(", ")[0])
            axes.annotate(name, place, (5, 4), textcoords="offset points", fontsize=8)
        axes.set(xscale="log", xlabel="million multiply-accumulates per image", ylabel="accuracy on the test set, %")
        axes.xaxis.set_major_formatter("{x:g}")  # powers would be written as math, which `text.parse_math` switches off
        axes.margins(x=0.15)  # space for the names to the right of their points

    return _png(draw, _WIDTH, 4.5)


def thumbnail(pixels: Pixels) -> bytes:
    """Return a PNG of a photo, uint8 (height, width, 3) RGB, or grey image (height, width), at most `SIDE` wide and high.

    An image of at most half that size is enlarged by a whole factor, so that its pixels stay visible.
    """
    scale: float = SIDE / max(pixels.shape[:2])
    if scale >= 2:
        scale = int(scale)
    width, height = (max(1, round(scale * side)) for side in pixels.shape[1::-1])
    interpolation = cv2.INTER_NEAREST if scale >= 2 else cv2.INTER_AREA
    small = cv2.resize(pixels, (width, height), interpolation=interpolation) if scale < 1 or scale >= 2 else pixels
    return cv2.imencode(".png", small[:, :, ::-1] if small.ndim == 3 else small)[1].tobytes()


def size_of(png: bytes) -> tuple[int, int]:
    """Return width and height of a PNG in pixels."""
    return int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")  # its first chunk begins with them


def _png(draw: "Callable[[Figure], None]", width: float, height: float) -> bytes:
    """Return what `draw` draws on a figure of `width` by `height` inches."""
    from matplotlib import style  # imported late: it takes a second and only charts need it
    from matplotlib.figure import Figure

    with style.context(["default", _STYLE]), warnings.catch_warnings():
        # Scripts that the font lacks become boxes, and older matplotlibs reverse some; the tables show all labels.
        warnings.filterwarnings("ignore", "Glyph .* missing from|Matplotlib currently does not support", UserWarning)
        figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
        draw(figure)
        written = io.BytesIO()
        figure.savefig(written, format="png", metadata={"Software": None})  # no version of matplotlib in the file
    return written.getvalue()


def _short(label: str) -> str:
    """Return a label as one short line without undrawable characters."""
    line = for_chart(label)
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST // 2]}\u2026{line[1 - _LONGEST // 2 :]}"


def _percent(share: float) -> str:
    """Return a share above 0 as a short percentage."""
    return f"{round(100 * share, 1):g} %" if share >= 0.001 else "<0.1 %"
