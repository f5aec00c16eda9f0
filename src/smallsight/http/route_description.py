"""What `/openapi.json` says about the routes of every protocol: their bodies, and their answers by status.

Schemas are written out where they are used; ``serve.description`` gives each of them one place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

RouteAnswers = dict[int | str, dict[str, Any]]

COMPONENT = "#/components/schemas/{model}"
JSON = "application/json"
ASKING = (400, 401, 403, 404, 408, 413, 415, 422, 429, 500, 501, 502, 503, 507)  # a model is asked
POSTING = (400, 401, 403, 404, 408, 413, 415, 422, 429, 500, 501, 503)  # a body is read
READING = (400, 401, 403, 404, 500)

_TEXTS: Mapping[int, str] = {
    400: "A field is missing, wrong, or not supported.",
    401: "No key, or an unknown one.",
    403: "The key does not allow this, or the request comes from a page of another site.",
    404: "Unknown model, response or item.",
    406: "The client does not accept what would be returned.",
    408: "The body took too long.",
    413: "The body or a picture is too large.",
    415: "Not a picture, or not of a supported format.",
    422: "A picture does not decode, or a value is not allowed.",
    429: "Too many requests are in progress; see `Retry-After`.",
    500: "The request failed.",
    501: "This installation lacks a part that the request needs.",
    502: "The server that runs the model does not answer.",
    503: "Not enough memory for the model, or the server is stopping; see `Retry-After`.",
    507: "Not enough memory for the prompt.",
}


def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    """Return a type's schema; the types in it are in its ``$defs``, named as in the whole description."""
    return model.model_json_schema(ref_template=COMPONENT)


def error_answers(error: type[BaseModel], *statuses: int) -> RouteAnswers:
    """Return the answers of a route whose errors have this shape."""
    schema = schema_of(error)
    return {
        status: {"description": _TEXTS[status], "content": {JSON: {"schema": schema}}} for status in statuses
    }


def answer(text: str, *kinds: str) -> RouteAnswers:
    """Return the answer to a request that succeeds, as JSON or any of these content types."""
    content: dict[str, Any] = {JSON: {"schema": {"type": "object"}}}
    content |= {kind: {"schema": {}} for kind in kinds}
    return {200: {"description": text, "content": content}}


def json_body(model: type[BaseModel]) -> dict[str, Any]:
    """Return the ``openapi_extra`` of a route that reads its JSON body by itself."""
    return body_of(JSON, schema_of(model))


def body_of(kind: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the ``openapi_extra`` of a route that reads a body of this content type."""
    return {"requestBody": {"required": True, "content": {kind: {"schema": dict(schema)}}}}
