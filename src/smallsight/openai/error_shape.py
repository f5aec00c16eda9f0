"""How errors look to a client: OpenAI's object, one status each, and no more than a stranger may know."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from smallsight.errors import (
    BadRequestError,
    MemoryBudgetError,
    ModelError,
    SettingsError,
    SmallsightError,
    UnknownModelError,
)

log = structlog.get_logger(__name__)

_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
_CODES = {UnknownModelError: "model_not_found", SettingsError: "unsupported_value"}
_RETRY_LATER_S = 5
_MAX_MESSAGE_CHARS = 1000


def error_body(error: SmallsightError) -> dict[str, Any]:
    """Return an error as OpenAI's clients read it."""
    return _body(error.http_status, _told(error), _code(error), getattr(error, "param", None))


def error_response(error: SmallsightError) -> Response:
    """Return the answer to a request that failed; what a stranger may not know goes to the log."""
    if error.http_status >= 500 and not isinstance(error, MemoryBudgetError):
        log.error("request_failed", code=error.code, why=str(error))
    headers = {}
    retry_after_s = getattr(error, "retry_after_s", None)
    if retry_after_s is None and error.http_status in (429, 503):
        retry_after_s = _RETRY_LATER_S
    if retry_after_s is not None:
        headers["retry-after"] = str(retry_after_s)
    if error.http_status == 401:
        headers["www-authenticate"] = "Bearer"
    return json_response(error_body(error), error.http_status, headers)


def json_response(data: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:  # noqa: ANN401
    """Return JSON in ASCII: text from clients and models may hold what UTF-8 cannot write."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return Response(text, status, headers, media_type="application/json")


def handle_errors(app: FastAPI) -> None:
    """Give every way a route can fail this one shape."""
    app.add_exception_handler(SmallsightError, _on_own_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(Exception, _on_unforeseen)


async def _on_own_error(request: Request, error: Exception) -> Response:  # noqa: ARG001 - Starlette's shape
    assert isinstance(error, SmallsightError)  # noqa: S101 - for the type checker: registered for it
    return error_response(error)


async def _on_invalid_request(request: Request, error: Exception) -> Response:  # noqa: ARG001
    assert isinstance(error, RequestValidationError)  # noqa: S101 - for the type checker
    return error_response(invalid_request(error.errors()))


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - for the type checker
    message = {
        404: f"There is nothing at {_plain(request.url.path)}.",
        405: f"{_plain(request.method)} is not possible here.",
    }.get(error.status_code, _plain(str(error.detail)))
    body = _body(error.status_code, message, None, None)
    return json_response(body, error.status_code, error.headers)


async def _on_unforeseen(request: Request, error: Exception) -> Response:  # noqa: ARG001
    """Answer; Starlette raises the error again, and the request log writes it down."""
    return json_response(error_body(SmallsightError("The request failed.")), 500)


def invalid_request(problems: Sequence[Mapping[str, Any]]) -> BadRequestError:
    """Return what is wrong with a body, from the first thing that pydantic found."""
    first = problems[0]
    names = [str(part) for part in first["loc"] if part != "body"]
    if first["type"] == "json_invalid":
        return BadRequestError("The body is not JSON.", hint="send an object, with its content type.")
    if not names:
        return BadRequestError(
            "The body is not a JSON object.", hint="send one, with the content type application/json."
        )
    place = ".".join(names)
    message = re.sub(r"\s+", " ", str(first["msg"]))
    return BadRequestError(_plain(f"{place}: {message}."), param=_plain(place)[:200])


def _body(status: int, message: str, code: str | None, param: str | None) -> dict[str, Any]:
    kind = _TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def _told(error: SmallsightError) -> str:
    """Return the message; that of a failure of ours may name places on the server's disk: it stays there."""
    if error.http_status == 500:
        what = "The model" if isinstance(error, ModelError) else "The request"
        return f"{what} failed. The server's log says why."
    return _plain(str(error))


def _code(error: SmallsightError) -> str:
    return _CODES.get(type(error), error.code)


def _plain(text: str) -> str:
    """Return text from a request as one printable line of bounded length."""
    return "".join(one if one.isprintable() else " " for one in text[:_MAX_MESSAGE_CHARS])
