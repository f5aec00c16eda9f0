"""How many more requests the pages answer with several processes: ``serve --workers N`` against one process.

Run it as ``python benchmarks/page_processes.py [--pictures N] [--workers N] [--rounds N] [--seconds S]
[--clients N] [--cache DIR] [--json FILE]``. Two real servers have the same generated library, without a
vision-language model. In each round clients that do not pause load one, then the other, so that whatever else
the machine does meets both. A client is a thread with one connection, which sends prepared bytes and counts
those that come back. The requests are pages of the gallery, searches by words and meaning, and pages of
pictures, mixed. Printed are requests/s of each round, the ratio of the two in it, and the processor time of a
request.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import random
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import psutil
from gallery_home import language, make_home
from generated_library import GENERATOR_VERSION, SEED, make_queries
from served_process import Served, server_in

from smallsight.machine.processor import processor

_WARMING_S = 6.0
_TIMEOUT_S = 60.0


@dataclass(slots=True)
class Round:
    """What one server did in one round."""

    requests_per_s: float
    cpu_ms_per_request: float
    cores: tuple[float, ...]  # of each process, the main one first


class Client(threading.Thread):
    """One connection that asks without a pause until told to stop."""

    def __init__(self, port: int, requests: Iterator[bytes], stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self._port, self._requests, self._stop_event = port, requests, stop
        self.num_answered = 0

    def run(self) -> None:
        """Ask, and count the answers."""
        while not self._stop_event.is_set():
            with socket.create_connection(("127.0.0.1", self._port), timeout=_TIMEOUT_S) as connection:
                while not self._stop_event.is_set() and self._is_kept(connection):
                    pass

    def _is_kept(self, connection: socket.socket) -> bool:
        """Send a request and read the answer; return whether the connection stays open."""
        connection.sendall(next(self._requests))
        received = b""
        while b"\r\n\r\n" not in received:
            received += connection.recv(262_144)
        head, _, body = received.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"unexpected: {head[:200]!r}")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        left = length - len(body)
        while left > 0:
            left -= len(connection.recv(262_144))
        self.num_answered += 1
        return b"connection: close" not in head.lower()


def requests_of(home: Path, num_pictures: int) -> list[bytes]:
    """Return requests of every kind, mixed."""
    rng = random.Random(SEED)
    words = [text for _, text in make_queries(home, language(), 200)]
    paths = [
        *(f"/app/?start={60 * rng.randrange(num_pictures // 60)}" for _ in range(100)),
        *(f"/app/results?complete=yes&q={quote(text)}" for text in words[:100]),
        *(f"/app/pictures/{1 + rng.randrange(num_pictures)}" for _ in range(100)),
    ]
    rng.shuffle(paths)
    head = "Host: 127.0.0.1\r\nAccept: text/html\r\nAccept-Encoding: gzip\r\n\r\n"
    return [f"GET {path} HTTP/1.1\r\n{head}".encode() for path in paths]


def load(served: Served, requests: list[bytes], num_clients: int, seconds: float) -> Round:
    """Load a server for some seconds."""
    stop = threading.Event()
    port = int(urlsplit(served.url).port or 0)
    rng = random.Random(SEED)
    clients = []
    for _ in range(num_clients):
        start = rng.randrange(len(requests))
        clients.append(Client(port, itertools.cycle(requests[start:] + requests[:start]), stop))
    before_s, began = cpu_s(served), time.perf_counter()
    for one in clients:
        one.start()
    time.sleep(seconds)
    stop.set()
    for one in clients:
        one.join()
    wall_s = time.perf_counter() - began
    num = sum(one.num_answered for one in clients)
    used_s = [after - before for before, after in zip(before_s, cpu_s(served), strict=True)]
    cores = tuple(round(one / wall_s, 2) for one in used_s)
    return Round(round(num / wall_s, 1), round(1000 * sum(used_s) / max(1, num), 2), cores)


def cpu_s(served: Served) -> list[float]:
    """Return the processor time of each process of a server in seconds, the main one first."""
    process = psutil.Process(served.memory.pid)
    return [sum(one.cpu_times()[:2]) for one in [process, *process.children()]]


def resident_mib(served: Served) -> list[int]:
    """Return the resident memory of each process of a server, in MiB, the main one first."""
    process = psutil.Process(served.memory.pid)
    return [one.memory_info().rss // 2**20 for one in [process, *process.children()]]


def measure(home: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Load both servers in turn and return what they did."""
    requests = requests_of(home, arguments.pictures)
    several = {"server__workers": str(arguments.workers)}
    quiet = {"server__watch": "false", "log_level": "error"}
    with server_in(home, {}, **quiet) as one, server_in(home, {}, **quiet, **several) as many:
        for served in (one, many):
            load(served, requests, arguments.clients, _WARMING_S)
        rounds = [
            [load(served, requests, arguments.clients, arguments.seconds) for served in (one, many)]
            for _ in range(arguments.rounds)
        ]
        memory = {"one": resident_mib(one), "several": resident_mib(many)}
    return {
        "one": [vars_of(first) for first, _ in rounds],
        "several": [vars_of(second) for _, second in rounds],
        "ratios": [round(b.requests_per_s / a.requests_per_s, 2) for a, b in rounds],
        "memory_mib": memory,
    }


def vars_of(one: Round) -> dict[str, Any]:
    """Return a round as JSON has it."""
    return {name: getattr(one, name) for name in Round.__slots__}


def report(outcome: dict[str, Any]) -> None:
    """Print everything as tables."""
    print(
        f"{outcome['processor']}, {outcome['cores']} cores, Python {outcome['python']}; "
        f"{outcome['pictures']:,} pictures, {outcome['clients']} clients, {outcome['seconds']:g} s a round"
    )
    several = f"{outcome['workers']} processes"
    print(f"{'round':>5} {'1 process':>10} {several:>15} {'ratio':>6}   (requests/s; cores used)")
    for number, (a, b, ratio) in enumerate(
        zip(outcome["one"], outcome["several"], outcome["ratios"], strict=True), 1
    ):
        cores = f"{a['cores']} and {b['cores']}"
        print(f"{number:5} {a['requests_per_s']:10.1f} {b['requests_per_s']:15.1f} {ratio:6.2f}   {cores}")
    for name in ("one", "several"):
        cpu_ms = statistics.median(row["cpu_ms_per_request"] for row in outcome[name])
        cores = statistics.median(sum(row["cores"]) for row in outcome[name])
        memory = outcome["memory_mib"][name]
        print(f"{name:8} {cpu_ms:6.2f} ms of the processor a request, {cores:.2f} cores, memory {memory} MiB")
    print(f"median ratio {statistics.median(outcome['ratios']):.2f}")


def main() -> int:
    """Build what is missing, measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pictures", type=int, default=20_000)
    parser.add_argument("--workers", type=int, default=2, help="processes of the second server")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each load")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--cache", type=Path, help="folder that keeps the generated libraries")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        cache = arguments.cache or Path(temporary)
        home = (cache / f"gallery-{GENERATOR_VERSION}-{arguments.pictures}").absolute()
        make_home(home, arguments.pictures)
        outcome = {
            "processor": str(processor()),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            **{name: getattr(arguments, name) for name in ("pictures", "workers", "seconds", "clients")},
            **measure(home, arguments),
        }
    report(outcome)
    if arguments.json:
        arguments.json.write_text(json.dumps(outcome, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
