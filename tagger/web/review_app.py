"""Put the review together as one ASGI application: routes, access, error pages."""

from collections.abc import Collection, Sequence
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from tagger.errors import FmtagError
from tagger.web import review_actions, review_pages, review_pictures
from tagger.web.guard import Guard
from tagger.web.review_access import TokenGate
from tagger.web.review_actions import BadRequestError
from tagger.web.review_state import ReviewState
from tagger.web.templates import render_error

STATIC = Path(__file__).with_name("static")


def review_app(state: ReviewState, token: str, port: int, hosts: Collection[str], more: Sequence[BaseRoute] = ()) -> ASGIApp:
    """Return the application of a review.

    Args:
        state: what is reviewed.
        token: that opens it.
        port: that it is served at.
        hosts: that requests may name.
        more: further pages.
    """
    app = Starlette(
        routes=[
            Route("/", lambda request: RedirectResponse("/review", 303)),
            Route("/review", review_pages.review_page),
            Route("/review/cards", review_pages.more_cards),
            Route("/review/photo/{item:int}", review_pages.photo_page),
            Route("/review/picture/{item:int}/{sha256}/{kind}", review_pictures.picture),
            Route("/review/decisions", review_actions.decide, methods=["POST"]),
            Route("/review/undo", review_actions.undo, methods=["POST"]),
            Route("/review/since", review_actions.since),
            Mount("/static", StaticFiles(directory=STATIC)),
            *more,
        ],
        exception_handlers={
            HTTPException: _http_error,
            BadRequestError: _bad_request,
            FmtagError: _fmtag_error,
        },
    )
    app.state.review = state
    return Guard(TokenGate(app, token, port), hosts)


def _http_error(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    if status == 404:
        return render_error(404, "No such page", "There is no page at this address; go back to /review.")
    return render_error(status, "Not possible", f"The server answers {status} to this request.")


def _bad_request(request: Request, error: Exception) -> Response:
    return JSONResponse({"detail": str(error)}, getattr(error, "status", 400))


def _fmtag_error(request: Request, error: Exception) -> Response:
    """Answer what the ledger raises, in the form that the request expects; the next request may succeed."""
    if request.method == "POST":
        return JSONResponse({"detail": str(error)}, 503)
    return render_error(503, "Not now", str(error))
