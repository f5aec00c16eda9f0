"""Accepts connections beside other processes on one socket, so that each has about as many as the others.

Whichever process is awake first would accept most of them: the one that has just been at work. A process
that has more connections than another therefore waits a moment before it accepts; the other may be busy, so
that it waits only once.
"""

from __future__ import annotations

import asyncio
import mmap
import os
import socket
import struct
from collections.abc import Callable
from typing import Any

__all__ = ["ConnectAccepted", "FairAccept", "SharedCounts"]

ConnectAccepted = Callable[[socket.socket, Callable[[Any], None]], "asyncio.Task[bool]"]
"""Serves an accepted connection: calls back with its protocol, connects it, and returns whether it could."""

_COUNT = struct.Struct("=i")
_ABSENT = 2**31 - 1
_WAIT_S = 0.01
_RETRY_S = 0.1  # after an error such as too many open files


class SharedCounts:
    """A number for each of several processes, in memory that they share. Each writes only its own."""

    def __init__(self, descriptor: int, number: int) -> None:
        """Use the memory behind an open file; the caller closes the file."""
        self._number = number
        self._memory = mmap.mmap(descriptor, number * _COUNT.size)

    @classmethod
    def prepare(cls, descriptor: int, number: int) -> SharedCounts:
        """Return the counts of processes that are all absent yet, in an empty file."""
        os.ftruncate(descriptor, number * _COUNT.size)
        made = cls(descriptor, number)
        for position in range(number):
            made.set_absent(position)
        return made

    def set(self, position: int, count: int) -> None:
        """Set the number of one process."""
        _COUNT.pack_into(self._memory, position * _COUNT.size, count)

    def set_absent(self, position: int) -> None:
        """Note that a process accepts nothing."""
        self.set(position, _ABSENT)

    def least(self) -> int:
        """Return the lowest number."""
        counts = struct.unpack(f"={self._number}i", self._memory[: self._number * _COUNT.size])
        return int(min(counts))


class FairAccept:
    """Accepts in the event loop of one process. Start it there, and stop it before the socket is closed."""

    def __init__(
        self, listener: socket.socket, counts: SharedCounts, position: int, connect: ConnectAccepted
    ) -> None:
        self._listener = listener
        self._counts = counts
        self._position = position
        self._connect = connect
        self._loop = asyncio.get_running_loop()
        self._num_open = 0
        self._timer: asyncio.TimerHandle | None = None
        self._is_stopped = False

    def start(self) -> None:
        """Accept from now on."""
        self._listener.setblocking(False)
        self._counts.set(self._position, self._num_open)
        self._await(self._consider)

    def stop(self) -> None:
        """Accept no more."""
        self._is_stopped = True
        self._counts.set_absent(self._position)
        self._loop.remove_reader(self._listener)
        if self._timer is not None:
            self._timer.cancel()

    def _await(self, react: Callable[[], None]) -> None:
        if not self._is_stopped:
            self._loop.add_reader(self._listener, react)

    def _consider(self) -> None:
        """Accept, or leave it to a process with fewer connections for a moment."""
        if self._num_open <= self._counts.least():
            self._accept()
        else:
            self._pause(_WAIT_S, self._accept)

    def _pause(self, seconds: float, react: Callable[[], None]) -> None:
        self._loop.remove_reader(self._listener)
        self._timer = self._loop.call_later(seconds, self._await, react)

    def _accept(self) -> None:
        self._await(self._consider)
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return  # another process was faster, or the client has left
        except OSError:
            self._pause(_RETRY_S, self._consider)
            return
        self._change(1)
        is_counted = True

        def leave() -> None:
            nonlocal is_counted
            if is_counted:
                is_counted = False
                self._change(-1)

        def track(protocol: Any) -> None:  # noqa: ANN401 - uvicorn's
            for name in ("connection_lost", "handle_websocket_upgrade"):  # an idle socket is no load
                setattr(protocol, name, _then(getattr(protocol, name), leave))

        self._connect(connection, track).add_done_callback(
            lambda task: None if not task.cancelled() and task.result() else leave()
        )

    def _change(self, by: int) -> None:
        self._num_open += by
        if not self._is_stopped:
            self._counts.set(self._position, self._num_open)


def _then(first: Callable[..., None], second: Callable[[], None]) -> Callable[..., None]:
    def both(*arguments: Any) -> None:  # noqa: ANN401
        second()
        first(*arguments)

    return both
