"""Draw small line charts as inline SVG: pure functions, the same text for the same values.

All looks are in the style sheet `nights.css`, by classes; nothing is styled inline, which the Content-Security-Policy forbids.
Screen readers get a title and a description; the numbers themselves are in a table beside each chart.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

from markupsafe import Markup, escape

WIDTH, HEIGHT = 480, 180
"""Of a chart, in units of its own; the style sheet decides how large it is drawn."""

SMALL_WIDTH, SMALL_HEIGHT = 160, 32
"""Of a chart in a table's cell."""

_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 10, 10, 24
"""Space around the plot, for labels."""

_MOST_TICKS = 4

_MOST_DOTS = 100
"""Points up to which each has a dot; a single one between gaps always has."""


@dataclass(frozen=True)
class Series:
    """A line of values, one per night; None leaves a gap."""

    name: str
    values: Sequence[float | None]
    dashed: bool = False


@dataclass(frozen=True)
class Mark:
    """Something that holds from a night on."""

    index: int
    """Of the night."""
    label: str


def line_chart(
    identity: str,
    title: str,
    description: str,
    labels: Sequence[str],
    series: Sequence[Series],
    band: tuple[Sequence[float | None], Sequence[float | None]] | None = None,
    marks: Sequence[Mark] = (),
    percent: bool = True,
) -> Markup:
    """Return a chart of one or two lines over the nights as an `<svg>` element.

    Args:
        identity: letters, digits and hyphens that no other chart of the page has.
        title: what is shown, for screen readers.
        description: what is to be seen, in a sentence, for screen readers.
        labels: (n,) of the nights; the first, middle and last one are written below the chart.
        series: lines of n values each.
        band: n lower and n upper values, shaded.
        marks: vertical lines.
        percent: whether values are shares 0..1, written in percent.
    """
    values = [value for line in series for value in line.values] + [value for side in band or () for value in side]
    low, high, step = _axis([value for value in values if value is not None], percent)
    plot = _Plot(len(labels), low, high, (_LEFT, WIDTH - _RIGHT), (_TOP, HEIGHT - _BOTTOM))
    parts = [*_grid(plot, low, high, step, percent), *_dates(plot, labels)]
    if band is not None:
        parts += _band(plot, *band)
    for mark in marks:
        x = plot.x(mark.index)
        parts.append(
            Markup('<line class="chart-mark" x1="{0}" x2="{0}" y1="{1}" y2="{2}"><title>{3}</title></line>').format(
                x, _TOP, HEIGHT - _BOTTOM, escape(mark.label)
            )
        )
    for line in series:
        parts += _line(plot, line, _MOST_DOTS)
    return Markup(
        '<svg class="chart" role="img" aria-labelledby="{0}-title {0}-description" viewBox="0 0 {1} {2}">'
        '<title id="{0}-title">{3}</title><desc id="{0}-description">{4}</desc>{5}</svg>'
    ).format(identity, WIDTH, HEIGHT, title, description, Markup("").join(parts))


def sparkline(values: Sequence[float | None]) -> Markup:
    """Return a line of shares 0..1 without labels, for a cell beside its numbers; hidden from screen readers."""
    known = [value for value in values if value is not None]
    plot = _Plot(len(values), 0.0, max([*known, 0.01]), (2, SMALL_WIDTH - 2), (3, SMALL_HEIGHT - 3))
    return Markup('<svg class="sparkline" aria-hidden="true" focusable="false" viewBox="0 0 {} {}">{}</svg>').format(
        SMALL_WIDTH, SMALL_HEIGHT, Markup("").join(_line(plot, Series("", values), 0))
    )


@dataclass(frozen=True)
class _Plot:
    """The area of a chart in which values are drawn."""

    count: int
    low: float
    high: float
    across: tuple[int, int]
    down: tuple[int, int]

    def x(self, index: int) -> str:
        """Return where a night is, from the left."""
        left, right = self.across
        return _number(left + (right - left) * ((index + 0.5) / max(1, self.count)))

    def y(self, value: float) -> str:
        """Return where a value is, from above."""
        top, bottom = self.down
        return _number(bottom - (bottom - top) * (value - self.low) / (self.high - self.low))

    def point(self, index: int, value: float) -> str:
        """Return both, as a path has them."""
        return f"{self.x(index)} {self.y(value)}"


