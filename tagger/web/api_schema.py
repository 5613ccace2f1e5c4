"""Describe the service's interface in OpenAPI 3.1: what a request may hold, what a row holds, one kind of error."""

import re
from collections.abc import Collection, Mapping
from typing import Any

from tagger.catalog.rows import COLUMNS
from tagger.catalog.writers import JSON_FORMAT
from tagger.records import Reason
from tagger.web.limits import ServiceLimits
from tagger.web.problems import MEDIA_TYPE
from tagger.web.uploads import FIELD, MAX_ADDRESS

STATUSES: Mapping[int, str] = {
    400: "The form is malformed, the body is not JSON, or the host of an address is not allowed.",
    401: "The bearer token is missing or wrong.",
    403: "A page of another origin sent the request.",
    405: "The path has no such method.",
    408: "The body did not come in time.",
    413: "The body, one of its photos or the number of photos exceeds a limit.",
    415: "The body is neither a form nor, where addresses are fetched, JSON.",
    421: "The request is for a host that the server does not serve.",
    422: "A parameter, the form or the JSON is not as described here.",
    429: "The server is busy, or the client has sent too many requests in a minute; Retry-After tells the seconds to wait.",
    500: "The server failed; its log says why.",
    503: "The server is stopping.",
}
"""What each status of an error means."""

_CONFIDENCE = {"type": ["number", "null"], "minimum": 0, "maximum": 1}

_REASONS = sorted({reason for literal in Reason.__args__ for reason in getattr(literal, "__args__", [literal])})

_COLUMNS: dict[str, dict[str, Any]] = {
    "path": {"type": "string", "description": "The name of the file as it was sent, or the address."},
    "tag": {"type": "string", "description": "The most probable label; empty where the photo has no tag."},
    "confidence": {**_CONFIDENCE, "description": "Its calibrated probability; null where the photo has no tag."},
    "low_confidence": {"type": "boolean", "description": "Whether a person should check the photo."},
    "reason": {"enum": _REASONS, "description": "Why the photo is flagged or has no tag; else empty."},
    "group": {"type": "string", "description": "The group of the tag."},
    "group_confidence": {**_CONFIDENCE, "description": "Sum of the probabilities of the group's labels."},
    "duplicate_of": {"type": "string", "description": "The first photo of the request with the same bytes; else empty."},
}

SCHEMAS: dict[str, Any] = {
    "Problem": {
        "type": "object",
        "description": "An error (RFC 9457).",
        "required": ["status", "title", "detail"],
        "properties": {
            "status": {"type": "integer", "description": "The status of the answer."},
            "title": {"type": "string", "description": "The status in words."},
            "detail": {"type": "string", "description": "What is wrong and what to do, in one sentence."},
        },
    },
    "Row": {
        "type": "object",
        "description": "What `fmtag run` writes of a photo: a column each; with `top_k` `tag_2`, `confidence_2` and so on.",
        "required": [*COLUMNS, "model"],
        "properties": {
            **_COLUMNS,
            "model": {"type": "string", "description": "The bundle that decided it: name, hash, version of the extraction."},
        },
        "patternProperties": {"^tag_[0-9]+$": {"type": ["string", "null"]}, "^confidence_[0-9]+$": _CONFIDENCE},
        "additionalProperties": False,
    },
    "Picture": {
        "type": "object",
        "description": "What the networks saw of a part of the photo, as `data:` addresses of PNG images.",
        "required": ["part", "grey", "colour"],
        "properties": {
            "part": {"enum": ["", "lower", "upper", "whole"], "description": "The part of a person; empty without one."},
            "grey": {"type": "string", "description": "28x28 pixels, for the small network."},
            "colour": {"type": ["string", "null"], "description": "224x224 pixels, for the backbone; null without one."},
        },
    },
    "Tags": {
        "type": "object",
        "required": ["format", "model", "rows"],
        "properties": {
            "format": {"const": JSON_FORMAT},
            "model": {"type": "string"},
            "rows": {
                "type": "array",
                "items": {"$ref": "#/components/schemas/Row"},
                "description": "A row per photo, in order.",
            },
            "seen": {
                "type": "array",
                "items": {"type": "array", "items": {"$ref": "#/components/schemas/Picture"}},
                "description": "With `seen=true`: per photo what the networks saw, the most probable part first.",
            },
        },
        "additionalProperties": False,
    },
}
"""The schemas that answers refer to."""


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the answers of these errors as FastAPI documents them."""
    schema = {"schema": {"$ref": "#/components/schemas/Problem"}}
    answers: dict[int | str, dict[str, Any]] = {
        status: {"description": STATUSES[status], "content": {MEDIA_TYPE: schema}} for status in statuses
    }
    if 429 in answers:
        answers[429]["headers"] = {"Retry-After": {"schema": {"type": "integer", "minimum": 1}, "description": "Seconds."}}
    if 401 in answers:
        answers[401]["headers"] = {"WWW-Authenticate": {"schema": {"type": "string"}, "description": "Bearer (RFC 6750)."}}
    return answers


def tags_answers(with_tokens: bool) -> dict[int | str, dict[str, Any]]:
    """Return the answers of the path that tags photos."""
    errors = [status for status in STATUSES if with_tokens or status != 401]
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Tags"}}}
    return {
        200: {"description": "A row per photo, also for those that cannot be read.", "content": content},
        **problems(*errors),
    }


def tags_body(limits: ServiceLimits, hosts: Collection[str], schemes: Collection[str]) -> dict[str, Any]:
    """Return what a request to tag photos may hold: a form and, where addresses of some hosts are fetched, JSON."""
    photo = {"type": "string", "contentMediaType": "application/octet-stream", "format": "binary"}
    form = {
        "type": "object",
        "required": [FIELD],
        "properties": {
            FIELD: {
                "type": "array",
                "items": photo,
                "minItems": 1,
                "maxItems": limits.max_files,
                "description": f"Photos, at most {limits.max_file_bytes:,} bytes each and {limits.max_bytes:,} together.",
            }
        },
        "additionalProperties": False,
    }
    content: dict[str, Any] = {"multipart/form-data": {"schema": form, "encoding": {FIELD: {"contentType": "image/*"}}}}
    if hosts:
        pattern = f"^({'|'.join(schemes)})://({'|'.join(re.escape(host) for host in hosts)})([/?#][!-\\[\\]-~]*)?$"
        address = {
            "type": "string",
            "maxLength": MAX_ADDRESS,
            "pattern": pattern,
            "examples": [f"https://{next(iter(hosts))}/photo.jpg"],
        }
        addresses = {"type": "array", "items": address, "minItems": 1, "maxItems": limits.max_files}
        content["application/json"] = {
            "schema": {
                "type": "object",
                "required": ["addresses"],
                "properties": {"addresses": addresses},
                "additionalProperties": False,
            }
        }
    return {"requestBody": {"required": True, "content": content}}
