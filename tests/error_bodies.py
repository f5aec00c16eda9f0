"""What an error of each protocol looks like, by the path of a request."""

from __future__ import annotations

from typing import Any

TENANTS = ("/api", "/v1/messages", "/mcp", "/ping", "/predict", "/generator", "/app")


def tenant_of(path: str) -> str:
    """Return the prefix of the tenant that serves a path, "" for OpenAI's protocol."""
    return next((one for one in TENANTS if path == one or path.startswith(f"{one}/")), "")


def require_error(path: str, body: Any) -> str:
    """Fail unless a body is an error of the path's protocol; return its message."""
    tenant = tenant_of(path)
    if tenant == "/api":
        assert set(body) == {"error"}, body
        message = body["error"]
    elif tenant == "/v1/messages":
        assert set(body) == {"type", "error", "request_id"}, body
        assert (body["type"], set(body["error"])) == ("error", {"type", "message"}), body
        message = body["error"]["message"]
    elif tenant == "/mcp":
        assert set(body) == {"jsonrpc", "id", "error"}, body
        assert body["jsonrpc"] == "2.0"
        assert isinstance(body["error"]["code"], int)
        message = body["error"]["message"]
    elif tenant in ("/ping", "/predict", "/generator"):
        assert set(body) == {"detail"}, body
        message = body["detail"]
        if tenant == "/generator" and isinstance(message, list):  # what is wrong in a job
            assert all({"type", "loc", "msg"} <= set(one) for one in message), body
            message = str(message)
    else:
        assert set(body) == {"error"}, body
        assert set(body["error"]) == {"message", "type", "param", "code"}, body
        message = body["error"]["message"]
    assert isinstance(message, str), body
    assert message, body
    return message
