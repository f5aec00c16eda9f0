"""A process that answers pages beside the main process of a server: ``python -m
smallsight.serve.page_worker LISTENER CONTROL COUNTS NUMBER OF_HOW_MANY OPTIONS``.

It accepts connections on the same socket, answers the requests that only read the library, and passes all
other connections on to the main process. It ends when that ends.
"""

from __future__ import annotations

import json
import socket
import sys
import threading

from smallsight.http.connection import connection_class
from smallsight.http.fair_accept import SharedCounts
from smallsight.http.open_connections import OpenConnections
from smallsight.http.passed_connections import ConnectionSender
from smallsight.http.shared_connection import shared_connection_class
from smallsight.machine.matrix_threads import use_one_matrix_thread
from smallsight.machine.own_process import deny_inspection
from smallsight.serve.page_app import make_page_app
from smallsight.serve.running import RunningServer, Sharing, run_app
from smallsight.services.live_settings import LiveSettings
from smallsight.services.logs import configure_logging
from smallsight.services.serving import Serving
from smallsight.web.read_only_paths import is_events_line, is_read_only_line

__all__ = ["main"]


def main(arguments: list[str]) -> int:
    """Serve until the main process ends, or a signal; return the exit code."""
    use_one_matrix_thread()
    deny_inspection()
    *numbers, options = arguments
    listener_fd, control_fd, counts_fd, number, of_how_many = map(int, numbers)
    listener, control = socket.socket(fileno=listener_fd), socket.socket(fileno=control_fd)
    counts = SharedCounts(counts_fd, of_how_many)
    live = LiveSettings(json.loads(options))
    settings = live.current()
    configure_logging(settings.log_level, settings.log_format)
    sender = ConnectionSender(control)

    def make_connection(header_timeout_s: float, opened: OpenConnections) -> type:
        made = connection_class(header_timeout_s, opened)
        return shared_connection_class(made, sender, is_read_only_line, is_events_line)

    def on_started(running: RunningServer) -> None:
        threading.Thread(target=_stop_after, args=(control, running), daemon=True).start()
        sender.tell_ready()

    run_app(
        lambda: make_page_app(Serving(live)),
        settings.server,
        listener,
        lambda _: None,
        Sharing(counts, number, on_started, make_connection),
    )
    sender.close()
    return 0


def _stop_after(control: socket.socket, running: RunningServer) -> None:
    """Stop this process when the main process, which sends nothing, has ended."""
    try:
        control.recv(1)
    finally:
        running.stop()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
