"""Turns an error into a response: headers and log line here, the body by the shape passed in.

Each protocol passes in a shape; ``http`` knows none of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from starlette.responses import Response
from starlette.types import Scope

from smallsight.errors import LoginRequiredError, MemoryBudgetError, ModelError, SmallsightError
from smallsight.policy.log import get_logger
from smallsight.policy.shown_text import shortened

log = get_logger(__name__)

_RETRY_LATER_S = 5
_MAX_NAME_CHARS, _MAX_MESSAGE_CHARS, _MAX_READ_CHARS = 120, 1000, 20_000


class ErrorShape(Protocol):
    """How one protocol formats errors; it takes their messages from ``public_message``."""

    def of_error(self, error: SmallsightError) -> Response:
        """Return the response for an error that Smallsight raised, with ``error.http_status``."""
        ...

    def of_status(self, status: int, message: str) -> Response:
        """Return the response for an error of the framework: no such route (404), wrong method (405)."""
        ...


class ErrorShapes:
    """Selects the error shape of a request by its path's prefix, else the default."""

    def __init__(self, default: ErrorShape, by_prefix: Mapping[str, ErrorShape] | None = None) -> None:
        self._default = default
        self._by_prefix = dict(by_prefix or {})

    def at(self, scope: Scope) -> ErrorShape:
        """Return the shape of the tenant that serves this request or handshake."""
        path = scope.get("path", "")
        for prefix, shape in self._by_prefix.items():
            if path == prefix or path.startswith(f"{prefix}/"):
                return shape
        return self._default


def error_response(error: SmallsightError, shape: ErrorShape) -> Response:
    """Return the response to a failed request; details that clients must not see go to the log."""
    if error.http_status >= 500 and not isinstance(error, MemoryBudgetError):
        log.error("request_failed", code=error.code, why=str(error))
    response = shape.of_error(error)
    retry_after_s = getattr(error, "retry_after_s", None)
    if retry_after_s is None and error.http_status in (429, 503):
        retry_after_s = _RETRY_LATER_S
    if retry_after_s is not None:
        response.headers["retry-after"] = str(retry_after_s)
    if error.http_status == 401 and not isinstance(error, LoginRequiredError):
        response.headers["www-authenticate"] = "Bearer"
    return response


def public_message(error: SmallsightError) -> str:
    """Return an error's message for clients; that of a 500 is replaced, as it may contain paths."""
    if error.http_status == 500:
        what = "The model" if isinstance(error, ModelError) else "The request"
        return f"{what} failed. The server's log says why."
    return printable(str(error))


def printable(text: str) -> str:
    """Return text from a request as one printable line: long names cut, at most 1000 characters."""
    cut = shortened(text[:_MAX_READ_CHARS], _MAX_NAME_CHARS)[:_MAX_MESSAGE_CHARS]
    return "".join(one if one.isprintable() else " " for one in cut)
