"""Sends the head of an answer with its body: two writes are two packets, and wake the client twice."""

from __future__ import annotations

import asyncio
from typing import Any

_JOINED_BYTES = 64 * 1024  # larger ones are not copied to be joined


class JoinedWrites:
    """A connection's transport; between ``hold`` and ``release`` it keeps what is written."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._held: list[bytes] | None = None

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever else a transport has
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Write, or keep it for later."""
        if self._held is None:
            self._transport.write(data)
        else:
            self._held.append(data)

    def hold(self) -> None:
        """Keep what is written from now on."""
        self._held = []

    def release(self) -> None:
        """Write what was kept."""
        held, self._held = self._held or [], None
        if sum(map(len, held)) <= _JOINED_BYTES:
            held = [b"".join(held)]
        for data in held:
            if data:
                self._transport.write(data)

    def close(self) -> None:
        """Write what was kept, and close."""
        self.release()
        self._transport.close()
