"""Opens the socket of a server and runs an application on it until a signal; knows no application.

Several processes may serve on one socket. Each accepts connections, and one may adopt those of another.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any, TypeAlias, cast

import uvicorn
from starlette.types import ASGIApp

from smallsight.errors import AddressInUseError, SettingsError
from smallsight.http.admission import Admission
from smallsight.http.connection import MAX_HEAD_BYTES, connection_class
from smallsight.http.fair_accept import FairAccept, SharedCounts
from smallsight.http.open_connections import OpenConnections, most_connections
from smallsight.http.socket_connection import MAX_MESSAGE_BYTES, socket_class
from smallsight.machine.open_files import num_open_files, raise_file_limit
from smallsight.services.logs import collapse_repeats
from smallsight.settings import ServerSettings

__all__ = ["OnListening", "RunningApp", "RunningServer", "Sharing", "open_socket", "run_app"]

# How long a computing thread may keep the interpreter from the event loop. With Python's default of 5 ms,
# each wait of the loop is prolonged while several threads compute, and answers arrive late.
_SWITCH_INTERVAL_S = 0.0005

# asyncio accepts as many connections as its backlog before any is counted, so it is given a small one; then
# the system's queue is made longer.
_ACCEPTED_AT_ONCE, _BACKLOG = 8, 1024

OnListening = Callable[[str], None]
RunningApp: TypeAlias = tuple[ASGIApp, Admission]
"""An application with all its layers, and what refuses new questions once it is stopping."""


class RunningServer:
    """A server of this process, for other threads."""

    def __init__(self, server: uvicorn.Server, loop: asyncio.AbstractEventLoop) -> None:
        self._server = server
        self._loop = loop
        self._tasks: set[asyncio.Task[bool]] = set()

    def stop(self) -> None:
        """Have it stop as a signal would."""
        with contextlib.suppress(RuntimeError):  # the event loop has ended
            self._loop.call_soon_threadsafe(self._server.handle_exit, signal.SIGTERM, None)

    def adopt(self, connection: socket.socket, data: bytes) -> None:
        """Serve a connection that another process has accepted, and of which it has read ``data``."""
        try:
            self._loop.call_soon_threadsafe(self._adopt, connection, data)
        except RuntimeError:
            connection.close()

    def _adopt(self, connection: socket.socket, data: bytes) -> None:
        if self._server.should_exit:
            connection.close()
            return
        connection.setblocking(False)

        def make() -> asyncio.Protocol:
            protocol = self._protocol()
            begin = protocol.connection_made

            def connection_made(transport: asyncio.Transport) -> None:
                begin(transport)
                protocol.data_received(data)  # before anything else is read

            protocol.connection_made = connection_made
            return cast("asyncio.Protocol", protocol)

        self._start(make, connection)

    def connect(self, connection: socket.socket, track: Callable[[Any], None]) -> asyncio.Task[bool]:
        """Serve a connection that this process has accepted, in the event loop; see ``ConnectAccepted``."""
        connection.setblocking(False)

        def make() -> asyncio.Protocol:
            protocol = self._protocol()
            track(protocol)
            return cast("asyncio.Protocol", protocol)

        return self._start(make, connection)

    def _start(self, make: Callable[[], asyncio.Protocol], connection: socket.socket) -> asyncio.Task[bool]:
        task = self._loop.create_task(self._connected(make, connection))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _protocol(self) -> Any:  # noqa: ANN401 - uvicorn's
        server = self._server
        return server.config.http_protocol_class(  # type: ignore[call-arg]
            config=server.config, server_state=server.server_state, app_state=server.lifespan.state
        )

    async def _connected(self, make: Callable[[], asyncio.Protocol], connection: socket.socket) -> bool:
        try:
            await self._loop.connect_accepted_socket(make, connection)
        except OSError:  # the client has left
            connection.close()
            return False
        return True


@dataclass(frozen=True, slots=True)
class Sharing:
    """How a process serves on a socket with others; ``connection`` makes the class of its connections.

    ``counts`` has the connections of all of them, this one's at ``position``.
    ``on_stopping`` is called before it accepts no more connections, ``on_ended`` in a thread after the last.
    """

    counts: SharedCounts
    position: int
    on_started: Callable[[RunningServer], None]
    connection: Callable[[float, OpenConnections], type] = connection_class
    on_stopping: Callable[[], None] = lambda: None
    on_ended: Callable[[], None] = lambda: None


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
    sharing: Sharing | None = None,
) -> None:
    """Serve the application that ``make`` returns, called in the event loop, until a signal."""
    collapse_repeats("asyncio", "uvicorn.error")
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    with listener:
        asyncio.run(_run(make, settings, listener, on_listening, sharing))


async def _run(
    make: Callable[[], RunningApp],
    settings: ServerSettings,
    listener: socket.socket,
    on_listening: OnListening,
    sharing: Sharing | None,
) -> None:
    asgi, admission = make()
    opened = OpenConnections(most_connections(raise_file_limit(), num_open_files()))
    config = uvicorn.Config(
        asgi,
        http=(connection_class if sharing is None else sharing.connection)(settings.header_timeout_s, opened),
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
    running = asyncio.create_task(server.serve(sockets=[listener] if sharing is None else []))
    while not server.started and not running.done():
        await asyncio.sleep(0.01)
    if server.started:
        listener.listen(_BACKLOG)
        on_listening(_address(listener))
        if sharing is not None:
            started = RunningServer(server, asyncio.get_running_loop())
            accept = FairAccept(listener, sharing.counts, sharing.position, started.connect)
            server.on_stopping = [accept.stop, sharing.on_stopping]
            accept.start()
            sharing.on_started(started)
    await running
    if sharing is not None:
        await asyncio.to_thread(sharing.on_ended)


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
        self.on_stopping: list[Callable[[], None]] = []

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
        for react in self.on_stopping:
            react()
        await super().shutdown(sockets)
        if self.force_exit:
            for task in self.server_state.tasks:
                task.cancel()
            await asyncio.gather(*self.server_state.tasks, return_exceptions=True)
            await self.lifespan.shutdown()
