"""Opens the socket of a server and runs an application on it until a signal; knows no application."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TypeAlias

import uvicorn
from starlette.types import ASGIApp

from smallsight.errors import AddressInUseError, SettingsError
from smallsight.http.admission import Admission
from smallsight.http.connection import MAX_HEAD_BYTES, connection_class
from smallsight.http.open_connections import OpenConnections, most_connections
from smallsight.http.socket_connection import MAX_MESSAGE_BYTES, socket_class
from smallsight.machine.open_files import num_open_files, raise_file_limit
from smallsight.services.logs import collapse_repeats
from smallsight.settings import ServerSettings

__all__ = ["OnListening", "RunningApp", "open_socket", "run_app"]

# How long a computing thread may keep the interpreter from the event loop. With Python's default of 5 ms,
# each wait of the loop is prolonged while several threads compute, and answers arrive late.
_SWITCH_INTERVAL_S = 0.0005

# asyncio accepts as many connections as its backlog before any is counted, so it is given a small one; then
# the system's queue is made longer.
_ACCEPTED_AT_ONCE, _BACKLOG = 8, 1024

OnListening = Callable[[str], None]
RunningApp: TypeAlias = tuple[ASGIApp, Admission]
"""An application with all its layers, and what refuses new questions once it is stopping."""


def open_socket(settings: ServerSettings) -> socket.socket:
    """Return a bound socket; raises ServerError when the address cannot be bound."""
    host, port = settings.host.strip("[]"), settings.port
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        # With the protocol named, asyncio turns Nagle's algorithm off; else each answer waits for 40 ms.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, port))
        except OSError:
            listener.close()
            raise
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        message = f"Cannot listen on {_in_url(host)}:{port}: {reason}."
        if error.errno == errno.EADDRINUSE:
            hint = "is another server running? --port chooses another port, 0 a free one."
            raise AddressInUseError(message, hint=hint) from error
        raise SettingsError(message, hint="choose another --host or --port.") from error
    return listener


def run_app(
    make: Callable[[], RunningApp],
    settings: ServerSettings,
    listener: socket.socket,
    on_listening: OnListening,
) -> None:
    """Serve the application that ``make`` returns, called in the event loop, until a signal."""
    collapse_repeats("asyncio", "uvicorn.error")
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    with listener:
        asyncio.run(_run(make, settings, listener, on_listening))


async def _run(
    make: Callable[[], RunningApp],
    settings: ServerSettings,
    listener: socket.socket,
    on_listening: OnListening,
) -> None:
    asgi, admission = make()
    opened = OpenConnections(most_connections(raise_file_limit(), num_open_files()))
    config = uvicorn.Config(
        asgi,
        http=connection_class(settings.header_timeout_s, opened),
        backlog=_ACCEPTED_AT_ONCE,
        ws=socket_class(opened),
        ws_max_size=MAX_MESSAGE_BYTES,
        ws_per_message_deflate=False,  # a small message could inflate to hundreds of MiB
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        h11_max_incomplete_event_size=MAX_HEAD_BYTES,
        timeout_keep_alive=max(1, int(settings.header_timeout_s)),
        timeout_graceful_shutdown=settings.drain_timeout_s,
    )
    server = _Server(config, admission)
    running = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started and not running.done():
        await asyncio.sleep(0.01)
    if server.started:
        listener.listen(_BACKLOG)
        on_listening(_address(listener))
    await running


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    scheme = "http"
    return f"{scheme}://{_in_url(host)}:{port}"


def _in_url(host: str) -> str:
    """Return a host as written in URLs: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host else host


class _Server(uvicorn.Server):
    """Accepts no new questions after the first signal, and stops at once at the second."""

    def __init__(self, config: uvicorn.Config, admission: Admission) -> None:
        super().__init__(config)
        self._admission = admission

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals inside the block; a later one must not change how the process exits."""
        handled = (signal.SIGINT, signal.SIGTERM)
        for one in handled:
            signal.signal(one, self.handle_exit)
        try:
            yield
        finally:
            for one in handled:
                signal.signal(one, signal.SIG_IGN)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the signal's shape
        """Begin to stop."""
        self.force_exit = self.should_exit
        self.should_exit = True
        self._admission.is_stopping = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Wait for answers in progress, or cancel them when forced; then close the application."""
        await super().shutdown(sockets)
        if self.force_exit:
            for task in self.server_state.tasks:
                task.cancel()
            await asyncio.gather(*self.server_state.tasks, return_exceptions=True)
            await self.lifespan.shutdown()
