"""How fast the pages of a library of 100,000 generated pictures are for 50 people at once.

Run it as ``python benchmarks/gallery_load.py [--pictures N] [--users N] [--seconds S] [--thumbnails N]
[--pace hurried|tpc-w|both] [--cache DIR] [--json FILE]``. A real server process (``smallsight serve``, no
vision-language model in memory) and all clients share this machine. Each user opens the gallery, scrolls,
types a search key by key, opens pictures, and sometimes jumps to a month. Between these hurried users think
for 0.5 to 2 seconds; the others think as those of TPC-W, a benchmark of web shops: a negative exponential
time of 7 seconds on average, cut at 70 (source: TPC Benchmark W, version 1.8, think time). Both type a key
every 0.17 to 0.4 seconds, and each key sends a search, as the page does; one that is not answered by then
is given up, as by the page, and counts in "given up". "typed search" is the one for the whole text, which
nothing interrupts; "meaning after a pause" is what the page asks for 350 ms later if that was answered by
words alone, as the server does while several people type. A last run has the same users without any pause,
and every search of every key is waited for: it shows what the server does when it is saturated, not what a
person waits.

Times are a client's, from sending a request until the last byte has come; so the clients' own wait for the
processor counts. "cpu" is what the server had of the processor per request. With ``--thumbnails`` every
user loads that many thumbnails for each list that is shown, once each, as a browser with a cache does; they
are files of one small picture, linked under all names. Memory is that of the server's process: "private" is
its memory, "mapped" are file pages that the system can drop, above all the vectors of the text embedder.
"""

from __future__ import annotations

import argparse
import asyncio
import html
import json
import os
import platform
import random
import re
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import psutil
from gallery_home import language, link_thumbnails, make_home
from generated_library import GENERATOR_VERSION, SEED, make_queries
from served_process import MIB, Memory, server_in

from smallsight.machine.processor import processor

# 99th percentiles, on 2 cores.
AIMS_MS = {"gallery page": 150.0, "typed search": 250.0, "meaning after a pause": 250.0}
AIM_MEMORY_MIB = 500
BETWEEN_KEYS_S = (0.17, 0.4)
# How long users think, in seconds; without an entry they do not pause.
PACES: dict[str, Callable[[random.Random], float]] = {
    "hurried": lambda rng: rng.uniform(0.5, 2.0),
    "tpc-w": lambda rng: min(rng.expovariate(1 / 7), 70.0),
}
WITHOUT_A_PAUSE = "without a pause"
TYPED_KINDS = (
    "one rare word",
    "one common word",
    "2 to 4 words of a picture",
    "a sentence",
    "misspelt word",
    "word, tag",
)
WARMING_S, STAGGER_S, TIMEOUT_S = 8.0, 2.0, 60.0
PICTURE = re.compile(r'class="open" href="([^"]+)"')
MONTH = re.compile(r'href="([^"]+)" data-start="')
_COMPLETE = re.compile(r'hx-get="([^"]+complete=yes)" hx-trigger="load delay:([0-9]+)ms"')
_MORE = re.compile(r'hx-get="([^"]+/tiles[^"]*)"')
_THUMBNAIL = re.compile(r'class="thumbnail" src="([^"]+)"')


@dataclass(slots=True)
class Measured:
    """What the users of one run have seen."""

    times_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    num_bytes: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    num_given_up: int = 0

    def rows(self) -> list[dict[str, Any]]:
        """Return a row for each kind of request, and one for all but thumbnails."""
        pages = [one for kind, times in self.times_s.items() if kind != "thumbnail" for one in times]
        return [
            {"kind": kind, "num": len(times), **percentiles_ms(times), "kib": round(size / 1024, 1)}
            for kind, times, size in [
                *((kind, times, self.num_bytes[kind] / len(times)) for kind, times in self.times_s.items()),
                ("all pages", pages, sum(self.num_bytes.values()) / max(1, len(pages))),
            ]
            if times
        ]


def percentiles_ms(times_s: Sequence[float]) -> dict[str, float]:
    """Return percentiles and the maximum in milliseconds."""
    values = {f"p{share}_ms": round(float(np.percentile(times_s, share)) * 1000, 1) for share in (50, 95, 99)}
    return values | {"max_ms": round(max(times_s) * 1000, 1)}


