"""A client's connection that has become a WebSocket: counted among the open ones until it is lost."""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from smallsight.http.open_connections import MAX_CONNECTIONS, OpenConnections
from smallsight.http.unread import UnreadTimer

MAX_MESSAGE_BYTES = 64 * 1024  # pages send hardly anything; pictures go over HTTP


class CountedSocket(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket, counted. Set the attribute in a subclass."""

    opened = OpenConnections(MAX_CONNECTIONS)

    def __init__(self, *arguments: Any, **named: Any) -> None:  # noqa: ANN401 - uvicorn's
        super().__init__(*arguments, **named)
        self._unread = UnreadTimer()

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401 - asyncio's
        """Count it in place of the HTTP connection that it was."""
        super().connection_made(transport)
        self.opened.enter(self, "" if self.client is None else self.client[0])
        self.opened.note_head(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop counting it."""
        self._unread.stop()
        self.opened.leave(self)
        super().connection_lost(exc)

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


def socket_class(opened: OpenConnections) -> type[Any]:
    """Return a WebSocket class whose connections are counted in ``opened``."""
    return type("Socket", (CountedSocket,), {"opened": opened})
