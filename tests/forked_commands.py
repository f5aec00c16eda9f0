"""Runs ``smallsight`` many times for the price of one start; see ``command_server``."""

from __future__ import annotations

import atexit
import functools
import json
import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

SERVER = Path(__file__).parent / "command_server.py"


class CommandServer:
    """The process that the commands are forked from."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        atexit.register(self.close)

    def run(
        self, arguments: Sequence[str], environment: Mapping[str, str], timeout_s: float
    ) -> tuple[int, str, str]:
        """Return the exit code, standard output and standard error of one command."""
        with tempfile.TemporaryDirectory() as below:
            out, err = Path(below, "out"), Path(below, "err")
            request = {
                "arguments": list(arguments),
                "environment": dict(environment),
                "folder": os.getcwd(),
                "out": str(out),
                "err": str(err),
            }
            print(json.dumps(request), file=self._process.stdin, flush=True)
            if not select.select([self._process.stdout], [], [], timeout_s)[0]:
                raise TimeoutError(f"{arguments} took more than {timeout_s:g} s")
            code = int(self._process.stdout.readline())
            return code, out.read_text(encoding="utf-8"), err.read_text(encoding="utf-8")

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
    arguments: Sequence[str], environment: Mapping[str, str], timeout_s: float = 300
) -> tuple[int, str, str]:
    """Run one command and return its exit code, standard output and standard error."""
    return command_server().run(arguments, environment, timeout_s)
