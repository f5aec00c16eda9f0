"""Runs ``smallsight`` many times for the price of one start; see ``command_server``."""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

SERVER = Path(__file__).parent / "command_server.py"


class ForkedProcess:
    """A command that was forked from the server; it has what tests use of ``subprocess.Popen``."""

    def __init__(self, status: IO[str], stdout: IO[str] | None, stderr: IO[str] | None) -> None:
        self._status = status
        self.stdout, self.stderr = stdout, stderr
        self.pid = int(status.readline())
        self.returncode: int | None = None

    def has_ended(self, timeout_s: float = 0) -> bool:
        """Return whether it ends in this time."""
        return self.returncode is not None or bool(select.select([self._status], [], [], timeout_s)[0])

    def poll(self) -> int | None:
        """Return the exit code, a signal as a negative one, or None while it runs."""
        return self.wait() if self.has_ended() else None

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the exit code and return it."""
        if self.returncode is None:
            if timeout is not None and not self.has_ended(timeout):
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout)
            with self._status as status:
                self.returncode = int(status.readline())
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):  # it has just ended
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for its end; return the rest of its output and errors, each empty if it is not a pipe."""
        pipes = [pipe for pipe in (self.stdout, self.stderr) if pipe is not None and not pipe.closed]
        with ThreadPoolExecutor(2) as readers:
            try:
                self.wait(timeout)
            finally:
                if self.returncode is None:
                    self.kill()  # ends the readers
                texts = dict(zip(map(id, pipes), readers.map(_rest, pipes), strict=True))
        return texts.get(id(self.stdout), ""), texts.get(id(self.stderr), "")


def _rest(pipe: IO[str]) -> str:
    with pipe:
        return pipe.read()


class CommandServer:
    """The process that the commands are forked from."""

    def __init__(self) -> None:
        self._requests, other_end = socket.socketpair()
        with other_end:
            self._process = subprocess.Popen([sys.executable, SERVER], stdin=other_end)
        atexit.register(self.close)

    def start(
        self,
        what: Sequence[str] | str,
        environment: Mapping[str, str],
        out: str | None = os.devnull,
        err: str | None = os.devnull,
    ) -> ForkedProcess:
        """Start a command, or the source of a Python program, with these files; None is a pipe."""
        request = {
            **({"program": what} if isinstance(what, str) else {"arguments": list(what)}),
            "environment": dict(environment),
            "folder": os.getcwd(),
        }
        status, status_end = os.pipe()
        (stdout, out_end), (stderr, err_end) = _output(out), _output(err)
        with tempfile.TemporaryFile() as file:
            file.write(json.dumps(request).encode())
            file.flush()
            descriptors = [file.fileno(), status_end, out_end, err_end]
            socket.send_fds(self._requests, [b"1"], descriptors)
        for descriptor in descriptors[1:]:
            os.close(descriptor)
        return ForkedProcess(open(status, encoding="ascii"), stdout, stderr)

    def close(self) -> None:
        """End the process; a command still running is left to itself."""
        self._requests.close()
        self._process.kill()
        self._process.wait()


def _output(path: str | None) -> tuple[IO[str] | None, int]:
    """Return what to read, if anything, and the descriptor that a command writes to."""
    if path is not None:
        return None, os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    pipe, end = os.pipe()
    return open(pipe, encoding="utf-8"), end


@functools.cache
def command_server() -> CommandServer:
    """Return the server of this process."""
    return CommandServer()


def run_command(
    what: Sequence[str] | str, environment: Mapping[str, str], timeout_s: float = 300
) -> tuple[int, str, str]:
    """Run a command, or the source of a Python program; return its exit code, output and errors."""
    with tempfile.TemporaryDirectory() as below:
        out, err = Path(below, "out"), Path(below, "err")
        process = command_server().start(what, environment, str(out), str(err))
        if not process.has_ended(timeout_s):
            process.kill()
        code = process.wait()
        return code, out.read_text(encoding="utf-8"), err.read_text(encoding="utf-8")
