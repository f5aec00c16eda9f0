"""How long `GET /v1/models` takes: alone, and while clients stream answers from Smallsight-tiny.

The list is asked for by a process of its own on a connection that stays open, as chat front-ends poll it; the
clients run in another process. Prints JSON. On a machine with few cores clients, server and prober
compete for them: `live_ms` is what `/health/live`, which does nothing, takes in the same rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import os
import time
from collections.abc import AsyncIterator
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from typing import Any

import httpx2
from load_clients import Question, Seen, ask_all, percentiles_ms
from served_process import smallsight_server

_MODEL = "Smallsight-tiny"
_PATHS = ("/v1/models", "/health/live")
_NICE = -10
_END_TOKENS = (1, 2, 42)  # of Smallsight-tiny: without them every answer has its largest length


def poll(url: str, pause_s: float, ended: Event, seconds: Connection) -> None:
    """Ask for the list and for `/health/live` in turn until ended, and send how long each answer took."""
    with contextlib.suppress(PermissionError):
        os.nice(_NICE)  # else its own wait for a core counts
    took_s: dict[str, list[float]] = {path: [] for path in _PATHS}
    with httpx2.Client(base_url=url, timeout=60, trust_env=False) as http:
        for path in _PATHS:
            http.get(path).raise_for_status()
        order = list(_PATHS)
        while not ended.wait(pause_s):
            order.reverse()  # the first after a pause waits for the server to wake
            for path in order:
                began_s = time.perf_counter()
                http.get(path).raise_for_status()
                took_s[path].append(time.perf_counter() - began_s)
    seconds.send(took_s)


def measure(url: str, num_clients: int, seconds: float, pause_s: float, max_tokens: int) -> dict[str, Any]:
    """Poll for so many seconds while so many clients stream."""
    spawned = multiprocessing.get_context("spawn")
    ended, (receiving, sending) = spawned.Event(), spawned.Pipe(duplex=False)
    polling = spawned.Process(target=poll, args=(url, pause_s, ended, sending), daemon=True)
    polling.start()
    sending.close()
    try:
        seen = asyncio.run(_stream(url, num_clients, seconds, max_tokens))
    finally:
        ended.set()
    took_s = receiving.recv()
    polling.join()
    return {
        "clients": num_clients,
        "polls": len(took_s["/v1/models"]),
        "models_ms": percentiles_ms(took_s["/v1/models"]),
        "live_ms": percentiles_ms(took_s["/health/live"]),
        "answers": None if seen is None else seen.row(),
        "load_average": os.getloadavg()[0],
    }


async def _stream(url: str, num_clients: int, seconds: float, max_tokens: int) -> Seen | None:
    if not num_clients:
        await asyncio.sleep(seconds)
        return None
    until_s = time.monotonic() + seconds

    async def questions() -> AsyncIterator[Question]:
        number = 0
        while time.monotonic() < until_s:
            number += 1
            text = f"Describe number {number}."
            yield Question(_MODEL, None, text, max_tokens=max_tokens, unwanted_tokens=_END_TOKENS)

    return await ask_all(url, questions(), num_clients)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--pause-ms", type=float, default=20.0)
    parser.add_argument("--tokens", type=int, default=128, help="of each answer")
    given = parser.parse_args()
    settings = {"active_model": _MODEL, "server__max_requests": "1000"}
    with smallsight_server({}, **settings) as served:
        rows = [
            measure(served.url, clients, given.seconds, given.pause_ms / 1000, given.tokens)
            for clients in (0, given.clients)
        ]
    print(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
