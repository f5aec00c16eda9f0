"""Passes open connections from one process to another: the file descriptor, and what was read from it.

Each message on the socket between the two processes is a length, with a descriptor attached, and that many
bytes. A length alone, without a descriptor, says that the sender is ready.
"""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue

__all__ = ["ConnectionSender", "receive_connections"]

_LENGTH = struct.Struct(">I")
_MAX_BYTES = 1024 * 1024

OnConnection = Callable[[socket.socket, bytes], None]


class ConnectionSender:
    """Sends connections in the order in which they are given, in a thread: the other side may be slow."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._waiting: SimpleQueue[tuple[int, bytes] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._send_all, name="smallsight-pass", daemon=True)
        self._thread.start()

    def tell_ready(self) -> None:
        """Say that this process serves."""
        self._control.sendall(_LENGTH.pack(0))

    def send(self, connection: socket.socket, data: bytes) -> None:
        """Send a duplicate of a connection; the caller closes the original without shutting it down."""
        self._waiting.put((os.dup(connection.fileno()), data))

    def close(self) -> None:
        """Send what waits, and end the thread."""
        self._waiting.put(None)
        self._thread.join(1.0)

    def _send_all(self) -> None:
        while (one := self._waiting.get()) is not None:
            descriptor, data = one
            try:
                socket.send_fds(self._control, [_LENGTH.pack(len(data))], [descriptor])
                self._control.sendall(data)
            except OSError:  # the other process has ended, and this one is about to
                return
            finally:
                os.close(descriptor)


def receive_connections(
    control: socket.socket, on_ready: Callable[[], None], on_connection: OnConnection
) -> None:
    """Call back for each message, in this thread, until the other process ends or says something odd."""
    while True:
        try:
            head, descriptors, _, _ = socket.recv_fds(control, _LENGTH.size, 1)
        except OSError:
            return
        connections = [socket.socket(fileno=one) for one in descriptors]
        try:
            head += _exactly(control, _LENGTH.size - len(head)) if head else b""
            length = _LENGTH.unpack(head)[0] if len(head) == _LENGTH.size else None
            data = b"" if not length or length > _MAX_BYTES else _exactly(control, length)
        except OSError:
            length = None
        if length is None or len(data) != length or len(connections) != bool(length):
            for one in connections:
                one.close()
            return
        if connections:
            on_connection(connections[0], data)
        else:
            on_ready()


def _exactly(control: socket.socket, num_bytes: int) -> bytes:
    """Return this many bytes, or fewer if the other process ends."""
    data = b""
    with suppress(OSError):
        while len(data) < num_bytes and (part := control.recv(num_bytes - len(data))):
            data += part
    return data
