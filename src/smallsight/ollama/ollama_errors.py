"""Errors as Ollama's clients expect them: an object whose ``error`` is a string."""

from __future__ import annotations

import json

from pydantic import BaseModel
from starlette.responses import Response

from smallsight.errors import SmallsightError
from smallsight.http.error_shape import public_message
from smallsight.http.json_response import json_response


class OllamaErrorBody(BaseModel):
    """An error in Ollama's protocol: a sentence."""

    error: str


class OllamaErrors:
    """The error shape of Ollama's protocol. See ``http.error_shape.ErrorShape``."""

    def of_error(self, error: SmallsightError) -> Response:
        """Return the response for an error that Smallsight raised."""
        return json_response({"error": public_message(error)}, error.http_status)

    def of_status(self, status: int, message: str) -> Response:
        """Return the response for an error of the framework."""
        return json_response({"error": message}, status)


def error_line(error: SmallsightError) -> bytes:
    """Return an error as the last line of a stream."""
    return json.dumps({"error": public_message(error)}).encode("ascii") + b"\n"
