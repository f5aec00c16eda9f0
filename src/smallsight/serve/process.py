"""Runs the server: checks the settings, opens the socket, serves, and lets answers finish at the end."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from types import FrameType

import uvicorn

from smallsight.errors import AddressInUseError, SettingsError
from smallsight.http.admission import Admission
from smallsight.http.api_keys import ApiKeys
from smallsight.http.connection import MAX_HEAD_BYTES, connection_class
from smallsight.http.foreign_pages import is_loopback
from smallsight.http.open_connections import OpenConnections, most_connections
from smallsight.machine.open_files import num_open_files, raise_file_limit
from smallsight.machine.own_process import deny_inspection
from smallsight.media.sandbox_report import missing_restrictions
from smallsight.policy.log import get_logger
from smallsight.serve.app import make_app
from smallsight.services.live_settings import LiveSettings
from smallsight.services.logs import collapse_repeats
from smallsight.services.serving import Serving
from smallsight.settings import ServerSettings, Settings

log = get_logger(__name__)

# How long a computing thread may keep the interpreter from the event loop. With Python's default of 5 ms,
# each wait of the loop is prolonged while several threads compute, and answers arrive late.
_SWITCH_INTERVAL_S = 0.0005

# asyncio accepts as many connections as its backlog before any is counted, so it is given a small one; then
# the system's queue is made longer.
_ACCEPTED_AT_ONCE, _BACKLOG = 8, 1024

OnListening = Callable[[str], None]


def serve(live: LiveSettings, on_listening: OnListening) -> None:
    """Run until a signal; ``on_listening`` is called with the URL. Raises SettingsError, ServerError."""
    settings = live.current()
    deny_inspection()
    require_key(settings)
    missing = missing_restrictions(settings.limits)
    listener = open_socket(settings.server)
    collapse_repeats("asyncio", "uvicorn.error")
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    with listener:
        asyncio.run(_serve(live, listener, on_listening, missing))


def require_key(settings: Settings) -> None:
    """Raise SettingsError when a server without an API key could be used by others, or must have one.

    Also when the keys cannot be read. Warns of a server without one that has names for others to use.
    """
    server = settings.server
    if ApiKeys(settings.api_keys_path).all():
        return
    if server.require_key:
        raise SettingsError(
            f"Refusing to start without an API key: there is none in {settings.api_keys_path}.",
            hint="create one with `smallsight keys add NAME`, or set server.require_key to false.",
        )
    if not is_loopback(server.host):
        raise SettingsError(
            f"Refusing to listen on {server.host} without an API key.",
            hint="create one with `smallsight keys add NAME`, or listen on 127.0.0.1.",
        )
    if server.allowed_hosts or server.allowed_origins:
        log.warning(
            "no_key_for_other_clients",
            why="server.allowed_hosts or server.allowed_origins lets others in, and no key is needed",
            action="create one with `smallsight keys add NAME`",
        )


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


async def _serve(
    live: LiveSettings, listener: socket.socket, on_listening: OnListening, missing: tuple[str, ...]
) -> None:
    settings = live.current().server
    app = make_app(Serving(live, missing_restrictions=missing))
    most_open = most_connections(raise_file_limit(), num_open_files())
    config = uvicorn.Config(
        app.asgi,
        http=connection_class(settings.header_timeout_s, OpenConnections(most_open)),
        backlog=_ACCEPTED_AT_ONCE,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        h11_max_incomplete_event_size=MAX_HEAD_BYTES,
        timeout_keep_alive=max(1, int(settings.header_timeout_s)),
        timeout_graceful_shutdown=settings.drain_timeout_s,
    )
    server = _Server(config, app.admission)
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
