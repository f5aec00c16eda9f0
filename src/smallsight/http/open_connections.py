"""Limits the open connections, overall and per address, so that files stay free for everything else.

A connection that waits for the head of a request makes room for a new one, the oldest first. Plain policy:
it knows neither sockets nor HTTP.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import Protocol

from smallsight.http.foreign_pages import is_loopback
from smallsight.policy.log import get_logger

log = get_logger(__name__)

MAX_CONNECTIONS = 4096
_MIN_CONNECTIONS = 8
_RESERVED_FILES = 48  # decoders' pipes, the database, models, and connections accepted at the same moment
_ADDRESS_SHARE = 0.5  # of all connections, for one address other than this machine's
_LOG_EVERY_S = 10.0


class Closable(Protocol):
    """One connection."""

    def close_early(self) -> None:
        """Close it now, without an answer."""
        ...


class OpenConnections:
    """The connections of one server; belongs to its event loop."""

    def __init__(self, max_open: int) -> None:
        self.max_open = max_open
        self._max_of_address = max(1, int(max_open * _ADDRESS_SHARE))
        self._addresses: dict[Closable, str] = {}
        self._num_of_address: Counter[str] = Counter()
        self._waiting: dict[Closable, None] = {}  # in the order in which they began to wait
        self._num_closed = 0
        self._logged_s: float | None = None

    @property
    def num_open(self) -> int:
        """How many connections are open."""
        return len(self._addresses)

    def enter(self, connection: Closable, address: str) -> None:
        """Count a new connection, which waits for its first head; closes one if there are too many."""
        self._addresses[connection] = address
        self._num_of_address[address] += 1
        self._waiting[connection] = None
        if self._num_of_address[address] > self._max_of_address and not is_loopback(address):
            self._close_one(address)
        elif self.num_open > self.max_open:
            self._close_one(None)

    def note_waiting(self, connection: Closable) -> None:
        """Note that a connection waits for its next head."""
        if connection in self._addresses:
            self._waiting.setdefault(connection)

    def note_head(self, connection: Closable) -> None:
        """Note that the head of a request is complete."""
        self._waiting.pop(connection, None)

    def leave(self, connection: Closable) -> None:
        """Forget a connection that is closed."""
        self._waiting.pop(connection, None)
        if (address := self._addresses.pop(connection, None)) is not None:
            self._num_of_address[address] -= 1
            if not self._num_of_address[address]:
                del self._num_of_address[address]

    def _close_one(self, address: str | None) -> None:
        """Close the connection that has waited longest: the new one, if all others have requests."""
        oldest = next(one for one in self._waiting if address in (None, self._addresses[one]))
        self.leave(oldest)
        oldest.close_early()
        self._num_closed += 1
        now_s = time.monotonic()
        if self._logged_s is None or now_s - self._logged_s >= _LOG_EVERY_S:
            log.warning("too_many_connections", open=self.num_open, closed=self._num_closed)
            self._logged_s = now_s


def most_connections(max_files: int, num_open_files: int) -> int:
    """Return how many connections leave enough of ``max_files`` for everything else."""
    return max(_MIN_CONNECTIONS, min(MAX_CONNECTIONS, max_files - num_open_files - _RESERVED_FILES))
