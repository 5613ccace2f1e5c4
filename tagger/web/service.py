"""The service: photos in, rows of tags out, by HTTP. It composes the limits, the batches and the pages into one application."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeVar

from fastapi import Depends, FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp

from tagger import __version__
from tagger.catalog.rows import format_json, output_columns, output_row
from tagger.catalog.writers import JSON_FORMAT
from tagger.escaping import for_json
from tagger.files import encode_text
from tagger.inference.decision import decide_results
from tagger.inference.tagger import Tagger
from tagger.photos.settings import DEFAULT_DECODING, DecodeSettings
from tagger.records import Failed, Item, Result, Tag
from tagger.web.accounting import Accounting
from tagger.web.api_schema import SCHEMAS, problems, tags_answers, tags_body
from tagger.web.batching import Batcher, TaggedPhoto
from tagger.web.bodies import DiscardUnread, Disconnected, body_chunks
from tagger.web.fetching import AddressError, Fetcher
from tagger.web.guard import Guard
from tagger.web.limits import RateLimit, Room, ServiceLimits, network_of
from tagger.web.monitoring import Metrics, ServiceLog
from tagger.web.problems import RequestError, problem_response
from tagger.web.service_pages import add_pages
from tagger.web.tokens import Tokens
from tagger.web.uploads import Upload, read_addresses, read_form

JSON_BYTES_PER_ADDRESS = 4_096
"""Bytes of a JSON body per address that it may hold: it is parsed in the event loop, so it must be small."""

CLIENT_CLOSED = 499
"""Status in the log of a request whose client has gone before the answer."""

Value = TypeVar("Value")


@dataclass(frozen=True)
class ServiceSettings:
    """How the service is run."""

    hosts: Collection[str]
    """Names by which requests may address it (see `guard.Guard`)."""
    tokens: Tokens = field(default_factory=Tokens)
    limits: ServiceLimits = field(default_factory=ServiceLimits)
    decoding: DecodeSettings = DEFAULT_DECODING
    workers: int | None = None
    """Threads that decode; None for one per processor."""
    batch_size: int = 64
    fetch_hosts: Sequence[str] = ()
    """Hosts whose addresses are fetched."""
    fetch_http: bool = False


@dataclass(frozen=True)
class Service:
    """The application and what its server needs of it."""

    app: ASGIApp
    accounting: Accounting
    metrics: Metrics


class _Api:
    """What the path that tags photos does."""

    def __init__(self, tagger: Tagger, settings: ServiceSettings, metrics: Metrics, log: ServiceLog, fetcher: Fetcher) -> None:
        self.settings = settings
        self.metrics = metrics
        self._tagger = tagger
        self._log = log
        self._fetcher = fetcher
        self._rate = RateLimit(settings.limits.rate)
        self.batcher = Batcher(tagger, settings.decoding, metrics, settings.workers, settings.batch_size)
        self.room = Room(settings.limits, self.batcher.seconds_for)
        metrics.queue.set_function(lambda: self.room.photos)

    async def authorize(self, request: Request) -> None:
        """Check the token of a request, and whether its client comes too often."""
        client = self.settings.tokens.client_of(request.headers.get("authorization"))
        self._rate.count(client or network_of(request.client.host if request.client else ""))

    def check_token(self, request: Request) -> None:
        """Check the token of a request alone."""
        self.settings.tokens.client_of(request.headers.get("authorization"))

    async def answer(self, request: Request, top_k: int, min_confidence: float | None, seen: bool) -> Response:
        """Read the photos of a request, tag them and return their rows."""
        self.room.check()
        with self.room.bytes_held() as hold:
            photos = await self._read(request, hold)
            request.state.photos = len(photos)
            with self.room.photos_held(len(photos)):
                outcomes = await _unless_disconnected(request, self._outcomes(photos, hold, seen))
        return self._answer([_name(photo) for photo in photos], outcomes, top_k, min_confidence, seen)

    async def _outcomes(
        self, photos: Sequence[Upload | str], hold: Callable[[int], None], seen: bool
    ) -> list[TaggedPhoto | Failed]:
        """Return what became of each photo: tagged, or why it could not be fetched."""
        uploads = await self._fetched(photos, hold)
        tagged = iter(await self.batcher.tag([one for one in uploads if isinstance(one, Upload)], seen))
        return [one if isinstance(one, Failed) else next(tagged) for one in uploads]

    async def _read(self, request: Request, hold: Callable[[int], None]) -> Sequence[Upload | str]:
        """Return the photos of a request, or the addresses of photos."""
        limits, headers = self.settings.limits, request.headers
        content_type = headers.get("content-type", "")
        media_type = content_type.partition(";")[0].strip().lower()
        if headers.get("content-encoding", "identity").lower() != "identity":
            raise RequestError(415, "Send the body as it is, without a Content-Encoding.")
        declared = headers.get("content-length")
        if media_type == "multipart/form-data":
            chunks = body_chunks(request.receive, declared, limits.max_bytes, limits.body_seconds)
            return await read_form(chunks, content_type, limits.max_files, limits.max_file_bytes, hold)
        if media_type == "application/json" and self.settings.fetch_hosts:
            most = min(limits.max_bytes, JSON_BYTES_PER_ADDRESS * (limits.max_files + 1))
            chunks = body_chunks(request.receive, declared, most, limits.body_seconds)
            addresses = await read_addresses(chunks, limits.max_files, hold)
            try:
                for address in addresses:
                    self._fetcher.target_of(address)
            except AddressError as error:
                raise RequestError(400, str(error)) from None
            return addresses
        also = " or, for addresses, application/json" if self.settings.fetch_hosts else ""
        raise RequestError(415, f"Send photos as multipart/form-data{also}.")

    async def _fetched(self, photos: Sequence[Upload | str], hold: Callable[[int], None]) -> list[Upload | Failed]:
        """Return photos with the bytes of those that are addresses, or why these cannot be had."""

        async def one(photo: Upload | str) -> Upload | Failed:
            if isinstance(photo, Upload):
                return photo
            found = await self._fetcher.fetch(photo)
            self.metrics.fetches.labels(found.reason if isinstance(found, Failed) else "fetched").inc()
            if isinstance(found, Failed):
                return found
            hold(len(found))
            return Upload(photo, found)

        tasks = [asyncio.ensure_future(one(photo)) for photo in photos]
        try:
            return list(await asyncio.gather(*tasks))
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)  # so that none holds bytes once the request has ended

    def _answer(
        self,
        names: Sequence[str],
        outcomes: Sequence[TaggedPhoto | Failed],
        top_k: int,
        min_confidence: float | None,
        seen: bool,
    ) -> Response:
        """Return the rows of photos as JSON."""
        card, model = self._tagger.bundle.card, self._tagger.bundle.model
        results = [_result(outcome) for outcome in outcomes]
        threshold = self._tagger.min_confidence if min_confidence is None else min_confidence
        tags = decide_results(results, card.labels, card.groups, threshold)
        columns = output_columns((), min(top_k, len(card.labels)))
        rows = [
            output_row(Item(name, None), tag, model, columns, original)
            for name, tag, original in zip(names, tags, _originals(names, outcomes), strict=True)
        ]
        document: dict[str, Any] = {"format": JSON_FORMAT, "model": model, "rows": rows}
        if seen:
            document["seen"] = [[] if isinstance(outcome, Failed) else outcome.pictures for outcome in outcomes]
        self._count(results, tags, outcomes)
        return Response(encode_text(for_json(format_json(document))), media_type="application/json")

    def _count(self, results: Sequence[Result], tags: Sequence[Tag], outcomes: Sequence[TaggedPhoto | Failed]) -> None:
        failures = [result.failed for result in results if result.failed is not None]
        for failure in failures:
            self._log.failed(failure.reason, failure.detail)
        contents = [outcome.scored.content for outcome in outcomes if isinstance(outcome, TaggedPhoto)]
        self.metrics.count_tags(tags, len(failures), sum(content.size for content in contents if content is not None))


def create_service(
    tagger: Tagger, settings: ServiceSettings, log: ServiceLog | None = None, fetcher: Fetcher | None = None
) -> Service:
    """Return the service of a bundle whose networks are open.

    `fetcher` is for tests that must not leave this machine; by default it fetches from `settings.fetch_hosts`.
    """
    metrics, log = Metrics(), log or ServiceLog()
    metrics.describe(tagger.bundle.model)
    fetcher = fetcher or Fetcher(settings.fetch_hosts, settings.limits.max_file_bytes, allow_http=settings.fetch_http)
    api = _Api(tagger, settings, metrics, log, fetcher)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with api.batcher.running():
            yield

    app = FastAPI(title="fmtag", version=__version__, docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    _add_handlers(app)
    _add_tags_path(app, api)
    accounting = Accounting(metrics, log)
    _add_operation_paths(app, api, accounting)
    add_pages(app, lambda: _openapi(app, tagger.bundle.model), bool(settings.tokens), settings.limits)
    paths = frozenset(str(getattr(route, "path", "")) for route in app.routes)
    guarded = Guard(
        accounting.around(app, paths),
        settings.hosts,
        lambda status, detail: accounting.around(problem_response(status, detail)),
    )
    return Service(DiscardUnread(guarded, settings.limits.max_bytes), accounting, metrics)


def _add_tags_path(app: FastAPI, api: _Api) -> None:
    settings = api.settings
    bearer = [Depends(HTTPBearer(auto_error=False, description="One of the server's tokens."))] if settings.tokens else []
    schemes = ("https", "http") if settings.fetch_http else ("https",)

    @app.post(
        "/v1/tags",
        summary="Tag photos",
        description="Tag the photos of a form, or those at addresses of allowed hosts. The rows are those of `fmtag run`.",
        operation_id="tag_photos",
        tags=["tags"],
        response_class=Response,
        responses=tags_answers(bool(settings.tokens)),
        openapi_extra=tags_body(settings.limits, settings.fetch_hosts, schemes),
        dependencies=[Depends(api.authorize), *bearer],
    )
    async def tag_photos(
        request: Request,
        top_k: Annotated[int, Query(ge=1, le=1000, description="Number of tags per photo.")] = 1,
        min_confidence: Annotated[
            float | None,
            Query(
                ge=0, le=1, allow_inf_nan=False, description="Flag tags below this probability; by default the bundle's own."
            ),
        ] = None,
        seen: Annotated[bool, Query(description="Also answer what the networks saw of each photo.")] = False,
    ) -> Response:
        return await api.answer(request, top_k, min_confidence, seen)


def _add_operation_paths(app: FastAPI, api: _Api, accounting: Accounting) -> None:
    """Add the paths for those who operate the service: health and metrics."""
    text = {"content": {"text/plain": {"schema": {"type": "string"}}}}
    shared: dict[str, Any] = {"response_class": Response, "tags": ["operation"]}
    bearer = [Depends(HTTPBearer(auto_error=False, description="One of the server's tokens."))] if api.settings.tokens else []
    guarded = [401] if api.settings.tokens else []

    @app.get(
        "/health/live",
        summary="Whether the process runs",
        responses={200: text | {"description": "It does."}, **problems(421, 405)},
        **shared,
    )
    async def live() -> Response:
        return Response("ok\n", media_type="text/plain")

    @app.get(
        "/health/ready",
        summary="Whether requests are accepted",
        responses={200: text | {"description": "They are."}, **problems(421, 405, 503)},
        **shared,
    )
    async def ready() -> Response:
        if accounting.stopping:
            raise RequestError(503, "The server is stopping.")
        return Response("ok\n", media_type="text/plain")

    @app.get(
        "/metrics",
        summary="Numbers for Prometheus",
        responses={200: text | {"description": "In Prometheus' text format."}, **problems(*guarded, 421, 405)},
        dependencies=[Depends(api.check_token), *bearer],
        **shared,
    )
    async def metrics() -> Response:
        content, media_type = api.metrics.as_text()
        return Response(content, headers={"content-type": media_type})


def _add_handlers(app: FastAPI) -> None:
    """Answer every error with a problem document."""

    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestError)
        return problem_response(error.status, error.detail, error.headers)

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        first = error.errors()[0]
        return problem_response(422, f"{'.'.join(map(str, first['loc'][1:]))}: {first['msg']}.")

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return problem_response(error.status_code, f"{error.detail}.", error.headers or {})

    async def failed(request: Request, error: Exception) -> Response:
        return problem_response(500, "The server failed; its log says why.")

    async def gone(request: Request, error: Exception) -> Response:
        return problem_response(CLIENT_CLOSED, "The client has gone.")

    app.add_exception_handler(RequestError, refused)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(Disconnected, gone)
    app.add_exception_handler(Exception, failed)


def _openapi(app: FastAPI, model: str) -> Mapping[str, Any]:
    """Return the description of the service in OpenAPI, made once."""
    if app.openapi_schema is None:
        description = f"Tags catalog photos. The bundle is {model}."
        schema = get_openapi(title=app.title, version=app.version, description=description, routes=app.routes)
        schema.setdefault("components", {}).setdefault("schemas", {}).update(SCHEMAS)
        app.openapi_schema = json.loads(json.dumps(schema))
    return app.openapi_schema


async def _unless_disconnected(request: Request, work: Awaitable[Value]) -> Value:
    """Return what `work` returns; where the client has gone before, give it up and raise `Disconnected`."""
    task, gone = asyncio.ensure_future(work), asyncio.ensure_future(_disconnect(request))
    try:
        await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise Disconnected
        return task.result()
    finally:
        for one in (task, gone):
            one.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await one


async def _disconnect(request: Request) -> None:
    """Return when the client has closed the connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _name(photo: Upload | str) -> str:
    return photo if isinstance(photo, str) else photo.name


def _result(outcome: TaggedPhoto | Failed) -> Result:
    if isinstance(outcome, Failed):
        return Result(outcome)
    assert outcome.scored.result is not None, "every photo of a request is scored"
    return outcome.scored.result


def _originals(names: Sequence[str], outcomes: Sequence[TaggedPhoto | Failed]) -> list[str]:
    """Return for each photo the name of the first one with the same bytes; empty for itself and for a name that is the same."""
    first: dict[bytes, str] = {}
    originals = []
    for name, outcome in zip(names, outcomes, strict=True):
        content = None if isinstance(outcome, Failed) else outcome.scored.content
        original = name if content is None else first.setdefault(content.sha256, name)
        originals.append("" if original == name else original)
    return originals
