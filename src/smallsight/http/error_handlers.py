"""Gives one application one error shape, whichever way a route fails; others beside it keep theirs."""

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
            404: f"There is nothing at {printable(request.url.path)}.",
            405: f"{printable(request.method)} is not possible here.",
        }.get(error.status_code, printable(str(error.detail)))
        response = shape.of_status(error.status_code, message)
        response.headers.update(error.headers or {})
        return response

    async def on_unforeseen(request: Request, error: Exception) -> Response:  # noqa: ARG001
        """Answer; Starlette raises the error again, and the request log writes it down."""
        return shape.of_error(SmallsightError("The request failed."))

    app.add_exception_handler(SmallsightError, on_own_error)
    app.add_exception_handler(RequestValidationError, on_invalid_request)
    app.add_exception_handler(HTTPException, on_refusal)
    app.add_exception_handler(Exception, on_unforeseen)


def invalid_request(problems: Sequence[Mapping[str, Any]]) -> BadRequestError:
    """Return what is wrong with a body, from the first problem that pydantic found."""
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
    return BadRequestError(printable(f"{place}: {message}."), param=printable(place)[:200])
