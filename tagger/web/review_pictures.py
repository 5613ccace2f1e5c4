"""Serve the pictures of the review: photos in two sizes, and what the networks saw; encoded anew, never a file's own bytes."""

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from tagger.web.review_state import ReviewState

KINDS = ("small", "large", "grey", "colour")

_FOREVER = "private, max-age=31536000, immutable"
"""The address has the hash of the bytes, so that other bytes have another address."""


def picture(request: Request) -> Response:
    """Return a picture of an item; a placeholder that says why where its photo cannot be shown, or has changed."""
    state: ReviewState = request.app.state.review
    kind = request.path_params["kind"]
    if kind not in KINDS:
        return PlainTextResponse("No such picture.\n", 404)
    made = state.pictures.picture(request.path_params["item"], request.path_params["sha256"], kind)
    cache = _FOREVER if made.shown else "no-store"
    return Response(made.content, media_type=made.media_type, headers={"cache-control": cache})
