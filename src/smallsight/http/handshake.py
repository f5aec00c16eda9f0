"""The answer to one WebSocket handshake, and the one close after it, whatever the layers inside try to send.

Inside, a refusal is a response like any other. Here it becomes what the protocol allows at that moment: the
response itself, where the server offers that extension; a close with 1008 before the handshake is accepted
(servers answer it with 403); a close after it, where no response is possible any more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.types import Message, Scope, Send

_EXTENSION = "websocket.http.response"
_POLICY_VIOLATION, _INTERNAL_ERROR = 1008, 1011  # RFC 6455, section 7.4.1
SWITCHING_PROTOCOLS, FORBIDDEN = 101, 403


class Handshake:
    """Sends what one WebSocket route sends, in an order that the server accepts."""

    def __init__(self, scope: Scope, send: Send, on_answer: Callable[[int], None]) -> None:
        """``on_answer`` is called once, with the HTTP status that the client gets: 101, or a refusal's."""
        self._send = send
        self._on_answer = on_answer
        self._offers_responses = _EXTENSION in (scope.get("extensions") or {})
        self._is_refusing = False
        self.status: int | None = None
        self.is_complete = False  # refused or closed: nothing can follow

    async def send(self, message: Message) -> None:
        """Pass a message on, or what it means at this point."""
        kind = message["type"]
        if kind == f"{_EXTENSION}.start":
            await self._refuse(message)
        elif kind == f"{_EXTENSION}.body":
            if self._is_refusing:
                await self._send(message)
        else:
            if kind == "websocket.accept":
                self._note(SWITCHING_PROTOCOLS)
            elif kind == "websocket.close":
                if self.is_complete:
                    return
                self.is_complete = True
                self._note(FORBIDDEN)
            await self._send(message)

    async def close(self, code: int = _INTERNAL_ERROR) -> None:
        """Close the connection if nobody has."""
        await self.send({"type": "websocket.close", "code": code, "reason": ""})

    async def _refuse(self, message: Message) -> None:
        if self.status is None and self._offers_responses:
            self._is_refusing = self.is_complete = True
            self._note(message["status"])
            await self._send(message)
        else:
            await self.close(_INTERNAL_ERROR if message["status"] >= 500 else _POLICY_VIOLATION)

    def _note(self, status: int) -> None:
        if self.status is None:
            self.status = status
            self._on_answer(status)


def with_responses(scope: Scope) -> dict[str, Any]:
    """Return a scope that says a route may refuse with a response, which ``Handshake`` makes true."""
    return {**scope, "extensions": {**(scope.get("extensions") or {}), _EXTENSION: {}}}
