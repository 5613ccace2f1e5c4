"""Charts as inline SVG: true to their values, readable by screen readers, without inline style."""

import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from tagger.web.sparklines import HEIGHT, SMALL_HEIGHT, SMALL_WIDTH, WIDTH, Mark, Series, line_chart, sparkline

DAYS = [f"2026-11-{day:02}" for day in range(1, 8)]


def parsed(svg: str) -> ElementTree.Element:
    """Return the element; the text must be well-formed XML."""
    return ElementTree.fromstring(svg)


def chart(*lines: Series, **more: object) -> ElementTree.Element:
    """Return a chart over a week."""
    return parsed(line_chart("flagged-1", "Share of flagged", "Seven nights.", DAYS, lines, **more))  # type: ignore[arg-type]


def of_class(svg: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    """Return the elements with a class."""
    return [element for element in svg.iter() if name in element.get("class", "").split()]


def test_a_screen_reader_gets_a_title_and_a_description() -> None:
    """The image is named by its title and its description, whose identities are the chart's own."""
    svg = chart(Series("flagged", [0.1] * 7))
    assert svg.get("role") == "img"
    title, description = (svg.get("aria-labelledby") or "").split()
    texts = {element.get("id"): element.text for element in svg.iter() if element.get("id")}
    assert texts == {title: "Share of flagged", description: "Seven nights."}
    assert (title, description) == ("flagged-1-title", "flagged-1-description")


def test_points_are_where_their_values_are() -> None:
    """Equal steps of a value are equal steps of its point, upwards; nights stand in their order at equal distances."""
    svg = chart(Series("flagged", [0.0, 0.1, 0.2, 0.3, 0.4, 0.3, 0.2]))
    dots = [(float(dot.get("cx", "")), float(dot.get("cy", ""))) for dot in of_class(svg, "chart-dot")]
    across = [after[0] - before[0] for before, after in pairwise(dots)]
    up = [before[1] - after[1] for before, after in pairwise(dots)]
    assert across == pytest.approx([across[0]] * 6, abs=0.2)
    assert up == pytest.approx([up[0]] * 4 + [-up[0]] * 2, abs=0.2)
    assert up[0] > 10
    grid = {element.get("y1") for element in of_class(svg, "chart-grid")}
    assert {f"{dots[0][1]:g}", f"{dots[4][1]:g}"} <= grid


def test_axes_have_labels() -> None:
    """Values of the lines are written in percent, or as counts, and the first, the middle and the last night."""
    texts = [element.text for element in of_class(chart(Series("flagged", [0.0, 0.4] * 3 + [0.2])), "chart-label")]
    assert texts == ["0 %", "10 %", "20 %", "30 %", "40 %", "2026-11-01", "2026-11-04", "2026-11-07"]
    texts = [element.text for element in of_class(chart(Series("photos", [0, 4000] * 3 + [2]), percent=False), "chart-label")]
    assert texts[:5] == ["0", "1,000", "2,000", "3,000", "4,000"]
    high = [element.text for element in of_class(chart(Series("confidence", [0.91, 0.97] * 3 + [0.95])), "chart-label")]
    assert high[0] == "90 %"
    assert "100 %" not in high[:-3] or high[-4] == "100 %"


@pytest.mark.parametrize("values", [[0.0] * 7, [1.0] * 7, [0.333] * 7, [1e-9] * 7, [None] * 7, [0.5, *[None] * 6]])
def test_values_without_a_range_are_drawn(values: list[float | None]) -> None:
    """All points lie within the plot, whatever the values."""
    svg = chart(Series("flagged", values))
    for dot in of_class(svg, "chart-dot"):
        assert 0 < float(dot.get("cx", "")) < WIDTH
        assert 0 < float(dot.get("cy", "")) < HEIGHT
    assert len(of_class(svg, "chart-dot")) == sum(value is not None for value in values)


def test_a_night_without_a_value_breaks_the_line() -> None:
    """A gap is no line through it; a single night between two gaps is a dot."""
    svg = chart(Series("flagged", [0.1, 0.2, None, 0.3, None, 0.1, 0.2]))
    assert [path.get("d", "").count("L") for path in of_class(svg, "chart-line")] == [1, 1]
    assert len(of_class(svg, "chart-dot")) == 5


def test_a_band_and_marks_are_drawn() -> None:
    """The band goes along the lower values and back along the upper ones; a mark has its sentence."""
    low, high = [0.1, 0.1, None, 0.2, 0.2, 0.2, 0.2], [0.5, 0.5, None, 0.6, 0.6, 0.6, 0.6]
    svg = chart(Series("confidence", [0.3] * 7, dashed=True), band=(low, high), marks=[Mark(3, "rose <b> & fell")])
    bands = [path.get("d", "") for path in of_class(svg, "chart-band")]
    assert [len(re.findall("[ML]", band)) for band in bands] == [4, 8]
    (mark,) = of_class(svg, "chart-mark")
    assert mark[0].text == "rose <b> & fell"
    assert mark.get("x1") == of_class(svg, "chart-dot")[3].get("cx")
    assert of_class(svg, "chart-dashed")


def test_nothing_is_styled_inline_and_texts_are_escaped() -> None:
    """The Content-Security-Policy forbids inline style; a label of markup stays a label."""
    svg = line_chart("a", "<script>", '"&', ["<img onload=x>"], [Series("x", [0.2])])
    assert "style=" not in svg
    assert "<script" not in svg
    assert "<img" not in svg
    assert parsed(svg)[0].text == "<script>"


def test_many_nights_have_no_dots() -> None:
    """A year is a line; only nights between gaps are dots."""
    labels = [str(day) for day in range(365)]
    values: list[float | None] = [0.1] * 365
    values[99], values[101] = None, None
    svg = parsed(line_chart("a", "t", "d", labels, [Series("flagged", values)]))
    assert len(of_class(svg, "chart-dot")) == 1
    assert len(of_class(svg, "chart-line")) == 2


def test_charts_of_no_night_and_of_one_are_drawn() -> None:
    """An empty ledger and a first night are charts too."""
    assert of_class(parsed(line_chart("a", "t", "d", [], [Series("x", [])])), "chart-line") == []
    one = parsed(line_chart("a", "t", "d", ["2026-11-01"], [Series("x", [0.4])]))
    assert [element.text for element in of_class(one, "chart-label")][-1] == "2026-11-01"


def test_a_sparkline_is_hidden_from_screen_readers() -> None:
    """Its numbers stand beside it; its points lie within it."""
    svg = parsed(sparkline([0.0, 0.5, None, 1.0]))
    assert svg.get("aria-hidden") == "true"
    for dot in of_class(svg, "chart-dot"):
        assert 0 <= float(dot.get("cx", "")) <= SMALL_WIDTH
        assert 0 <= float(dot.get("cy", "")) <= SMALL_HEIGHT
    assert of_class(parsed(sparkline([])), "chart-line") == []
