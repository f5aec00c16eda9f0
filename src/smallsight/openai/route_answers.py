"""The statuses that routes may answer with, for the description in `/openapi.json`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_TEXTS: Mapping[int, str] = {
    400: "A field is missing, wrong, or not supported.",
    401: "No key, or an unknown one.",
    403: "The key does not allow this, or the request comes from a page of another site.",
    404: "Unknown model, response or item.",
    408: "The body took too long.",
    413: "The body or a picture is too large.",
    415: "Not a picture, or not of a supported format.",
    422: "A picture does not decode.",
    429: "Too many requests are in progress; see `Retry-After`.",
    500: "The request failed.",
    501: "This installation lacks a part that the request needs.",
    507: "Not enough memory for the prompt.",
    502: "The server that runs the model does not answer.",
    503: "Not enough memory for the model, or the server is stopping; see `Retry-After`.",
}


def _described(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"description": _TEXTS[status]} for status in statuses}


_OBJECT_OR_EVENTS: Mapping[str, Any] = {
    "description": "The answer: an object, or events where `stream` is true.",
    "content": {"application/json": {"schema": {}}, "text/event-stream": {"schema": {"type": "string"}}},
}
ANSWERS: dict[int | str, dict[str, Any]] = {
    200: dict(_OBJECT_OR_EVENTS),
    **_described(400, 401, 403, 404, 408, 413, 415, 422, 429, 500, 501, 502, 503, 507),
}
LISTS = _described(400, 401, 403, 404, 500)
HEALTH = _described(400, 401, 403, 503)
PAGES = _described(400)
