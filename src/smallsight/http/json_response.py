"""The JSON of all tenants: compact, and in ASCII."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def compact_json(data: Any) -> str:  # noqa: ANN401
    """Return JSON in ASCII: text from clients and models may contain what UTF-8 cannot encode."""
    return _encode(data)


def json_response(data: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:  # noqa: ANN401
    """Return a response with this JSON."""
    return Response(compact_json(data), status, headers, media_type="application/json")