class User:
    """One person with one browser."""

    def __init__(
        self,
        url: str,
        number: int,
        queries: Sequence[str],
        measured: Measured,
        *,
        pace: str,
        thumbnails: int,
    ) -> None:
        self._rng = random.Random(SEED + number)
        self._url, self._queries, self._measured = url, queries, measured
        self._think_s, self._num_thumbnails = PACES.get(pace), thumbnails
        self._loaded: set[str] = set()

    async def use(self) -> None:
        """Use the app until cancelled."""
        rng = self._rng
        await asyncio.sleep(rng.random() * STAGGER_S)
        limits = httpx2.Limits(max_connections=6)  # those of a browser
        async with httpx2.AsyncClient(
            base_url=self._url, timeout=TIMEOUT_S, limits=limits, trust_env=False
        ) as self._http:
            while True:
                page = await self._get("gallery page", "/app/")
                for _ in range(rng.randint(1, 4)):
                    page = await self._follow("more tiles", _MORE, page) or page
                page = await self._type(rng.choice(self._queries))
                for _ in range(rng.randint(0, 2)):
                    await self._follow("picture page", PICTURE, page)
                if rng.random() < 0.3:
                    start = await self._get("gallery page", "/app/")
                    await self._follow("jump to a month", MONTH, start)

    async def _type(self, query: str) -> str:
        """Type a search; a request that is not answered when the next one goes out is given up."""
        asking: asyncio.Task[str] | None = None
        try:
            for end in range(1, len(query) + 1):
                if self._think_s:
                    await asyncio.sleep(self._rng.uniform(*BETWEEN_KEYS_S))
                if asking is not None and not asking.done():
                    asking.cancel()
                    await asyncio.wait([asking])
                    self._measured.num_given_up += 1
                kind = "typed search" if end == len(query) else "half-typed search"
                asking = asyncio.create_task(self._get(kind, "/app/results", 0.0, q=query[:end]))
                if not self._think_s:
                    await asking
            return "" if asking is None else await self._complete(await asking)
        finally:
            if asking is not None:  # the run has ended
                asking.cancel()

    async def _complete(self, page: str) -> str:
        """Ask for the meaning too, after a pause, if the page says that it was left out."""
        found = _COMPLETE.search(page)
        if found is None:
            return page
        await asyncio.sleep(int(found[2]) / 1000)
        return await self._get("meaning after a pause", html.unescape(found[1]))

    async def _follow(self, kind: str, pattern: re.Pattern[str], page: str) -> str | None:
        found = pattern.findall(page)
        return await self._get(kind, html.unescape(self._rng.choice(found))) if found else None

    async def _get(self, kind: str, address: str, pause_s: float | None = None, **query: str) -> str:
        text = await self._load(kind, address, query)
        shown = [one for one in _THUMBNAIL.findall(text)[: self._num_thumbnails] if one not in self._loaded]
        self._loaded.update(shown)
        await asyncio.gather(*(self._load("thumbnail", one, {}) for one in shown))
        thinking_s = self._think_s(self._rng) if self._think_s else 0.0
        await asyncio.sleep(thinking_s if pause_s is None else pause_s)
        return text

    async def _load(self, kind: str, address: str, query: dict[str, str]) -> str:
        started = time.perf_counter()
        try:
            response = await self._http.get(address, params=query or None)
        except httpx2.HTTPError as error:
            self._measured.errors[f"{kind}: {type(error).__name__}"] += 1
            return ""
        self._measured.times_s[kind].append(time.perf_counter() - started)
        self._measured.num_bytes[kind] += int(response.headers.get("content-length", 0))
        if response.status_code != 200:
            self._measured.errors[f"{kind}: {response.status_code}"] += 1
        return "" if kind == "thumbnail" else response.text


