"""A server process to be measured: ours or a peer's, with the memory that it and its children take."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import psutil

from smallsight.catalog.registered import RegisteredModel, RegisteredModels

MIB = 1024 * 1024
PEERS = Path(__file__).resolve().parents[1] / ".peers" / "bitsandbytes"  # by `make peers`: accelerate too
LLAMA_CPP = PEERS.with_name("llama.cpp") / "bin"
_SAMPLE_S, _KEPT_S = 0.2, 5.0
_STARTS_WITHIN_S = 300.0


@dataclass(slots=True)
class Memory:
    """Resident memory of a process and its children, sampled while it runs, and kept every few seconds."""

    pid: int
    peak_bytes: int = 0
    kept_bytes: list[int] = field(default_factory=list)
    _ended: threading.Event = field(default_factory=threading.Event)

    def now_bytes(self) -> int:
        """Return what they hold now; a child that has just ended counts for nothing."""
        total = 0
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(self.pid)
            for one in [process, *process.children(recursive=True)]:
                with contextlib.suppress(psutil.Error):
                    total += int(one.memory_info().rss)
        return total

    def own_bytes(self) -> int:
        """Return what the server alone holds now, without its decoders."""
        return int(psutil.Process(self.pid).memory_info().rss)

    def own_peak_bytes(self) -> int:
        """Return the most that the server alone has held, as the system counts it."""
        text = Path(f"/proc/{self.pid}/status").read_text(encoding="utf-8")
        return int(text.split("VmHWM:")[1].split()[0]) * 1024

    def watch(self) -> None:
        """Sample until told to stop."""
        kept_at_s = time.monotonic() - _KEPT_S
        while not self._ended.wait(_SAMPLE_S):
            now_bytes = self.now_bytes()
            self.peak_bytes = max(self.peak_bytes, now_bytes)
            if time.monotonic() - kept_at_s >= _KEPT_S:
                kept_at_s = time.monotonic()
                self.kept_bytes.append(now_bytes)

    def stop(self) -> None:
        """End the sampling."""
        self._ended.set()


@dataclass(frozen=True, slots=True)
class Served:
    """A running server: where it is asked, and what it takes."""

    url: str
    memory: Memory


@contextlib.contextmanager
def smallsight_server(models: Mapping[str, Path], **settings: str) -> Iterator[Served]:
    """Run ``smallsight serve`` in a new data folder, with these folders as models."""
    with tempfile.TemporaryDirectory() as home, server_in(Path(home), models, **settings) as served:
        yield served


@contextlib.contextmanager
def server_in(home: Path, models: Mapping[str, Path], **settings: str) -> Iterator[Served]:
    """Run ``smallsight serve`` in a data folder."""
    for name, folder in models.items():
        RegisteredModels(home / "models.json").add(RegisteredModel(name, folder, "smolvlm"))
    environment = {**os.environ, "SMALLSIGHT_HOME": str(home)}
    environment |= {f"SMALLSIGHT_{name.upper()}": value for name, value in settings.items()}
    command = [sys.executable, "-m", "smallsight", "serve", "--port", "0", "--json"]
    with _process(command, environment, subprocess.PIPE) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line == "}\n":
                break
        if not lines:
            raise SystemExit("smallsight serve did not start.")
        with _watched(process.pid) as memory:
            yield Served(json.loads("".join(lines))["url"], memory)


@contextlib.contextmanager
def transformers_server(folder: Path, *options: str) -> Iterator[Served]:
    """Run ``transformers serve`` on one folder; raises SystemExit where it does not start."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = Path(sys.executable).with_name("transformers")
    command = [str(program), "serve", str(folder), "--host", "127.0.0.1", "--port", str(port), *options]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(PEERS)}
    url = f"http://127.0.0.1:{port}"
    with _process(command, environment, subprocess.DEVNULL) as process:
        _wait_until_up(process, f"{url}/health")
        with _watched(process.pid) as memory:
            yield Served(url, memory)


def llama_server_program() -> str | None:
    """Return llama.cpp's server, built by `make peers` or on the path; None where there is none."""
    return shutil.which("llama-server", path=LLAMA_CPP) or shutil.which("llama-server")


def write_tiny_gguf(folder: Path) -> None:
    """Write decoder.gguf and tower.gguf of random weights; needs the environment that `make peers` makes."""
    script = Path(__file__).with_name("contenders") / "tiny_gguf.py"
    subprocess.run([str(LLAMA_CPP / "python"), str(script), str(folder)], check=True)


@contextlib.contextmanager
def llama_server(folder: Path, port: int, *, sees: bool) -> Iterator[subprocess.Popen[str]]:
    """Run llama-server on what ``write_tiny_gguf`` wrote, with its tower or without."""
    program = llama_server_program()
    if program is None:
        raise SystemExit("There is no llama-server.")
    command = [program, "--model", str(folder / "decoder.gguf"), "--host", "127.0.0.1", "--port", str(port)]
    command += ["--threads", "1", "--ctx-size", "4096"]
    command += ["--mmproj", str(folder / "tower.gguf")] if sees else []
    with _process(command, os.environ, subprocess.DEVNULL) as process:
        _wait_until_up(process, f"http://127.0.0.1:{port}/health")
        yield process


@contextlib.contextmanager
def _process(
    command: list[str], environment: Mapping[str, str], stdout: int
) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        command, env=dict(environment), stdout=stdout, stderr=subprocess.DEVNULL, text=True
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
        process.communicate()


@contextlib.contextmanager
def _watched(pid: int) -> Iterator[Memory]:
    memory = Memory(pid)
    watching = threading.Thread(target=memory.watch, daemon=True)
    watching.start()
    try:
        yield memory
    finally:
        memory.stop()
        watching.join()


def _wait_until_up(process: subprocess.Popen[str], url: str) -> None:
    deadline = time.monotonic() + _STARTS_WITHIN_S
    with httpx2.Client(trust_env=False) as http:
        while time.monotonic() < deadline and process.poll() is None:
            with contextlib.suppress(httpx2.HTTPError):
                if http.get(url).status_code == 200:
                    return
            time.sleep(0.2)
    raise SystemExit(f"{process.args!r} did not start.")
