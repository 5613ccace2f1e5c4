"""Templates escape what they show, and name all that they use."""

import pytest
from jinja2 import UndefinedError

from tagger.web.templates import render, render_error


def test_values_are_escaped() -> None:
    """HTML in a sentence is text."""
    response = render_error(418, "<b>", "</p><script>")
    assert response.status_code == 418
    assert b"<script>" not in response.body
    assert b"&lt;/p&gt;&lt;script&gt;" in response.body
    assert response.headers["cache-control"] == "no-store"


def test_a_missing_value_is_an_error() -> None:
    """And not an empty place on the page."""
    with pytest.raises(UndefinedError):
        render("error.html", title="x")
