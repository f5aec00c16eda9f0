"""A client's connection with a deadline for the head of each request, counted among the open ones."""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from smallsight.http.direct_chunks import DirectChunks
from smallsight.http.joined_writes import JoinedWrites
from smallsight.http.open_connections import MAX_CONNECTIONS, OpenConnections
from smallsight.http.repeated_line import RepeatedLine
from smallsight.http.unread import UnreadTimer

MAX_HEAD_BYTES = 32 * 1024


class TimedConnection(H11Protocol):
    """uvicorn's connection with a deadline for request heads. Set the first two attributes in a subclass."""

    header_timeout_s = 10.0
    opened = OpenConnections(MAX_CONNECTIONS)
    unparsable = RepeatedLine("request_not_http")
    _head_timer: asyncio.TimerHandle | None = None

    def __init__(self, *arguments: Any, **named: Any) -> None:  # noqa: ANN401 - uvicorn's
        super().__init__(*arguments, **named)
        self._application: ASGIApp = self.app
        self.app = self._answer
        self._unread = UnreadTimer()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the deadline for the first request."""
        self._joined = JoinedWrites(transport)
        super().connection_made(self._joined)  # type: ignore[arg-type]
        self._await_head()
        self.opened.enter(self, "" if self.client is None else self.client[0])

    def data_received(self, data: bytes) -> None:
        """Parse bytes; the deadline runs until the head is complete."""
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._stop_waiting()
            self.opened.note_head(self)
        elif self._head_timer is None and not self.transport.is_closing():
            self._await_head()

    def handle_events(self) -> None:
        """Parse what has arrived, without empty lines before a request: clients of old send one after a body.

        h11 refuses them (findings/h11_empty_line_first.sh), RFC 9112, section 2.2, has them ignored.
        """
        if self.conn.their_state is h11.IDLE:
            waiting = self.conn.trailing_data[0]
            num_empty = len(waiting) - len(waiting.lstrip(b"\r\n"))
            self.conn._receive_buffer.maybe_extract_at_most(num_empty)  # noqa: SLF001 - nothing public drops bytes
        super().handle_events()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the deadline."""
        self._stop_waiting()
        self._unread.stop()
        self.opened.leave(self)
        super().connection_lost(exc)

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Hand the connection over; uvicorn calls ``connection_lost`` of the WebSocket alone from then on."""
        self._stop_waiting()
        self.opened.leave(self)
        super().handle_websocket_upgrade(event)

    def on_response_complete(self) -> None:
        """Wait for the next head."""
        super().on_response_complete()
        if self.conn.their_state is h11.IDLE:
            self.opened.note_waiting(self)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP, and log who sent it; uvicorn's own line does not say."""
        self.unparsable.write("" if self.client is None else self.client[0])
        super().send_400_response(msg)

    def pause_writing(self) -> None:
        """Have senders wait, but not for ever."""
        super().pause_writing()
        self._unread.start(self.transport)

    def resume_writing(self) -> None:
        """Have senders continue."""
        super().resume_writing()
        self._unread.stop()

    def close_early(self) -> None:
        """Close the connection without an answer."""
        self.transport.abort()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._application(scope, receive, DirectChunks(scope, send, self._joined, self.flow).send)
        finally:
            self._joined.release()

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(self.header_timeout_s, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


def connection_class(header_timeout_s: float, opened: OpenConnections | None = None) -> type[Any]:
    """Return a connection class with this deadline, whose connections are counted in ``opened``."""
    counted = opened or OpenConnections(MAX_CONNECTIONS)
    own = {
        "header_timeout_s": header_timeout_s,
        "opened": counted,
        "unparsable": RepeatedLine("request_not_http"),
    }
    return type("Connection", (TimedConnection,), own)
