"""An error shape that is nobody's protocol: plain text, the status, then the code."""

from __future__ import annotations

from starlette.responses import PlainTextResponse, Response

from smallsight.errors import SmallsightError
from smallsight.http.error_shape import ErrorShapes, public_message


class PlainErrors:
    def of_error(self, error: SmallsightError) -> Response:
        return PlainTextResponse(f"{error.code}: {public_message(error)}", error.http_status)

    def of_status(self, status: int, message: str) -> Response:
        return PlainTextResponse(f"{status}: {message}", status)


PLAIN = ErrorShapes(PlainErrors())