def _axis(values: Sequence[float], percent: bool) -> tuple[float, float, float]:
    """Return the ends of the axis and the distance of its lines: from 0, or for values far above it from below the least."""
    highest = max(values, default=1.0) or (0.05 if percent else 1.0)
    lowest = min(values, default=0.0)
    start = lowest if lowest > 0.5 * highest else 0.0
    rough = max((highest - start) / _MOST_TICKS, 0.005 if percent else 0.25)
    power = 10.0 ** floor(log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough * (1 - 1e-9))
    low, high = floor(start / step + 1e-9) * step, ceil(highest / step - 1e-9) * step
    if percent:
        high = min(high, 1.0)
    return (low, high, step) if high > low else (low, low + step, step)


def _grid(plot: _Plot, low: float, high: float, step: float, percent: bool) -> list[Markup]:
    parts = []
    for number in range(round((high - low) / step) + 1):
        value = low + number * step
        if value > high + step * 1e-6:
            break
        text = f"{100 * value:.4g} %" if percent else f"{value:,.6g}"
        parts.append(
            Markup(
                '<line class="chart-grid" x1="{0}" x2="{1}" y1="{2}" y2="{2}"/>'
                '<text class="chart-label" x="{3}" y="{2}" dy="0.32em" text-anchor="end">{4}</text>'
            ).format(plot.across[0], plot.across[1], plot.y(value), plot.across[0] - 6, text)
        )
    return parts


def _dates(plot: _Plot, labels: Sequence[str]) -> list[Markup]:
    """Return the labels of the first, the middle and the last night."""
    if not labels:
        return []
    last = len(labels) - 1
    places = {0: "start", last: "end"} if len(labels) > 1 else {0: "middle"}
    if len(labels) > 4:
        places[last // 2] = "middle"
    return [
        Markup('<text class="chart-label" x="{}" y="{}" text-anchor="{}">{}</text>').format(
            plot.x(index), HEIGHT - 7, anchor, labels[index]
        )
        for index, anchor in sorted(places.items())
    ]


def _line(plot: _Plot, line: Series, most_dots: int) -> list[Markup]:
    """Return a path over the nights with values, broken at gaps, and dots: at all of up to `most_dots`, else at single ones."""
    kind = "chart-line chart-dashed" if line.dashed else "chart-line"
    parts, dots = [], list[tuple[int, float]]()
    count = sum(value is not None for value in line.values)
    for run in _runs(line.values):
        if len(run) > 1:
            path = "M" + " L".join(plot.point(index, value) for index, value in run)
            parts.append(Markup('<path class="{}" d="{}"/>').format(kind, path))
        if len(run) == 1 or count <= most_dots:
            dots += run
    return parts + [
        Markup('<circle class="chart-dot" cx="{}" cy="{}" r="2"/>').format(plot.x(index), plot.y(value))
        for index, value in dots
    ]


def _band(plot: _Plot, low: Sequence[float | None], high: Sequence[float | None]) -> list[Markup]:
    """Return the area between two lines, broken where either has a gap."""
    parts = []
    lower = [None if one is None or other is None else one for one, other in zip(low, high, strict=True)]
    for run in _runs(lower):
        there = [plot.point(index, value) for index, value in run]
        back = [plot.point(index, value) for index, _ in reversed(run) if (value := high[index]) is not None]
        parts.append(Markup('<path class="chart-band" d="{}"/>').format("M" + " L".join([*there, *back]) + " Z"))
    return parts


def _runs(values: Sequence[float | None]) -> list[list[tuple[int, float]]]:
    """Return the series of nights with values, in their order, as (index, value)."""
    runs: list[list[tuple[int, float]]] = [[]]
    for index, value in enumerate(values):
        if value is not None:
            runs[-1].append((index, value))
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _number(value: float) -> str:
    """Return a coordinate with at most one decimal."""
    return f"{value:.1f}".removesuffix(".0")
