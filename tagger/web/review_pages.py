"""Serve the pages of the review: the grid of a predicted tag, further cards of it, and one photo."""

import json
import os
from collections.abc import Sequence
from hashlib import sha256
from typing import Any, NamedTuple
from urllib.parse import urlencode

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from tagger.escaping import for_terminal
from tagger.review.queue import Cursor, Facets, Filters, QueueRow
from tagger.review.queue_values import UNREADABLE
from tagger.web.review_state import ReviewState
from tagger.web.review_view import NONE_TEXT, REASONS, PhotoView, history_lines, table_cells
from tagger.web.templates import render, render_error, render_page

SHOWS = (("open", "to review"), ("decided", "decided"), ("all", "all flagged"))
"""Values of the filter `show` and what they are called."""

GROUP_NAMES = {"": NONE_TEXT[:1].upper() + NONE_TEXT[1:], UNREADABLE: "Could not be read"}
"""Names of the predicted tags that are no labels."""

LONGEST_TEXT = 200
"""Characters of a filter's text."""


class GroupLink(NamedTuple):
    """A predicted tag with its number of photos."""

    key: str
    name: str
    photos: int
    accept: str | None
    """The label, by its name in the output, that a page of it is accepted as; None where each photo is decided by itself."""


class Choice(NamedTuple):
    """A value of a filter."""

    value: str
    text: str


def review_page(request: Request) -> Response:
    """Return the grid of one predicted tag, the most doubtful photos first."""
    state: ReviewState = request.app.state.review
    filters = filters_of(request.query_params)
    groups = group_links(state, filters)
    wanted = request.query_params.get("tag")
    group = next((one for one in groups if one.key == wanted), groups[0] if groups and wanted is None else None)
    if group is None and groups:
        group = groups[0]
    last = state.store.last()  # before the page: what is decided in between is told once more
    page = state.queue.page(filters, group.key) if group else None
    facets = state.queue.facets(filters)
    problem = state.columns.problem
    return render_page(
        "review.html",
        catalog=for_terminal(state.catalog),
        reviewer=state.reviewer,
        groups=groups,
        group=group,
        rows=_views(state, page.rows if page else ()),
        more=str(page.next_cursor) if page and page.next_cursor else "",
        last_review=last,
        counter=state.counter(filters),
        filters=filters,
        filtered=filters != Filters(),
        shows=SHOWS,
        facets=_facet_choices(facets),
        columns=state.columns.names,
        notes=[for_terminal(problem)] if problem else [],
        settings=_settings(state),
        url=lambda group: f"/review?{urlencode({**_kept(request.query_params), 'tag': group})}",
    )


def more_cards(request: Request) -> Response:
    """Return the next cards of a predicted tag as a piece of HTML, with the cursor after them in the header `x-more`."""
    state: ReviewState = request.app.state.review
    after = Cursor.parse(request.query_params.get("after", ""))
    page = state.queue.page(filters_of(request.query_params), request.query_params.get("tag", ""), after)
    more = str(page.next_cursor) if page.next_cursor else ""
    html = render("_cards.html", rows=_views(state, page.rows))
    return HTMLResponse(html, headers={"x-more": more, "cache-control": "no-store"})


def photo_page(request: Request) -> Response:
    """Return all that is known of one photo, as a page or with `fragment=1` as a piece of one."""
    state: ReviewState = request.app.state.review
    details = state.queue.details(request.path_params["item"])
    if details is None:
        return render_error(404, "No such photo", "The last output has no such photo; go back to the review.")
    names = state.names()
    more = details.copies_total - len(details.copies)
    copies = [*map(for_terminal, details.copies), *([f"and {more:,} more"] if more else [])]
    return render_page(
        "_photo.html" if request.query_params.get("fragment") else "photo.html",
        row=PhotoView(details.row, names),
        why=f"{details.why[:1].upper()}{details.why[1:]}.",
        cells=table_cells(details),
        copies=copies,
        history=history_lines(details, names),
    )


def filters_of(query: QueryParams) -> Filters:
    """Return the filters of an address; values that are none are left out."""

    def text(name: str) -> str | None:
        return query.get(name, "")[:LONGEST_TEXT] or None

    show = query.get("show", "open")
    night = query.get("night", "")
    return Filters(
        show=show if show in dict(SHOWS) else "open",  # type: ignore[arg-type]
        reason=text("reason"),
        group=text("group_of"),
        folder=text("folder"),
        night=int(night) if night.isdecimal() and len(night) < 10 else None,
        column=text("column"),
        text=text("text") or "",
    )


def group_links(state: ReviewState, filters: Filters) -> list[GroupLink]:
    """Return the predicted tags that have photos, most first; none of the labels is one, and last what could not be read."""
    links = []
    for one in state.queue.groups(filters):
        count = {"open": one.open, "decided": one.decided}.get(filters.show, one.open + one.decided)
        if count:
            accept = None if one.tag == UNREADABLE else one.tag
            links.append(GroupLink(one.tag, GROUP_NAMES.get(one.tag, for_terminal(one.tag)), count, accept))
    return sorted(links, key=lambda link: link.key == UNREADABLE)


def _views(state: ReviewState, rows: Sequence[QueueRow]) -> list[PhotoView]:
    names = state.names()
    return [PhotoView(row, names) for row in rows]


def _facet_choices(facets: Facets) -> dict[str, list[Choice]]:
    """Return the values of the filters with their numbers of photos as texts."""
    return {
        "reasons": [Choice(one.value, f"{REASONS.get(one.value, one.value)} ({one.photos:,})") for one in facets.reasons],
        "groups": [Choice(one.value, f"{for_terminal(one.value)} ({one.photos:,})") for one in facets.groups if one.value],
        "folders": [Choice(one.value, f"{for_terminal(one.value)} ({one.photos:,})") for one in facets.folders],
        "nights": [Choice(str(one.run), f"{one.started[:16].replace('T', ' ')} ({one.photos:,})") for one in facets.nights],
    }


def _kept(query: QueryParams) -> dict[str, Any]:
    """Return the filters of an address as they are, for another one; the place within the tag is left out."""
    return {name: value for name, value in query.items() if name not in ("tag", "after") and value}


def _settings(state: ReviewState) -> str:
    """Return what the page's script has to know, as JSON."""
    return json.dumps(
        {
            # What a tab keeps, as its undos, is of this ledger alone.
            "ledger": sha256(os.fsencode(state.queue.reader.path.absolute())).hexdigest(),
            "reviewer": state.reviewer,
            "labels": list(dict.fromkeys(state.names().values())),
            "favourites": state.favourite_labels(),
        }
    )
