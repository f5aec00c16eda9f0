"""Installs one error shape for every error of one application; other applications keep theirs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from smallsight.errors import BadRequestError, SmallsightError
from smallsight.http.error_shape import ErrorShape, error_response, printable


def handle_errors(app: Starlette, shape: ErrorShape) -> None:
    """Answer every error of this application's routes, WebSocket ones included, in this shape."""

    async def on_own_error(connection: HTTPConnection, error: Exception) -> Response:  # noqa: ARG001
        assert isinstance(error, SmallsightError)  # noqa: S101 - for the type checker: registered for it
        return error_response(error, shape)

    async def on_invalid_request(request: Request, error: Exception) -> Response:  # noqa: ARG001
        assert isinstance(error, RequestValidationError)  # noqa: S101 - for the type checker
        return error_response(invalid_request(error.errors()), shape)

    async def on_refusal(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 - for the type checker
        message = {
            404: f"Not found: {printable(request.url.path)}",
            405: f"Method not allowed: {printable(request.method)}",
        }.get(error.status_code, printable(str(error.detail)))
        response = shape.of_status(error.status_code, message)
        response.headers.update(error.headers or {})
        return response

    async def on_unexpected(request: Request, error: Exception) -> Response:  # noqa: ARG001
        """Respond; Starlette raises the error again, and ``RequestLog`` logs it."""
        return shape.of_error(SmallsightError("The request failed."))

    app.add_exception_handler(SmallsightError, on_own_error)
    app.add_exception_handler(RequestValidationError, on_invalid_request)
    app.add_exception_handler(HTTPException, on_refusal)
    app.add_exception_handler(Exception, on_unexpected)


def invalid_request(problems: Sequence[Mapping[str, Any]]) -> BadRequestError:
    """Return an error for the first problem that pydantic found in a body."""
    first = problems[0]
    names = [str(part) for part in first["loc"] if part != "body"]
    if first["type"] == "json_invalid":
        return BadRequestError("The body is not JSON.", hint="send an object, with its content type.")
    if not names:
        return BadRequestError(
            "The body is not a JSON object.", hint="send one, with the content type application/json."
        )
    field = ".".join(names)
    message = re.sub(r"\s+", " ", str(first["msg"]))
    return BadRequestError(printable(f"{field}: {message}."), param=printable(field)[:200])
