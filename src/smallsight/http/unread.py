"""Closes connections whose clients do not read what was sent to them."""

from __future__ import annotations

import asyncio

from smallsight.policy.log import get_logger

log = get_logger(__name__)

UNREAD_S = 60.0  # within which a client has to read ``_READ_BYTES``, or all that it has not read
_READ_BYTES = 32 * 1024


class UnreadTimer:
    """Runs while more is waiting to be sent on one connection than its transport wants to hold."""

    def __init__(self) -> None:
        self._timer: asyncio.TimerHandle | None = None

    def start(self, transport: asyncio.Transport) -> None:
        """Begin; called when the transport pauses writing."""
        self.stop()
        left_bytes = transport.get_write_buffer_size()
        self._timer = asyncio.get_running_loop().call_later(UNREAD_S, self._end, transport, left_bytes)

    def stop(self) -> None:
        """End; called when the transport resumes writing, and when the connection is lost."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end(self, transport: asyncio.Transport, left_bytes: int) -> None:
        if left_bytes - transport.get_write_buffer_size() >= _READ_BYTES:
            self.start(transport)
            return
        log.info("client_does_not_read")
        transport.abort()
