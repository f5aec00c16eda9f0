"""The JSON responses of all tenants: compact, and in ASCII."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response


def json_response(data: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:  # noqa: ANN401
    """Return JSON in ASCII: text from clients and models may contain what UTF-8 cannot encode."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return Response(text, status, headers, media_type="application/json")
