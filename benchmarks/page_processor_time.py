"""How much processor time the pages of a library of 100,000 generated pictures take, one request at a time.

Run it as ``python benchmarks/page_processor_time.py [--pictures N] [--requests N] [--cache DIR]``.
One client asks a server process (``smallsight serve``, no vision-language model in memory) for pages of each
kind, one after the other; what all threads of the server had of the processor meanwhile is divided by the
number of requests. On a busy machine this says more than latency does. Pages and searches are those of
``gallery_load.py``, which measures 50 users at once; no search is asked for twice.
"""

from __future__ import annotations

import argparse
import html
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import psutil
from gallery_home import language, make_home
from gallery_load import MONTH, PICTURE, TIMEOUT_S, TYPED_KINDS, cpu_s, memory_mib
from generated_library import GENERATOR_VERSION, make_queries
from served_process import server_in

NUM_WARMING = 5


def pages_of(http: httpx2.Client, queries: list[str], num: int) -> Iterator[tuple[str, list[str]]]:
    """Yield the kinds of pages, each with the addresses to ask for."""
    yield "gallery page", ["/app/"] * num
    yield "more tiles", [f"/app/tiles?start={60 * (1 + n % 20)}" for n in range(num)]
    typed, half = queries[:num], queries[num : 2 * num]
    yield "half-typed search", [_typed(text[: max(1, 2 * len(text) // 3)]) for text in half]
    yield "typed search", [_typed(text) for text in typed]
    found = [
        html.unescape(one) for text in typed for one in PICTURE.findall(http.get(_typed(text)).text)[2:4]
    ]
    yield "picture page", found[:num]
    months = [html.unescape(one) for one in MONTH.findall(http.get("/app/").text)]
    yield "jump to a month", months[:num]


def measure(home: Path, num: int) -> dict[str, Any]:
    """Serve the library and return the milliseconds of the processor that each kind of page takes."""
    queries = [text for kind, text in make_queries(home, language(), 6 * num + 60) if kind in TYPED_KINDS]
    queries = list(dict.fromkeys(queries))
    measured: dict[str, Any] = {}
    with server_in(home, {}, server__watch="false", log_level="error") as served:
        process = psutil.Process(served.memory.pid)
        with httpx2.Client(base_url=served.url, timeout=TIMEOUT_S, trust_env=False) as http:
            for text in queries[-NUM_WARMING:]:
                http.get("/app/").raise_for_status()
                http.get(_typed(text)).raise_for_status()
            for kind, addresses in pages_of(http, queries, num):
                before_s, started, size = cpu_s(process), time.perf_counter(), 0
                for address in addresses:
                    size += len(http.get(address).raise_for_status().content)
                wall_s = time.perf_counter() - started
                measured[kind] = {
                    "num": len(addresses),
                    "cpu_ms": round((cpu_s(process) - before_s) * 1000 / len(addresses), 1),
                    "wall_ms": round(wall_s * 1000 / len(addresses), 1),
                    "kib": round(size / 1024 / len(addresses), 1),
                }
            memory = memory_mib(served.memory)
    return {"pages": measured, "memory_mib": memory}


def _typed(text: str) -> str:
    return f"/app/results?{httpx2.QueryParams({'q': text})}"


def main() -> None:
    """Build the library if it is missing, measure, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pictures", type=int, default=100_000)
    parser.add_argument("--requests", type=int, default=60, help="of each kind")
    parser.add_argument("--cache", type=Path, help="folder that keeps the generated libraries")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        home = (arguments.cache or Path(temporary)) / f"gallery-{GENERATOR_VERSION}-{arguments.pictures}"
        make_home(home.absolute(), arguments.pictures)
        outcome = measure(home.absolute(), arguments.requests)
    print(f"{'page':18} {'num':>5} {'cpu ms':>8} {'wall ms':>8} {'KiB':>7}")
    for kind, row in outcome["pages"].items():
        print(f"{kind:18} {row['num']:5} {row['cpu_ms']:8.1f} {row['wall_ms']:8.1f} {row['kib']:7.1f}")
    print("memory in MiB: " + ", ".join(f"{name} {value}" for name, value in outcome["memory_mib"].items()))


if __name__ == "__main__":
    main()
