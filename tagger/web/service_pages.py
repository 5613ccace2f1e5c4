"""The service's own pages: one to try it with a photo, one that documents its interface, and their script and style sheets."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from tagger.catalog.rows import format_json
from tagger.escaping import for_json
from tagger.web.limits import ServiceLimits
from tagger.web.templates import render_page

STATIC = Path(__file__).with_name("static")


class Field(NamedTuple):
    """A parameter, or a property of a schema, as the page shows it."""

    name: str
    kind: str
    text: str


class Answer(NamedTuple):
    """An answer of an operation."""

    status: str
    media_types: str
    text: str


class Operation(NamedTuple):
    """A method of a path."""

    method: str
    path: str
    title: str
    text: str
    parameters: Sequence[Field]
    bodies: Sequence[tuple[str, Sequence[Field]]]
    answers: Sequence[Answer]
    with_token: bool


def add_pages(app: FastAPI, openapi: Callable[[], Mapping[str, Any]], with_token: bool, limits: ServiceLimits) -> None:
    """Add the pages to the application of a service.

    Args:
        app: the application.
        openapi: returns the description of its interface.
        with_token: whether tagging needs a token.
        limits: what a request may hold.
    """

    def try_it(request: Request) -> Response:
        return render_page("service.html", with_token=with_token, limits=limits)

    def docs(request: Request) -> Response:
        description = openapi()
        return render_page(
            "service_docs.html", info=description["info"], operations=operations(description), schemas=schemas(description)
        )

    def document(request: Request) -> Response:
        return Response(for_json(format_json(openapi())), media_type="application/json")

    app.router.routes += [
        Route("/", try_it),
        Route("/docs", docs),
        Route("/openapi.json", document),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]


def operations(description: Mapping[str, Any]) -> list[Operation]:
    """Return the operations that a description in OpenAPI has, in its order."""
    return [
        Operation(
            method.upper(),
            path,
            one.get("summary", ""),
            plain(one.get("description", "")),
            [_parameter(parameter) for parameter in one.get("parameters", ())],
            [(kind, _properties(body["schema"])) for kind, body in one.get("requestBody", {}).get("content", {}).items()],
            [
                Answer(status, ", ".join(answer.get("content", ())), answer["description"])
                for status, answer in one["responses"].items()
            ],
            "security" in one,
        )
        for path, methods in description["paths"].items()
        for method, one in methods.items()
    ]


def schemas(description: Mapping[str, Any]) -> list[tuple[str, str, Sequence[Field]]]:
    """Return name, description and properties of the schemas in a description in OpenAPI."""
    found = description.get("components", {}).get("schemas", {})
    return [(name, plain(schema.get("description", "")), _properties(schema)) for name, schema in found.items()]


def plain(text: str) -> str:
    """Return a description, which is Markdown, as plain text: it has code in backticks and no other markup."""
    return text.replace("`", "")


def _parameter(parameter: Mapping[str, Any]) -> Field:
    schema = parameter["schema"]
    default = f", by default {format_json(schema['default'])}" if "default" in schema else ""
    return Field(parameter["name"], _kind(schema) + default, parameter.get("description", ""))


def _properties(schema: Mapping[str, Any]) -> list[Field]:
    return [Field(name, _kind(one), plain(one.get("description", ""))) for name, one in schema.get("properties", {}).items()]


def _kind(schema: Mapping[str, Any]) -> str:
    """Return the type of a value in words."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " or ".join(map(_kind, schema["anyOf"]))
    if "const" in schema:
        return format_json(schema["const"])
    if "enum" in schema:
        return "one of " + ", ".join(map(format_json, schema["enum"]))
    if schema.get("type") == "array":
        return f"list of {_kind(schema['items'])}"
    kind = schema.get("type", "any value")
    kind = " or ".join(kind) if isinstance(kind, list) else str(kind)
    kind = "bytes of a file" if schema.get("format") == "binary" else kind
    bounds = [f"{word} {schema[key]:g}" for key, word in (("minimum", "from"), ("maximum", "to")) if key in schema]
    return " ".join([kind, *bounds])
