"""Which requests may say that they were forwarded, and what of that is believed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from smallsight.http.proxy_headers import ProxyHeaders


def seen(peer: str, kind: str = "http", **headers: str) -> tuple[str, str]:
    """Return the scheme and client that the application sees."""
    found: list[dict[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        found.append(scope)

    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scheme = "ws" if kind == "websocket" else "http"
    scope = {"type": kind, "scheme": scheme, "client": (peer, 1234), "headers": raw}
    asyncio.run(ProxyHeaders(app)(scope, None, None))  # type: ignore[arg-type]
    return found[0]["scheme"], found[0]["client"][0]


@pytest.mark.parametrize(("kind", "scheme"), [("http", "https"), ("websocket", "wss")])
def test_a_proxy_on_this_machine_is_believed(kind: str, scheme: str):
    assert seen("127.0.0.1", kind, x_forwarded_proto="https", x_forwarded_for="203.0.113.9") == (
        scheme,
        "203.0.113.9",
    )
    assert seen("::1", kind, x_forwarded_proto="HTTPS", x_forwarded_for="2001:db8::1") == (
        scheme,
        "2001:db8::1",
    )


def test_other_machines_are_not():
    assert seen("192.0.2.1", x_forwarded_proto="https", x_forwarded_for="127.0.0.1") == ("http", "192.0.2.1")


def test_only_what_the_proxy_added_counts_and_nonsense_does_not():
    assert seen("127.0.0.1", x_forwarded_for="127.0.0.1, 203.0.113.9")[1] == "203.0.113.9"
    assert seen("127.0.0.1", x_forwarded_for="203.0.113.9, <script>")[1] == "127.0.0.1"
    assert seen("127.0.0.1", x_forwarded_proto="javascript")[0] == "http"
    assert seen("127.0.0.1") == ("http", "127.0.0.1")
