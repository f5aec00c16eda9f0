"""Reads a request's body whatever its content type: Ollama's own examples send JSON as a form."""

from __future__ import annotations

from typing import TypeVar

from fastapi import Request
from pydantic import ValidationError

from smallsight.errors import BadRequestError
from smallsight.http.authorise import Gate
from smallsight.http.error_handlers import invalid_request
from smallsight.http.json_body import is_json
from smallsight.ollama.sampling import OllamaBody

_Body = TypeVar("_Body", bound=OllamaBody)


async def read_body(request: Request, kind: type[_Body]) -> _Body:
    """Return the body; raises BadRequestError for one that is missing or wrong."""
    body = await request.body()
    if not body.strip():
        raise BadRequestError("The request has no body.", hint="send a JSON object.")
    if request.method == "POST" and is_json(request.headers.get("content-type", "")):
        parsed = await request.json()  # parsed before the route, by ``UseRoute``
    else:
        gate: Gate = request.app.state.gate
        parsed = await gate.bodies.parse(body)
    try:
        return kind.model_validate(parsed)
    except ValidationError as error:
        raise invalid_request(error.errors()) from error
