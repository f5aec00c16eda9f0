"""Errors as OpenAI's clients read them: one object with message, type, param and code."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from smallsight.errors import SmallsightError, UnknownModelError
from smallsight.http.error_shape import public_message
from smallsight.http.json_response import json_response

_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
_CODES: dict[type[SmallsightError], str] = {UnknownModelError: "model_not_found"}


class OpenAIErrors:
    """The error shape of OpenAI's protocol. See ``http.error_shape.ErrorShape``."""

    def of_error(self, error: SmallsightError) -> Response:
        """Return the response for an error of ours, with the error's own status."""
        return json_response(error_body(error), error.http_status)

    def of_status(self, status: int, message: str) -> Response:
        """Return the response where there is no such route or method; it has no code."""
        return json_response(_body(status, message, None, None), status)


def error_body(error: SmallsightError) -> dict[str, Any]:
    """Return an error as OpenAI's clients read it, inside a stream too."""
    code = _CODES.get(type(error), error.code)
    return _body(error.http_status, public_message(error), code, getattr(error, "param", None))


def _body(status: int, message: str, code: str | None, param: str | None) -> dict[str, Any]:
    kind = _TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}
