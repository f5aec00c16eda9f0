"""Errors as Immich's machine-learning service writes them: one object with ``detail``."""

from __future__ import annotations

from pydantic import BaseModel
from starlette.responses import Response

from smallsight.errors import SmallsightError
from smallsight.http.error_shape import public_message
from smallsight.http.json_response import json_response


class ImmichErrorBody(BaseModel):
    """An error in Immich's protocol."""

    detail: str


class ImmichErrors:
    """The error shape of Immich's protocol. See ``http.error_shape.ErrorShape``."""

    def of_error(self, error: SmallsightError) -> Response:
        """Return the response for an error that Smallsight raised."""
        return json_response({"detail": public_message(error)}, error.http_status)

    def of_status(self, status: int, message: str) -> Response:
        """Return the response for an error of the framework."""
        return json_response({"detail": message}, status)
