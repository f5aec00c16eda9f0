"""Installs one error shape for every error of one application; other applications keep theirs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import Response

from smallsight.errors import BadRequestError, SmallsightError
from smallsight.http.error_shape import ErrorShape, error_response, printable
from smallsight.http.known_methods import MethodTable

_SHOWN_CHARS = 60
_CLIENT_LEFT = 499  # nobody receives it; the log and the metrics have it
_SHOULD_BE = "Input should be "
_OBJECT = re.compile(r"a valid dictionary( or (instance of \w+|object to extract fields from))?")
_ABSENT = object()
_SOURCES = ("body", "query")  # how pydantic's paths begin in FastAPI
# What pydantic adds to a path for a branch of a union, a discriminator or a validator.
_BRANCH = re.compile(r"str|list\[.*|tagged-union.*|function-.*|constrained-.*|nullable.*")


def handle_errors(app: Starlette, shape: ErrorShape) -> None:
    """Answer every error of this application's routes, WebSocket ones included, in this shape."""

    async def on_own_error(connection: HTTPConnection, error: Exception) -> Response:  # noqa: ARG001
        assert isinstance(error, SmallsightError)  # noqa: S101 - for the type checker: registered for it
        return error_response(error, shape)

    async def on_invalid_request(request: Request, error: Exception) -> Response:  # noqa: ARG001
        assert isinstance(error, RequestValidationError)  # noqa: S101 - for the type checker
        return error_response(invalid_request(error.errors(), error.body), shape)

    async def on_refusal(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 - for the type checker
        message = {
            404: f"Not found: {printable(request.url.path)}.{_nearest_hint(request)}",
            405: f"Method not allowed: {printable(request.method)}.",
        }.get(error.status_code, printable(str(error.detail)))
        response = shape.of_status(error.status_code, message)
        response.headers.update(error.headers or {})
        table: MethodTable | None = getattr(request.app.state, "methods", None)
        if error.status_code == 405 and table and (allowed := table.allow_header(request.url.path)):
            response.headers["allow"] = allowed
        return response

    async def on_leaving(request: Request, error: Exception) -> Response:  # noqa: ARG001
        """Respond to nobody: the client left, or sent what is not HTTP, before its body was complete."""
        return Response(status_code=_CLIENT_LEFT)

    async def on_unexpected(request: Request, error: Exception) -> Response:  # noqa: ARG001
        """Respond; Starlette raises the error again, and ``RequestLog`` logs it."""
        return shape.of_error(SmallsightError("The request failed."))

    app.add_exception_handler(SmallsightError, on_own_error)
    app.add_exception_handler(RequestValidationError, on_invalid_request)
    app.add_exception_handler(HTTPException, on_refusal)
    app.add_exception_handler(ClientDisconnect, on_leaving)
    app.add_exception_handler(Exception, on_unexpected)


def invalid_request(problems: Sequence[Mapping[str, Any]], body: object = None) -> BadRequestError:
    """Return an error for the problem that pydantic found deepest in a body."""
    if problems[0]["type"] == "json_invalid":
        return BadRequestError("The body is not JSON.", hint="send an object, with its content type.")
    field, telling = _most_telling(problems, body)
    if not field:
        return BadRequestError(
            "The body is not a JSON object.", hint="send one, with the content type application/json."
        )
    if telling[0]["type"] == "union_tag_not_found" and isinstance(telling[0].get("input", {}), dict):
        return BadRequestError(printable(f"{field} has no type."), param=printable(field)[:200])
    if telling[0]["type"] == "union_tag_invalid":
        field += ".type"
        kind = str(_at(telling[0].get("input"), "type", telling[0]["ctx"]["tag"]))[:_SHOWN_CHARS]
        known = str(telling[0]["ctx"]["expected_tags"]).replace("'", "")
        message = f"{field}: {kind!r} is not known here; {known} are."
        return BadRequestError(printable(message), param=printable(field)[:200])
    told = " or ".join(dict.fromkeys(_told(one) for one in telling)).replace(f" or {_SHOULD_BE}", " or ")
    return BadRequestError(printable(f"{field}: {told}."), param=printable(field)[:200])


def _told(problem: Mapping[str, Any]) -> str:
    """Return pydantic's sentence about a problem in the words of JSON."""
    if problem["type"] == "union_tag_not_found":
        return f"{_SHOULD_BE}an object"
    return _OBJECT.sub("an object", re.sub(r"\s+", " ", str(problem["msg"])))


def _most_telling(problems: Sequence[Mapping[str, Any]], body: object) -> tuple[str, list[Mapping[str, Any]]]:
    """Return the deepest place of the first field's problems, and the problems there.

    A union has a problem for each branch: that of a branch which fits lies deeper.
    """
    placed = [(_place(one, body), one) for one in problems]
    first = placed[0][0][:1]
    same = [one for one in placed if one[0][:1] == first]
    deepest = max((place for place, _ in same), key=len)
    return ".".join(deepest), [problem for place, problem in same if place == deepest]


def _place(problem: Mapping[str, Any], body: object) -> tuple[str, ...]:
    """Return where a problem is in the body: pydantic's path without the names of branches of unions."""
    loc = problem["loc"]
    parts = loc[1:] if loc and loc[0] in _SOURCES else loc
    if body is None:
        return tuple(str(part) for part in parts if not _is_branch(part))
    place: list[str] = []
    value = body
    for index, part in enumerate(parts):
        if (inner := _at(value, part, _ABSENT)) is not _ABSENT:
            value = inner
        elif problem["type"] != "missing" or index + 1 < len(parts):
            continue
        place.append(str(part))
    return tuple(place)


def _at(value: object, part: object, default: object) -> object:
    """Return the value of a key or index, the default where there is none."""
    if isinstance(value, dict):
        return value.get(part, default)
    is_index = isinstance(value, list) and isinstance(part, int) and 0 <= part < len(value)
    return value[part] if is_index else default  # type: ignore[index]


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
    prefix = request.scope.get("root_path", "")
    for known in (f"{prefix}{one}" for one in paths if len(one) > 1):
        if len(path) > 1 and (known.endswith(path) or path.endswith(known)):
            return f" hint: the route is {known}."
    return ""
