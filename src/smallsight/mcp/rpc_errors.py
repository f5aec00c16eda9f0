"""Errors before the protocol is reached, as JSON-RPC responses without an id: no key, a wrong method."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from smallsight.errors import SmallsightError
from smallsight.http.error_shape import public_message
from smallsight.http.json_response import json_response

_INVALID_REQUEST, _INTERNAL = -32600, -32603


class RpcErrors:
    """The error shape of the Model Context Protocol over HTTP. See ``http.error_shape.ErrorShape``."""

    def of_error(self, error: SmallsightError) -> Response:
        """Return the response for an error that Smallsight raised."""
        return json_response(_body(error.http_status, public_message(error), error.code), error.http_status)

    def of_status(self, status: int, message: str) -> Response:
        """Return the response for an error of the framework; it has no code of ours."""
        return json_response(_body(status, message, None), status)


def _body(status: int, message: str, code: str | None) -> dict[str, Any]:
    error: dict[str, Any] = {"code": _INTERNAL if status >= 500 else _INVALID_REQUEST, "message": message}
    if code is not None:
        error["data"] = {"code": code}
    return {"jsonrpc": "2.0", "id": None, "error": error}
