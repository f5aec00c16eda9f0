"""A client's connection that has become a WebSocket: counted among the open ones until it is lost."""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from smallsight.http.open_connections import MAX_CONNECTIONS, OpenConnections

MAX_MESSAGE_BYTES = 64 * 1024  # pages send hardly anything; pictures go over HTTP


class CountedSocket(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket, counted. Set the attribute in a subclass."""

    opened = OpenConnections(MAX_CONNECTIONS)

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401 - asyncio's
        """Count it in place of the HTTP connection that it was."""
        super().connection_made(transport)
        self.opened.enter(self, "" if self.client is None else self.client[0])
        self.opened.note_head(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop counting it."""
        self.opened.leave(self)
        super().connection_lost(exc)

    def close_early(self) -> None:
        """Close the connection without an answer."""
        self.transport.abort()


def socket_class(opened: OpenConnections) -> type[Any]:
    """Return a WebSocket class whose connections are counted in ``opened``."""
    return type("Socket", (CountedSocket,), {"opened": opened})
