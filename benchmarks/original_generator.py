"""Runs meme-search's own generator beside ours, on a checkpoint of this machine and a free port.

Its program is not changed: the name that it loads leads to the checkpoint, by a cache in the hub's layout.
"""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType

import httpx2

_STARTS_WITHIN_S = 300.0
_OWNER = "HuggingFaceTB"
_REVISION = "0" * 40
# Another port, address and file of jobs; paths are taken as they are given where the file is below "tests".
_PROGRAM = """
import runpy, sys
folder, database, address, port = sys.argv[1:]
sys.argv = ["app.py"]
sys.path.insert(0, folder)
import constants, uvicorn
constants.JOB_DB, constants.APP_URL = database, address
run = uvicorn.run
uvicorn.run = lambda app, **_: run(app, host="127.0.0.1", port=int(port))
runpy.run_path(folder + "/app.py", run_name="__main__")
"""


class OriginalGenerator:
    """A process of the original with a checkpoint under one of its names, while it is entered."""

    def __init__(self, app: Path, python: Path, model: str, checkpoint: Path, address: str) -> None:
        self._app, self._python, self._address = app.absolute(), python.absolute(), address
        self._model, self._checkpoint = model, checkpoint.absolute()

    def __enter__(self) -> tuple[str, int]:
        """Start it; returns its address, once it answers, and the process id."""
        self._folder = tempfile.TemporaryDirectory()
        folder = Path(self._folder.name, "tests")
        cached = folder / "hub" / f"models--{_OWNER}--{self._model}"
        (cached / "refs").mkdir(parents=True)
        (cached / "snapshots").mkdir()
        (cached / "refs" / "main").write_text(_REVISION)
        (cached / "snapshots" / _REVISION).symlink_to(self._checkpoint)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        environment = {name: one for name, one in os.environ.items() if name != "PYTHONPATH"}
        arguments = [self._app, folder / "jobs.db", self._address, port]
        self._process = subprocess.Popen(
            [self._python, "-c", _PROGRAM, *map(str, arguments)],
            env=environment | {"HF_HOME": str(folder), "HF_HUB_OFFLINE": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        url = f"http://127.0.0.1:{port}"
        deadline_s = time.monotonic() + _STARTS_WITHIN_S
        while True:
            try:
                httpx2.get(url, timeout=5, trust_env=False).raise_for_status()
                return url, self._process.pid
            except httpx2.HTTPError:
                if self._process.poll() is not None or time.monotonic() > deadline_s:
                    raise
                time.sleep(0.2)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it; its thread of jobs would not let a gentle signal through."""
        self._process.kill()
        self._process.wait()
        self._folder.cleanup()
