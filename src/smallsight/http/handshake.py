"""Sends one response to a WebSocket handshake, and at most one close, whatever the inner layers send.

Inner layers refuse with an ordinary response. Here it becomes what the protocol allows at that point: the
response itself, if the server offers that extension; a close with 1008 before the handshake is accepted
(servers turn it into a 403); a close after the handshake, when no response is possible any more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.types import Message, Scope, Send

_EXTENSION = "websocket.http.response"
_POLICY_VIOLATION, _INTERNAL_ERROR = 1008, 1011  # RFC 6455, section 7.4.1
SWITCHING_PROTOCOLS, FORBIDDEN = 101, 403


class Handshake:
    """Forwards the messages of one WebSocket route, in an order that the server accepts."""

    def __init__(self, scope: Scope, send: Send, on_answer: Callable[[int], None]) -> None:
        """``on_answer`` is called once, with the HTTP status that the client gets: 101, or a refusal's."""
        self._send = send
        self._on_answer = on_answer
        self._offers_responses = _EXTENSION in (scope.get("extensions") or {})
        self._is_refusing = False
        self.status: int | None = None
        self.is_complete = False  # refused or closed: nothing can follow

    async def send(self, message: Message) -> None:
        """Forward a message, translated into what the protocol allows at this point."""
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
        """Close the connection unless it is refused or closed already."""
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
    """Return a scope that lets a route refuse with a response; ``Handshake`` implements that."""
    return {**scope, "extensions": {**(scope.get("extensions") or {}), _EXTENSION: {}}}