async def use_by_many(
    url: str, queries: Sequence[str], num_users: int, seconds: float, *, pace: str, thumbnails: int
) -> Measured:
    """Let users use the app, and return what they saw after the first seconds, in which caches fill."""
    measured = Measured()
    users = [
        User(url, number, queries, measured, pace=pace, thumbnails=thumbnails) for number in range(num_users)
    ]
    using = [asyncio.create_task(user.use()) for user in users]
    await asyncio.sleep(WARMING_S)
    measured.times_s.clear()
    measured.num_bytes.clear()
    measured.num_given_up = 0
    ended, _ = await asyncio.wait(using, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
    for one in ended:
        one.result()  # a user never ends without an error
    for one in using:
        one.cancel()
    await asyncio.gather(*using, return_exceptions=True)
    return measured


def measure(home: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Serve the library, and return what users see of it at each pace."""
    texts = [text for kind, text in make_queries(home, language(), 2_000) if kind in TYPED_KINDS]
    runs = {}
    with server_in(home, {}, server__watch="false", log_level="error") as served:
        process = psutil.Process(served.memory.pid)
        memory = {"started": memory_mib(served.memory)}
        with httpx2.Client(base_url=served.url, timeout=TIMEOUT_S, trust_env=False) as http:
            first_s = {}
            for kind, address in (("gallery page", "/app/"), ("typed search", f"/app/results?q={texts[0]}")):
                started = time.perf_counter()
                http.get(address).raise_for_status()
                first_s[kind] = round((time.perf_counter() - started) * 1000, 1)
        memory["first pages"] = memory_mib(served.memory)
        for name in [*_paces(arguments), WITHOUT_A_PAUSE]:
            cpu_before_s, own_before_s, began = cpu_s(process), time.process_time(), time.perf_counter()
            measured = asyncio.run(
                use_by_many(
                    served.url,
                    texts,
                    arguments.users,
                    arguments.seconds,
                    pace=name,
                    thumbnails=arguments.thumbnails,
                )
            )
            wall_s = time.perf_counter() - began
            rows = measured.rows()
            num = sum(row["num"] for row in rows if row["kind"] != "all pages")
            runs[name] = {
                "rows": rows,
                "requests_per_s": round(num / (wall_s - WARMING_S), 1),
                "server_cores": round((cpu_s(process) - cpu_before_s) / wall_s, 2),
                "client_cores": round((time.process_time() - own_before_s) / wall_s, 2),
                "given_up": measured.num_given_up,
                "errors": dict(measured.errors),
            }
            memory[f"after {name}"] = memory_mib(served.memory)
    return {"first_request_ms": first_s, "runs": runs, "memory_mib": memory}


def cpu_s(process: psutil.Process) -> float:
    """Return the seconds of the processor that a process and its children have had."""
    times = process.cpu_times()
    return float(times.user + times.system + times.children_user + times.children_system)


def memory_mib(memory: Memory) -> dict[str, int]:
    """Return what the server holds now and the most it has held, in MiB."""
    status = Path(f"/proc/{memory.pid}/status").read_text(encoding="utf-8")
    names = {"resident": "VmRSS", "peak": "VmHWM", "private": "RssAnon", "mapped": "RssFile"}
    found = {name: int(status.split(f"{key}:")[1].split()[0]) // 1024 for name, key in names.items()}
    return found | {"with children": memory.now_bytes() // MIB}


def report(outcome: dict[str, Any]) -> None:
    """Print everything as tables."""
    print(
        f"{outcome['processor']}, {outcome['cores']} cores, Python {outcome['python']}; "
        f"{outcome['pictures']:,} pictures, {outcome['users']} users, {outcome['seconds']:g} s a run, "
        f"{outcome['thumbnails']} thumbnails a list"
    )
    print(f"first request of all: {outcome['first_request_ms']} ms")
    for name, run in outcome["runs"].items():
        print(
            f"\n{name}: {run['requests_per_s']} requests/s, server {run['server_cores']} cores, "
            f"clients {run['client_cores']} cores, given up {run['given_up']}, errors {run['errors'] or 0}"
        )
        print(f"  {'kind':21} {'num':>6} {'p50 ms':>8} {'p95 ms':>8} {'p99 ms':>8} {'max ms':>8} {'KiB':>7}")
        for row in run["rows"]:
            print(
                f"  {row['kind']:21} {row['num']:6} {row['p50_ms']:8.1f} {row['p95_ms']:8.1f} "
                f"{row['p99_ms']:8.1f} {row['max_ms']:8.1f} {row['kib']:7.1f}"
            )
    print("\nmemory of the server in MiB")
    for name, values in outcome["memory_mib"].items():
        print(f"  {name:22} " + ", ".join(f"{key} {value}" for key, value in values.items()))


def missed_aims(outcome: dict[str, Any]) -> list[str]:
    """Return in words which aims the users who think do not get."""
    missed = []
    for name, run in outcome["runs"].items():
        p99_ms = {row["kind"]: row["p99_ms"] for row in run["rows"]}
        if name in PACES:
            missed += [
                f"{name}, {kind}: p99 {p99_ms[kind]} ms, aim {aim_ms} ms"
                for kind, aim_ms in AIMS_MS.items()
                if p99_ms.get(kind, 0) > aim_ms
            ]
    peak_mib = max(
        outcome["memory_mib"][f"after {name}"]["peak"] for name in outcome["runs"] if name in PACES
    )
    if peak_mib > AIM_MEMORY_MIB:
        missed.append(f"memory: {peak_mib} MiB, aim {AIM_MEMORY_MIB} MiB")
    errors = [run["errors"] for run in outcome["runs"].values() if run["errors"]]
    return [*missed, *(f"errors: {one}" for one in errors)]


def _paces(arguments: argparse.Namespace) -> list[str]:
    return list(PACES) if arguments.pace == "both" else [arguments.pace]


def main() -> int:
    """Build what is missing, measure, print, and return 1 if an aim is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pictures", type=int, default=100_000)
    parser.add_argument("--users", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60.0, help="of each run, after it has warmed up")
    parser.add_argument("--thumbnails", type=int, default=0, help="loaded for each list that is shown")
    parser.add_argument("--pace", choices=[*PACES, "both"], default="both", help="how long users think")
    parser.add_argument("--cache", type=Path, help="folder that keeps the generated libraries")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        cache = arguments.cache or Path(temporary)
        home = (cache / f"gallery-{GENERATOR_VERSION}-{arguments.pictures}").absolute()
        make_home(home, arguments.pictures)
        if arguments.thumbnails:
            import hashlib  # noqa: PLC0415

            link_thumbnails(
                home, (hashlib.sha256(str(n).encode()).hexdigest() for n in range(1, arguments.pictures + 1))
            )
        outcome = {
            "processor": str(processor()),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            **{name: getattr(arguments, name) for name in ("pictures", "users", "seconds", "thumbnails")},
            **measure(home, arguments),
        }
    report(outcome)
    if arguments.json:
        arguments.json.write_text(json.dumps(outcome, indent=1))
    missed = missed_aims(outcome)
    print("\n" + ("\n".join(f"missed: {one}" for one in missed) or "all aims met"))
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
