"""Runs command lines of ``smallsight``, each in a process of its own that is forked from this one.

Importing the program takes longer than most commands: here it is imported once for all of them. Each line of
standard input is a request (see ``forked_commands``); its answer is a line with the process id, and when that
process has ended, a line with its exit code.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
from typing import Any

import huggingface_hub.constants

import smallsight.cli.demonstration
import smallsight.cli.progress
import smallsight.services.describing
import smallsight.services.indexing  # noqa: F401 - these are imported for the commands
from smallsight.cli import main
from smallsight.cli.commands import whole_command_line


def serve() -> None:
    """Answer requests until the input ends."""
    if "openvino" in sys.modules:
        sys.exit("OpenVINO starts a thread when it is imported, and forks would lack it.")
    whole_command_line()  # imports every command
    gc.collect()
    gc.freeze()  # else the first collection in a fork would copy every page
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            run(json.loads(line))
        print(pid, flush=True)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def run(request: dict[str, Any]) -> None:
    """Run a command line or a program in this process, with the files and environment of the request."""
    for number, path in enumerate((os.devnull, request["out"], request["err"])):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    importlib.reload(huggingface_hub.constants)  # it reads the environment when it is imported
    if "program" in request:
        exec(compile(request["program"], "<program>", "exec"), {"__name__": "__main__"})
        sys.exit()
    sys.argv = ["smallsight", *request["arguments"]]
    main.run()


if __name__ == "__main__":
    serve()
