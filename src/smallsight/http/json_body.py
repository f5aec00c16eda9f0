"""Parses the JSON bodies of requests: the one gate through which every field of a request comes.

What it returns is Unicode without half characters, has bounded text, and was parsed outside the event loop if
it is large. Owns no route and no field's meaning.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from pydantic_core import from_json
from starlette.requests import Request

from smallsight.errors import BadRequestError, InvalidTextError, RequestTooLargeError
from smallsight.policy.valid_text import is_valid_text

# Commas, colons and brackets of a JSON body, also inside strings: each value needs at least one. A value
# costs far more memory and time than its bytes. ``RequestLimit`` counts them while a body arrives that says
# it is JSON, ``parse_json`` in any other.
MAX_STRUCTURAL = 200_000
_STRUCTURAL = b",:[]{}"
MAX_TEXT_CHARS = 2 * 1024 * 1024  # all strings and names of a body together, but for pictures and videos
_PARSED_AT_ONCE_BYTES = 64 * 1024  # two or three milliseconds at most
_SEARCHED_BYTES = 1024 * 1024
_SHOWN_CHARS = 200
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_PICTURE_KEYS = {"data", "image"}
_PICTURE_LISTS = {"images"}  # of base64
_PICTURE_PREFIX = "data:"


class JsonRequest(Request):
    """A request whose body was parsed by ``parse_body``; FastAPI takes what ``json`` returns."""

    _parsed: Any = None

    async def parse_body(self, bodies: JsonBodies) -> None:
        """Read and parse a JSON body; leaves other bodies to the route."""
        body = await self.body()
        if body and is_json(self.headers.get("content-type", "")):
            self._parsed = await bodies.parse(body)

    async def json(self) -> Any:  # noqa: ANN401 - Starlette's shape
        """Return the parsed body."""
        return self._parsed


class JsonBodies:
    """Parses large bodies in a thread of its own, one at a time, and small ones at once."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "smallsight-bodies")

    async def parse(self, body: bytes) -> Any:  # noqa: ANN401
        """Return the parsed body; raises as ``parse_json`` does."""
        if len(body) <= _PARSED_AT_ONCE_BYTES:
            return parse_json(body)
        return await asyncio.get_running_loop().run_in_executor(self._thread, parse_json, body)


def num_structural(body: bytes) -> int:
    """Return how many commas, colons and brackets there are."""
    return len(body) - len(body.translate(None, _STRUCTURAL))


def too_many_values() -> RequestTooLargeError:
    """Return the error for a body with too many values."""
    return RequestTooLargeError(
        f"The body has too many values (limit {MAX_STRUCTURAL} commas, colons and brackets).",
        hint="send fewer; pictures are strings in base64.",
    )


def is_json(content_type: str) -> bool:
    """Return whether a content type means JSON: ``application/json`` or ``application/*+json``."""
    kind = content_type.partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


def parse_json(body: bytes) -> Any:  # noqa: ANN401
    """Parse a body in UTF-8.

    Raises InvalidTextError for half a character, RequestTooLargeError for too much text or too many values,
    and BadRequestError for anything that is not JSON.
    """
    if len(body) > MAX_STRUCTURAL and num_structural(body) > MAX_STRUCTURAL:
        raise too_many_values()
    try:
        parsed = from_json(body.removeprefix(_BYTE_ORDER_MARK))
    except ValueError as error:
        if (path := _half_character(body, str(error))) is not None:
            raise InvalidTextError.of(path or "The body of the request") from error
        raise BadRequestError("The body is not JSON.", hint="send an object, in UTF-8.") from error
    if len(body) > MAX_TEXT_CHARS:
        _require_bounded_text(parsed)
    return parsed


def _require_bounded_text(parsed: object) -> None:
    num_chars = 0
    for path, text in _texts(parsed, ()):
        num_chars += 0 if _is_picture(path, text) else len(text)
    if num_chars > MAX_TEXT_CHARS:
        raise RequestTooLargeError(
            f"The request has too much text: {num_chars} characters (limit {MAX_TEXT_CHARS}).",
            hint="only pictures and videos, as data: URLs, may be larger.",
        )


def _is_picture(path: tuple[str | int, ...], text: str) -> bool:
    if text[:5].lower() == _PICTURE_PREFIX or (path and path[-1] in _PICTURE_KEYS):
        return True
    return len(path) > 1 and path[-2] in _PICTURE_LISTS and isinstance(path[-1], int)


def _half_character(body: bytes, why: str) -> str | None:
    """Return the path of a string with half a character, "" if it is unknown, None if there is none."""
    if len(body) > _SEARCHED_BYTES:  # a second parser would take too long
        return "" if "hex escape" in why else None
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return None
    for path, text in _texts(parsed, ()):
        if not is_valid_text(text):
            whole = ".".join(map(str, path))[:_SHOWN_CHARS]
            return whole if is_valid_text(whole) else ""
    return None


def _texts(parsed: object, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield every string with its path, and every name with the path of its object; never recurses."""
    waiting = [(path, parsed)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, str):
            yield path, value
        elif isinstance(value, dict):
            for name, inner in value.items():
                yield path, name
                waiting.append(((*path, name), inner))
        elif isinstance(value, list):
            waiting += [((*path, index), inner) for index, inner in enumerate(value)]
