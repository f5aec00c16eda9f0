"""A connection of a process that answers some requests only, and passes its connection on at any other.

A request is passed on before anything of it is parsed, with the socket itself, so that the other process sees
the client as if it had accepted the connection.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import h11

from smallsight.http.connection import TimedConnection
from smallsight.http.passed_connections import ConnectionSender

__all__ = ["shared_connection_class", "with_close"]

IsAnswered = Callable[[bytes], bool]
"""Says whether this process answers the request whose first line this is, with its line break."""

_CLOSE = b"Connection: close\r\n"
_FIRST_LINE = re.compile(rb"[A-Z]+ ([!-~]+) HTTP/1\.1\r\n")


class SharedConnection(TimedConnection):
    """Set the three attributes in a subclass."""

    is_answered: IsAnswered
    is_socket: IsAnswered
    sender: ConnectionSender

    def data_received(self, data: bytes) -> None:
        """Parse bytes, or pass the connection on."""
        if self._is_between_requests() and not self.is_answered(data[: data.find(b"\r\n") + 2]):
            self.sender.send(self.transport.get_extra_info("socket"), self._passed(data))
            self.transport.abort()
        else:
            super().data_received(data)

    def _is_between_requests(self) -> bool:
        """Return whether these bytes begin a request, and the answer to the one before has left."""
        cycle: Any = self.cycle  # None before the first request
        is_idle = cycle is None or cycle.response_complete
        is_new = self.conn.their_state is h11.IDLE and not self.conn.trailing_data[0]
        return is_idle and is_new and not self.transport.get_write_buffer_size()

    def _passed(self, data: bytes) -> bytes:
        return data if self.is_socket(data[: data.find(b"\r\n") + 2]) else with_close(data)


def with_close(data: bytes) -> bytes:
    """Return the beginning of a request that asks for the connection to be closed after the answer.

    The client then connects again, so that not all connections end up in the process they are passed to.
    """
    first = _FIRST_LINE.match(data)
    return data if first is None else data[: first.end()] + _CLOSE + data[first.end() :]


def shared_connection_class(
    made: type[Any], sender: ConnectionSender, is_answered: IsAnswered, is_socket: IsAnswered
) -> type[Any]:
    """Return a subclass of a class that ``connection_class`` has made."""
    own = {
        "sender": sender,
        "is_answered": staticmethod(is_answered),
        "is_socket": staticmethod(is_socket),
    }
    return type("Connection", (SharedConnection, made), own)
