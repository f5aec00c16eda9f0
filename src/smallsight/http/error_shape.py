"""How an error becomes a response: headers and log line here, the body in the shape that is handed in.

Each protocol has its own shape; nothing in ``http`` knows any of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import structlog
from starlette.responses import Response
from starlette.types import Scope

from smallsight.errors import MemoryBudgetError, ModelError, SmallsightError

log = structlog.get_logger(__name__)

_RETRY_LATER_S = 5
_MAX_MESSAGE_CHARS = 1000


class ErrorShape(Protocol):
    """How one protocol writes errors. Takes the messages of SmallsightError from ``public_message``."""

    def of_error(self, error: SmallsightError) -> Response:
        """Return the response for an error of ours, with the error's own status."""
        ...

    def of_status(self, status: int, message: str) -> Response:
        """Return the response where the framework refuses: no such route (404), wrong method (405)."""
        ...


class ErrorShapes:
    """Which shape answers for which part of the server: by the path's prefix, else the default."""

    def __init__(self, default: ErrorShape, by_prefix: Mapping[str, ErrorShape] | None = None) -> None:
        self._default = default
        self._by_prefix = dict(by_prefix or {})

    def at(self, scope: Scope) -> ErrorShape:
        """Return the shape of the tenant that this request or handshake is addressed to."""
        path = scope.get("path", "")
        for prefix, shape in self._by_prefix.items():
            if path == prefix or path.startswith(f"{prefix}/"):
                return shape
        return self._default


def error_response(error: SmallsightError, shape: ErrorShape) -> Response:
    """Return the response to a request that failed; details that a stranger may not see go to the log."""
    if error.http_status >= 500 and not isinstance(error, MemoryBudgetError):
        log.error("request_failed", code=error.code, why=str(error))
    response = shape.of_error(error)
    retry_after_s = getattr(error, "retry_after_s", None)
    if retry_after_s is None and error.http_status in (429, 503):
        retry_after_s = _RETRY_LATER_S
    if retry_after_s is not None:
        response.headers["retry-after"] = str(retry_after_s)
    if error.http_status == 401:
        response.headers["www-authenticate"] = "Bearer"
    return response


def public_message(error: SmallsightError) -> str:
    """Return what a client may read of an error; the message of a 500 may name paths on the server's disk."""
    if error.http_status == 500:
        what = "The model" if isinstance(error, ModelError) else "The request"
        return f"{what} failed. The server's log says why."
    return printable(str(error))


def printable(text: str) -> str:
    """Return text from a request as one printable line of at most 1000 characters."""
    return "".join(one if one.isprintable() else " " for one in text[:_MAX_MESSAGE_CHARS])
