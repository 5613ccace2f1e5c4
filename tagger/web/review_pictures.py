"""Serve the pictures of the review: photos in two sizes, and what the networks saw; encoded anew, never a file's own bytes."""

from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from tagger.escaping import for_terminal
from tagger.review.photos import Refused
from tagger.review.thumbnails import Picture
from tagger.web.review_state import ReviewState

_FOREVER = "private, max-age=31536000, immutable"
"""The address has the hash of the bytes, so that other bytes have another address."""


def picture(request: Request) -> Response:
    """Return a picture of an item; a placeholder, whose header `x-problem` says why, where its photo is not shown."""
    state: ReviewState = request.app.state.review
    item, sha256, kind = (request.path_params[name] for name in ("item", "sha256", "kind"))
    if kind not in ("small", "large", "grey", "colour"):
        return PlainTextResponse("No such picture.\n", 404)
    found = state.photos.find(item)
    made = _made(state, item, kind)
    kept = not made.problem and not isinstance(found, Refused) and found.sha256.hex() == sha256
    headers = {"cache-control": _FOREVER if kept else "no-store"}
    if made.problem:
        headers["x-problem"] = quote(for_terminal(made.problem), safe=" ")
    return Response(made.content, media_type=made.media_type, headers=headers)


def _made(state: ReviewState, item: int, kind: str) -> Picture:
    match kind:
        case "small":
            return state.pictures.picture(item, "grid")
        case "large":
            return state.pictures.picture(item, "view")
        case "grey":
            return state.pictures.network_inputs(item).grey
        case _:
            return state.pictures.network_inputs(item).colour
