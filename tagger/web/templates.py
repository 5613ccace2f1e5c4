"""Render the pages: every value is escaped by Jinja, once, where it enters the HTML."""

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("tagger.web"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )


def render(name: str, **context: Any) -> str:
    """Return the HTML of a template of `tagger/web/templates`; a name that it uses and `context` lacks is an error."""
    return _environment().get_template(name).render(**context)


def render_page(name: str, status: int = 200, **context: Any) -> HTMLResponse:
    """Return a page as a response that is not kept by caches, as others may decide meanwhile."""
    return HTMLResponse(render(name, **context), status, {"cache-control": "no-store"})


def render_error(status: int, title: str, sentence: str) -> HTMLResponse:
    """Return a page that says in a sentence what is wrong and what to do."""
    return render_page("error.html", status, title=title, sentence=sentence)
