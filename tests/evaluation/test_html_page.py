"""Elements of a page hold text as it is, whatever it contains."""

import base64

import cv2
import numpy as np
import pytest
from evaluation_helpers import HOSTILE, Page

from tagger.evaluation.charts import DPI
from tagger.evaluation.html_page import CSS_DPI, element, figure, image, page


def png(width: int, height: int) -> bytes:
    """Return a PNG of that size."""
    return cv2.imencode(".png", np.zeros((height, width), np.uint8))[1].tobytes()


@pytest.mark.parametrize("text", HOSTILE)
def test_text_stays_text(text: str) -> None:
    """An element with any text has no further elements, and its attributes cannot be left."""
    parsed = Page(element("p", text) + image(png(2, 2), text) + figure(png(2, 2), text, text))
    assert [tag for tag, _ in parsed.tags] == ["p", "img", "figure", "img", "figcaption"]
    assert all(set(attributes) == {"src", "width", "height", "alt"} for attributes in parsed.all("img"))


def test_a_page_is_utf8_whatever_it_holds() -> None:
    """A title with a lone surrogate is escaped, and the parts stand in their order."""
    written = page("a\udcff", [element("h1", "靴下"), element("p", "second")]).decode()
    assert "<title>a\\udcff</title>" in written
    assert written.index("靴下") < written.index("second")
    assert written.startswith("<!DOCTYPE html>")


def test_images_are_embedded_in_their_size() -> None:
    """The data are the very bytes; a chart is shown in its printed size, at 96 pixels per inch."""
    content = png(300, 150)
    (plain,) = Page(image(content, "plain")).all("img")
    assert base64.b64decode((plain["src"] or "").partition(",")[2]) == content
    assert (plain["width"], plain["height"]) == ("300", "150")
    (chart,) = Page(figure(content, "chart", "caption")).all("img")
    assert (chart["width"], chart["height"]) == (str(round(300 * CSS_DPI / DPI)), str(round(150 * CSS_DPI / DPI)))
