"""The processes that answer pages beside the main process: started, started again, and ended with it.

The main process is number 0 of those that accept connections.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from tempfile import TemporaryFile
from typing import Any

from smallsight.errors import SettingsError
from smallsight.http.fair_accept import SharedCounts
from smallsight.http.passed_connections import receive_connections
from smallsight.policy.log import get_logger
from smallsight.serve.running import RunningServer

__all__ = ["PageWorkers", "require_passing"]

log = get_logger(__name__)

_MODULE = "smallsight.serve.page_worker"
_RESTART_S = 1.0
_KILL_AFTER_S = 5.0  # beyond the time that answers get to finish


def require_passing(num_workers: int) -> None:
    """Raise SettingsError where processes cannot pass connections on."""
    if num_workers > 1 and not hasattr(socket, "send_fds"):
        raise SettingsError(
            f"Several processes cannot share a server on this system: {num_workers}.",
            hint="leave server.workers at 1.",
        )


class PageWorkers:
    """A number of workers, each watched by a thread."""

    def __init__(
        self, number: int, listener: socket.socket, options: Mapping[str, Any], drain_timeout_s: float
    ) -> None:
        self._number = number
        self._shared = TemporaryFile()  # noqa: SIM115 - closed with the workers
        self.counts = SharedCounts.prepare(self._shared.fileno(), number + 1)
        self._listener = listener.dup()  # uvicorn closes the other before the last worker has ended
        self._options = json.dumps(options)
        self._drain_timeout_s = drain_timeout_s
        self._stopping = threading.Event()
        self._controls: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []

    def start(self, running: RunningServer) -> None:
        """Start all of them; what they do not answer themselves goes to ``running``."""
        for number in range(1, self._number + 1):
            thread = threading.Thread(target=self._keep_one, args=(number, running), daemon=True)
            self._threads.append(thread)
            thread.start()

    def begin_stop(self) -> None:
        """Have them accept no more, and finish what they are answering."""
        self._stopping.set()
        for control in list(self._controls):
            with suppress(OSError):
                control.shutdown(socket.SHUT_WR)

    def wait(self) -> None:
        """Wait for their end."""
        for thread in self._threads:
            thread.join()
        self._listener.close()
        self._shared.close()

    def _keep_one(self, number: int, running: RunningServer) -> None:
        while not self._stopping.is_set():
            ours, theirs = socket.socketpair()
            with ours:
                with theirs:
                    process = self._spawn(number, theirs)
                self._controls.add(ours)
                if self._stopping.is_set():
                    ours.shutdown(socket.SHUT_WR)

                def on_ready(pid: int = process.pid) -> None:
                    log.info("page_worker_ready", number=number, pid=pid)

                receive_connections(ours, on_ready, running.adopt)
                self.counts.set_absent(number)
                self._controls.discard(ours)
            code = self._wait(process)
            if not self._stopping.is_set():
                log.error("page_worker_ended", number=number, code=code, action="it is started again")
                self._stopping.wait(_RESTART_S)

    def _spawn(self, number: int, control: socket.socket) -> subprocess.Popen[bytes]:
        descriptors = self._listener.fileno(), control.fileno(), self._shared.fileno()
        places = number, self._number + 1
        return subprocess.Popen(  # noqa: S603 - this program
            [sys.executable, "-m", _MODULE, *map(str, (*descriptors, *places)), self._options],
            pass_fds=descriptors,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C in a terminal is for the main process
        )

    def _wait(self, process: subprocess.Popen[bytes]) -> int:
        try:
            return process.wait(self._drain_timeout_s + _KILL_AFTER_S)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()
