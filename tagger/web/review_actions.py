"""Record and take back decisions, and tell what others decided meanwhile: the requests of the page's script, in JSON."""

import json
from collections.abc import Sequence
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse

from tagger.catalog.label_table import NONE
from tagger.run.review_values import Review, Shown
from tagger.web.review_pages import filters_of
from tagger.web.review_state import ReviewState
from tagger.web.review_view import reviews_json

MAX_BODY = 256 * 1024
"""Bytes of a request."""

MAX_PHOTOS = 1_000
"""Photos of one decision."""


class BadRequestError(Exception):
    """A request that cannot be carried out: a status, and a sentence for the reviewer."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


async def decide(request: Request) -> JSONResponse:
    """Record a decision about one or more photos: `{photos: [[item, sha256], ...], label, reviewer, only_open}`.

    An empty label means none of the labels. `only_open` accepts a page: photos that are decided already or may show a rare
    label are left out. The answer comes once the decision is on disk.
    """
    body = await _body(request)
    return await run_in_threadpool(_decide, request, body)


async def undo(request: Request) -> JSONResponse:
    """Take decisions back: `{reviews: [id, ...], reviewer}`; the answer has what counts now in `now`."""
    body = await _body(request)
    return await run_in_threadpool(_undo, request, body)


def since(request: Request) -> JSONResponse:
    """Return the decisions after the one of number `after` that count still, and those that were taken back."""
    state: ReviewState = request.app.state.review
    after = request.query_params.get("after", "")
    if not after.isdecimal() or len(after) > 15:
        raise BadRequestError(400, "after is not the number of a decision.")
    reviews = state.store.since(int(after))
    return JSONResponse(
        {
            "last": max((review.id for review in reviews), default=int(after)),
            "reviews": _now(state, [review.sha256 for review in reviews], reviews),
            **({"counter": state.counter(filters_of(request.query_params))} if reviews else {}),
        }
    )


def _decide(request: Request, body: dict[str, Any]) -> JSONResponse:
    state: ReviewState = request.app.state.review
    label, photos = body.get("label"), _photos(body.get("photos"))
    if not isinstance(label, str):
        raise BadRequestError(422, "label is not a text.")
    label = "" if label.strip() == NONE else label  # as tables write it
    only_open = body.get("only_open") is True
    guarded = {row.item for row in state.queue.rows([shown.item for shown in photos]) if row.guarded} if only_open else set()
    photos = [shown for shown in photos if shown.item not in guarded]
    try:
        recorded = state.store.record(photos, state.label_of(label), _reviewer(state, body), only_open)
    except ValueError as error:
        raise BadRequestError(422, f"Not decided: {error}.") from error
    return JSONResponse(
        {
            "reviews": _shown(state, recorded.reviews),
            "others": _shown(state, recorded.others),
            "replaced": _shown(state, recorded.replaced),
            "unknown": len(recorded.unknown),
            "guarded": len(guarded),
            "counter": state.counter(filters_of(request.query_params)),
        }
    )


def _undo(request: Request, body: dict[str, Any]) -> JSONResponse:
    state: ReviewState = request.app.state.review
    reviews = body.get("reviews")
    if not isinstance(reviews, list) or not all(type(one) is int for one in reviews) or len(reviews) > MAX_PHOTOS:
        raise BadRequestError(422, "reviews is not a list of numbers of decisions.")
    try:
        recorded = state.store.undo(reviews, _reviewer(state, body))
    except ValueError as error:
        raise BadRequestError(422, f"Not taken back: {error}.") from error
    return JSONResponse(
        {
            "reviews": _shown(state, recorded.reviews),
            "now": _now(state, [review.sha256 for review in recorded.reviews], recorded.reviews),
            "others": _shown(state, recorded.others),
            "counter": state.counter(filters_of(request.query_params)),
        }
    )


def _now(state: ReviewState, shas: Sequence[bytes], reviews: Sequence[Review]) -> list[dict[str, Any]]:
    """Return what counts now for the bytes of decisions; those that are open again have the label null."""
    counting = {review.sha256: review for review in state.store.counting(shas)}
    last = {review.sha256: review._replace(label=None) for review in reviews}
    return _shown(state, [counting.get(sha, last[sha]) for sha in dict.fromkeys(shas)])


def _shown(state: ReviewState, reviews: Sequence[Review]) -> list[dict[str, Any]]:
    return reviews_json(reviews, state.queue.rows([review.item for review in reviews]), state.names())


async def _body(request: Request) -> dict[str, Any]:
    """Return the JSON object of a request; raises `BadRequestError` where it is none or too long."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise BadRequestError(415, "The content type is not application/json.")
    content = bytearray()
    async for part in request.stream():
        content += part
        if len(content) > MAX_BODY:
            raise BadRequestError(413, f"The request is longer than {MAX_BODY:,} bytes.")
    try:
        body = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise BadRequestError(400, "The request is not JSON.") from error
    if not isinstance(body, dict):
        raise BadRequestError(422, "The request is not an object.")
    return body


def _photos(given: Any) -> list[Shown]:
    """Return the photos of a request; raises `BadRequestError` for anything else."""
    if not isinstance(given, list) or not 1 <= len(given) <= MAX_PHOTOS:
        raise BadRequestError(422, f"photos is not a list of 1 to {MAX_PHOTOS:,} photos.")
    photos = []
    for one in given:
        try:
            item, sha256 = one
            photos.append(Shown(_number(item), bytes.fromhex(sha256)))
        except (TypeError, ValueError) as error:
            raise BadRequestError(422, "A photo is not a pair of a number and a hash.") from error
    return photos


def _number(given: Any) -> int:
    if type(given) is not int or not 0 <= given < 1 << 62:
        raise ValueError(given)
    return given


def _reviewer(state: ReviewState, body: dict[str, Any]) -> str:
    given = body.get("reviewer")
    return (given.strip() if isinstance(given, str) else "") or state.reviewer
