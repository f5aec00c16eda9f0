"""Runs ``smallsight`` many times for the price of one start; see ``command_server``."""

from __future__ import annotations

import atexit
import functools
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

SERVER = Path(__file__).parent / "command_server.py"


class CommandServer:
    """The process that the commands are forked from, one at a time."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        atexit.register(self.close)

    def start(
        self,
        what: Sequence[str] | str,
        environment: Mapping[str, str],
        out: str = os.devnull,
        err: str = os.devnull,
    ) -> int:
        """Start a command, or the source of a Python program, with these files; return its process id."""
        request = {
            **({"program": what} if isinstance(what, str) else {"arguments": list(what)}),
            "environment": dict(environment),
            "folder": os.getcwd(),
            "out": out,
            "err": err,
        }
        print(json.dumps(request), file=self._process.stdin, flush=True)
        return int(self._process.stdout.readline())

    def has_ended(self, timeout_s: float = 0) -> bool:
        """Return whether the command ends in this time."""
        return bool(select.select([self._process.stdout], [], [], timeout_s)[0])

    def exit_code(self) -> int:
        """Wait for the command and return its exit code; a signal is a negative one."""
        return int(self._process.stdout.readline())

    def close(self) -> None:
        """End the process; a command still running is left to itself."""
        self._process.stdin.close()
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()


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
        server = command_server()
        pid = server.start(what, environment, str(out), str(err))
        if not server.has_ended(timeout_s):
            os.kill(pid, signal.SIGKILL)
        code = server.exit_code()
        return code, out.read_text(encoding="utf-8"), err.read_text(encoding="utf-8")
