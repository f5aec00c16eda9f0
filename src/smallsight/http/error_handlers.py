"""Installs one error shape for every error of one application; other applications keep theirs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from smallsight.errors import BadRequestError, SmallsightError
from smallsight.http.error_shape import ErrorShape, error_response, printable

_SHOWN_CHARS = 60
# What pydantic adds to a path for a branch of a union, a discriminator or a validator.
_BRANCH = re.compile(r"str|list\[.*|tagged-union.*|function-.*|constrained-.*|nullable.*")


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
            404: f"Not found: {printable(request.url.path)}.{_nearest_hint(request)}",
            405: f"Method not allowed: {printable(request.method)}.",
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
    first = _most_telling(problems)
    names = [str(part) for part in first["loc"] if part != "body" and not _is_branch(part)]
    if first["type"] == "json_invalid":
        return BadRequestError("The body is not JSON.", hint="send an object, with its content type.")
    if not names:
        return BadRequestError(
            "The body is not a JSON object.", hint="send one, with the content type application/json."
        )
    field = ".".join(names)
    if first["type"] == "union_tag_not_found":
        return BadRequestError(printable(f"{field} has no type."), param=printable(field)[:200])
    if first["type"] == "union_tag_invalid":
        kind, allowed = str(first["ctx"]["tag"])[:_SHOWN_CHARS], first["ctx"]["expected_tags"]
        return BadRequestError(
            printable(f"{field} has an unknown type: {kind!r} (allowed: {allowed})."),
            param=printable(field)[:200],
        )
    message = re.sub(r"\s+", " ", str(first["msg"]))
    return BadRequestError(printable(f"{field}: {message}."), param=printable(field)[:200])


def _most_telling(problems: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return the problem that lies deepest, of those of the first field: a union has one for each branch."""
    field = _place(problems[0])
    same = [one for one in problems if _place(one)[: len(field)] == field]
    return max(same, key=lambda one: len(_place(one)))


def _place(problem: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(part) for part in problem["loc"] if not _is_branch(part))


def _is_branch(part: object) -> bool:
    return isinstance(part, str) and _BRANCH.fullmatch(part) is not None


def _nearest_hint(request: Request) -> str:
    """Return a hint at the route that a path lacks a prefix of, or has too many slashes for, or ""."""
    path = re.sub("/+", "/", request.url.path).rstrip("/")
    app = request.app
    if isinstance(app, FastAPI):
        paths = list(app.openapi()["paths"])
    else:
        paths = [str(getattr(one, "path", "")) for one in app.routes]
    for known in paths:
        if len(known) > 1 and len(path) > 1 and (known.endswith(path) or path.endswith(known)):
            return f" hint: the route is {known}."
    return ""
