"""Errors as OpenAI's clients expect them: one object with message, type, param and code."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from starlette.responses import Response

from smallsight.errors import SmallsightError, UnknownModelError
from smallsight.http.error_shape import public_message
from smallsight.http.json_response import json_response

_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
_CODES: dict[type[SmallsightError], str] = {UnknownModelError: "model_not_found"}


class OpenAIErrorFields(BaseModel):
    """What is known about an error."""

    message: str
    type: str
    param: str | None
    code: str | None


class OpenAIErrorBody(BaseModel):
    """An error in OpenAI's protocol."""

    error: OpenAIErrorFields


class OpenAIErrors:
    """The error shape of OpenAI's protocol. See ``http.error_shape.ErrorShape``."""

    def of_error(self, error: SmallsightError) -> Response:
        """Return the response for an error that Smallsight raised."""
        return json_response(error_body(error), error.http_status)

    def of_status(self, status: int, message: str) -> Response:
        """Return the response for an error of the framework; it has no code."""
        return json_response(_body(status, message, None, None), status)


def error_body(error: SmallsightError) -> dict[str, Any]:
    """Return the body of an error, for a response and for an event in a stream."""
    code = _CODES.get(type(error), error.code)
    return _body(error.http_status, public_message(error), code, getattr(error, "param", None))


def _body(status: int, message: str, code: str | None, param: str | None) -> dict[str, Any]:
    kind = _TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}
