"""Runs command lines of ``smallsight``, each in a separate process that is forked from this one.

Importing the program takes longer than most commands: here it is imported once for all of them. Standard
input is a socket; each message on it carries four files: the request (see ``forked_commands``), a pipe for
the process id and, when the process has ended, its exit code, and the output and errors of the process.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import selectors
import socket
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path
from typing import Any, NoReturn

import huggingface_hub.constants
import numpy.random  # noqa: F401 - it is imported when it is first used

import smallsight.cli.demonstration
import smallsight.cli.describe_files
import smallsight.cli.doubtful_model
import smallsight.cli.escaping_console
import smallsight.cli.model_details
import smallsight.cli.progress
import smallsight.families.embedding_families
import smallsight.families.minilm.forward
import smallsight.inventory.embedding_models
import smallsight.library.exporting.xmp_document
import smallsight.library.many_answers
import smallsight.library.search.sqlite.vectors
import smallsight.reading.query_embedder
import smallsight.serve.process
import smallsight.services.describing
import smallsight.services.exporting
import smallsight.services.indexing
import smallsight.services.library_results
import smallsight.services.watched_folders
import smallsight.settings_snapshot  # noqa: F401 - these are imported for the commands
from smallsight.cli import main
from smallsight.cli.commands import whole_command_line
from smallsight.library.database import Database


def serve() -> None:
    """Answer requests until nobody can send more."""
    whole_command_line()  # imports every command
    make_a_library()
    gc.collect()
    gc.freeze()  # else the first collection in a fork would copy every page
    request = Forks(socket.socket(fileno=os.dup(0))).wait_for_request()
    if request is None:
        return
    try:
        run(request)
    except SystemExit as ended:
        if ended.code is None or isinstance(ended.code, int):
            leave(ended.code or 0)
        raise


def make_a_library() -> None:
    """Import what makes the tables, which takes longer than making them, for forks with a new library."""
    with tempfile.TemporaryDirectory() as below:
        Database.open_for_writing(Path(below, "library.sqlite3")).close()


def leave(code: int) -> NoReturn:
    """End the process without taking every module apart, which takes half a second of processor time."""
    threading._shutdown()  # noqa: SLF001 - nothing public waits for threads and pools
    atexit._run_exitfuncs()  # noqa: SLF001
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(BrokenPipeError):
            stream.flush()
    os._exit(code)


class Forks:
    """The socket, and the processes that still run."""

    def __init__(self, requests: socket.socket) -> None:
        self._requests = requests
        self._events = selectors.DefaultSelector()
        self._events.register(requests, selectors.EVENT_READ)

    def wait_for_request(self) -> dict[str, Any] | None:
        """Return the request in each process that is forked for one, and None at the end in this process."""
        while True:
            for key, _ in self._events.select():
                if key.fileobj is not self._requests:
                    self._settle(key)
                    continue
                message, files, _, _ = socket.recv_fds(self._requests, 1, 4)
                if not message:
                    return None
                if self._is_forked(*files):
                    return _request_with_its_files(files[0], *files[2:])

    def _is_forked(self, request: int, status: int, out: int, err: int) -> bool:
        """Fork; return True in the new process."""
        with warnings.catch_warnings():
            # OpenVINO's telemetry has a thread, which forks lack and do not need.
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if pid == 0:
            self._close_everything()
            os.close(status)
            return True
        for one in (request, out, err):
            os.close(one)
        _write_number(status, pid)
        self._events.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, status))
        return False

    def _settle(self, key: selectors.SelectorKey) -> None:
        """Say how a process has ended."""
        pid, status = key.data
        _, code = os.waitpid(pid, 0)
        self._events.unregister(key.fileobj)
        os.close(key.fd)
        _write_number(status, os.waitstatus_to_exitcode(code))
        os.close(status)

    def _close_everything(self) -> None:
        for key in list(self._events.get_map().values()):
            if key.data is not None:
                os.close(key.fd)
                os.close(key.data[1])
        self._events.close()
        self._requests.close()


def _write_number(status: int, number: int) -> None:
    with contextlib.suppress(BrokenPipeError):  # nobody waits for it
        os.write(status, b"%d\n" % number)


def _request_with_its_files(request: int, out: int, err: int) -> dict[str, Any]:
    """Take the files of this process from a request, and return the request."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, one in enumerate((nothing, out, err)):
        os.dup2(one, number)
        os.close(one)
    with open(request, "rb") as file:
        file.seek(0)
        return json.load(file)


def run(request: dict[str, Any]) -> None:
    """Run a command line or a program in this process, with the folder and environment of the request."""
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    time.tzset()
    importlib.reload(huggingface_hub.constants)  # it reads the environment when it is imported
    if "program" in request:
        exec(compile(request["program"], "<program>", "exec"), {"__name__": "__main__"})
        sys.exit()
    sys.argv = ["smallsight", *request["arguments"]]
    main.run()


if __name__ == "__main__":
    serve()
