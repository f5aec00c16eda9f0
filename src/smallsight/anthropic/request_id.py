"""The id of a request under the name that Anthropic's clients read."""

from __future__ import annotations

from typing import TypeVar

from starlette.responses import Response

from smallsight.http.request_log import current_request_id

_Identified = TypeVar("_Identified", bound=Response)


def identified(response: _Identified) -> _Identified:
    """Add the header with the id of the request to a response, and return it."""
    response.headers["request-id"] = current_request_id()
    return response
