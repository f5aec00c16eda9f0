"""Errors as Anthropic's clients expect them: type "error", around an object with type and message."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel
from starlette.responses import Response

from smallsight.anthropic.request_id import identified
from smallsight.errors import SmallsightError
from smallsight.http.error_shape import public_message
from smallsight.http.event_stream import event
from smallsight.http.json_response import json_response
from smallsight.http.request_log import current_request_id

_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
}


class AnthropicErrorFields(BaseModel):
    """What is known about an error."""

    type: str
    message: str


class AnthropicErrorBody(BaseModel):
    """An error in Anthropic's protocol."""

    type: Literal["error"]
    error: AnthropicErrorFields
    request_id: str


class AnthropicErrors:
    """The error shape of Anthropic's protocol. See ``http.error_shape.ErrorShape``."""

    def of_error(self, error: SmallsightError) -> Response:
        """Return the response for an error that Smallsight raised."""
        body = _error_object(error.http_status, public_message(error))
        return identified(json_response(body, error.http_status))

    def of_status(self, status: int, message: str) -> Response:
        """Return the response for an error of the framework."""
        return identified(json_response(_error_object(status, message), status))


def error_event(error: SmallsightError) -> bytes:
    """Return an error as the last event of a stream."""
    return event(_error_object(error.http_status, public_message(error)), "error")


def _error_object(status: int, message: str) -> dict[str, Any]:
    kind = _TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
    return {
        "type": "error",
        "error": {"type": kind, "message": message},
        "request_id": current_request_id(),
    }
