"""How long a search takes in a library of 10,000, of 100,000 or of 1,000,000 generated pictures.

Run it as ``python benchmarks/search_latency.py [--sizes N ...] [--queries N] [--cache DIR] [--json FILE]``.
A million rows take six minutes of the processor and 5 GB; with ``--cache`` they are kept for the next run.
Each size is searched in a process of its own, after a warming pass; the times are those of
``Searcher.search`` for a page of 20 hits, without the time that embedding a query takes. "cpu" is what the
searching process had of the processor, in all its threads: two of them share a search by meaning. A
cold start is a whole new process: interpreter, imports, opening the library, one fused search.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from generated_library import (
    EMBEDDER_KEY,
    GENERATOR_VERSION,
    NUM_DIMENSIONS,
    SEED,
    Language,
    build_library,
    make_queries,
)

from smallsight.library.database import Database
from smallsight.library.search.searcher import Mode, Searcher
from smallsight.library.search.sqlite.index import SqliteTextIndex
from smallsight.settings import load_settings

TARGETS_P99_MS = {1_000_000: 250.0}  # smaller libraries: the next line
TARGET_P99_MS = 100.0
SUMMARY = {Mode.KEYWORD: "words", Mode.SEMANTIC: "meaning", Mode.FUSED: "both"}


def measure(home: Path, num_queries: int) -> dict[str, Any]:
    """Search in this process and return times by mode and kind."""
    language = Language(np.random.default_rng(SEED))
    queries = make_queries(home, language, num_queries)
    settings = load_settings(home=home)
    with Database.open_for_reading(settings.database_path) as database:
        searcher = Searcher(SqliteTextIndex(database, EMBEDDER_KEY), settings, language.embed)
        times: dict[tuple[Mode, str], list[tuple[float, float]]] = {
            (mode, kind): [] for mode in Mode for kind in ["all", *dict(queries)]
        }
        hits: dict[str, int] = dict.fromkeys(dict(queries), 0)
        for is_measured in (False, True):
            asked = queries if is_measured else queries[:: max(len(queries) // 60, 1)]
            for mode in Mode:  # one after the other, because the products of a query are kept
                for kind, text in asked:
                    started, cpu_started = time.perf_counter(), time.process_time()
                    result = searcher.search(text, mode=mode)
                    elapsed_ms = (time.perf_counter() - started) * 1000
                    cpu_ms = (time.process_time() - cpu_started) * 1000
                    if is_measured:
                        times[mode, kind].append((elapsed_ms, cpu_ms))
                        times[mode, "all"].append((elapsed_ms, cpu_ms))
                        hits[kind] += mode is Mode.KEYWORD and bool(result.hits)
        near_started = time.perf_counter()
        searcher.similar(1, limit=20)
        similar_ms = (time.perf_counter() - near_started) * 1000
        memory = memory_mib()
    rows = [
        {"mode": mode.value, "kind": kind, "num": len(ms), **percentiles(ms), "with_hits": hits.get(kind)}
        for (mode, kind), ms in times.items()
    ]
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"rows": rows, "peak_rss_mib": round(peak_mib), **memory, "similar_ms": round(similar_ms, 1)}


def memory_mib() -> dict[str, int]:
    """Return what this process holds, and what of mapped files is in memory; nothing if nobody says."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return {}
    kib = {line.split(":")[0]: int(line.split()[1]) for line in lines if line.startswith("Rss")}
    return {"anonymous_mib": kib["RssAnon"] // 1024, "file_mib": kib["RssFile"] // 1024}


def percentiles(times: Sequence[tuple[float, float]]) -> dict[str, float]:
    """Return median, 99th percentile and maximum of the time, and what the process had of the processor."""
    times_ms, cpu_ms = zip(*times, strict=True)
    return {
        "p50_ms": round(float(np.percentile(times_ms, 50)), 2),
        "p99_ms": round(float(np.percentile(times_ms, 99)), 2),
        "max_ms": round(max(times_ms), 2),
        "cpu_p50_ms": round(float(np.percentile(cpu_ms, 50)), 2),
        "cpu_p99_ms": round(float(np.percentile(cpu_ms, 99)), 2),
    }


def search_once(home: Path) -> dict[str, float]:
    """Open the library, search once, and say how long each took."""
    settings = load_settings(home=home)
    vector_D = np.ones((1, NUM_DIMENSIONS), np.float32) / np.sqrt(NUM_DIMENSIONS)
    started = time.perf_counter()
    with Database.open_for_reading(settings.database_path) as database:
        opened = time.perf_counter()
        index = SqliteTextIndex(database, EMBEDDER_KEY)
        Searcher(index, settings, lambda _: vector_D).search("some words of it")
        return {"open_ms": (opened - started) * 1000, "search_ms": (time.perf_counter() - opened) * 1000}


def cold_starts(home: Path) -> Iterator[dict[str, Any]]:
    """Time new processes: the first has to write the file of vectors, the others find it."""
    for path in home.glob("vectors-*.int8"):
        path.unlink()
    for name in ("first search ever", "new process", "new process, again"):
        started = time.perf_counter()
        run = subprocess.run(
            [sys.executable, __file__, "--once", str(home)], check=True, capture_output=True, text=True
        )
        wall_ms = (time.perf_counter() - started) * 1000
        inside = {key: round(value, 1) for key, value in json.loads(run.stdout).items()}
        yield {"name": name, "wall_ms": round(wall_ms, 1), **inside}


def report(size: int, outcome: dict[str, Any]) -> None:
    """Print one size as a table."""
    print(
        f"\n{size:,} pictures: built in {outcome['all_s']} s, of it search index and facets "
        f"{outcome['index_s']} s; database {outcome['database_mib']} MiB, file of vectors "
        f"{outcome['vectors_mib']} MiB; the searching process {outcome.get('anonymous_mib')} MiB and "
        f"{outcome.get('file_mib')} MiB of mapped files, peak {outcome['peak_rss_mib']} MiB; "
        f"similar pictures {outcome['similar_ms']} ms"
    )
    for cold in outcome["cold"]:
        print(
            f"  {cold['name']:22} {cold['wall_ms']:8.0f} ms, "
            f"of it open {cold['open_ms']}, search {cold['search_ms']}"
        )
    print(
        f"  {'mode':9} {'kind':28} {'num':>5} {'p50 ms':>8} {'p99 ms':>8} {'max ms':>8} "
        f"{'cpu p50':>8} {'cpu p99':>8} {'with hits':>9}"
    )
    for row in outcome["rows"]:
        print(
            f"  {row['mode']:9} {row['kind']:28} {row['num']:5} {row['p50_ms']:8.2f} {row['p99_ms']:8.2f} "
            f"{row['max_ms']:8.2f} {row['cpu_p50_ms']:8.2f} {row['cpu_p99_ms']:8.2f} "
            f"{'' if row['with_hits'] is None else row['with_hits']:>9}"
        )


def main() -> int:
    """Build what is missing, measure, print, and return 1 when a target is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--queries", type=int, default=760)
    parser.add_argument("--cache", type=Path, help="folder that keeps the generated libraries")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--once", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.once or arguments.measure:
        inner = (
            search_once(arguments.once) if arguments.once else measure(arguments.measure, arguments.queries)
        )
        print(json.dumps(inner))
        return 0
    with tempfile.TemporaryDirectory() as temporary:
        cache = arguments.cache or Path(temporary)
        sizes = {
            size: run_size(cache / f"generated-{GENERATOR_VERSION}-{size}", size, arguments.queries)
            for size in arguments.sizes
        }
    outcome = {
        "machine": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "numpy": np.__version__,
        "sizes": sizes,
    }
    if arguments.json:
        arguments.json.write_text(json.dumps(outcome, indent=1))
    met = [summarise(size, one) for size, one in sizes.items()]
    return int(not all(met))


def summarise(size: int, outcome: dict[str, Any]) -> bool:
    """Print one line for each mode over all kinds of queries, and return whether all met the target."""
    target_ms = TARGETS_P99_MS.get(size, TARGET_P99_MS)
    all_kinds = [row for row in outcome["rows"] if row["kind"] == "all"]
    print(f"\n{size:,} pictures, target p99 {target_ms} ms")
    for row in all_kinds:
        print(
            f"  {SUMMARY[Mode(row['mode'])]:8} p50 {row['p50_ms']:7.1f} ms, p99 {row['p99_ms']:7.1f} ms, "
            f"processor p99 {row['cpu_p99_ms']:7.1f} ms"
        )
    return all(row["p99_ms"] <= target_ms for row in all_kinds)


def run_size(home: Path, size: int, num_queries: int) -> dict[str, Any]:
    """Measure one size, building its library when it is not there."""
    done = home / "build.json"
    if not done.exists():
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        times = build_library(home, size)
        done.write_text(json.dumps({"all_s": round(times.all_s, 1), "index_s": round(times.index_s, 1)}))
    cold = list(cold_starts(home))
    command = [sys.executable, __file__, "--measure", str(home), "--queries", str(num_queries)]
    inner = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    database_bytes = load_settings(home=home).database_path.stat().st_size
    outcome = {
        **json.loads(done.read_text()),
        "database_mib": database_bytes // 2**20,
        "vectors_mib": sum(path.stat().st_size for path in home.glob("vectors-*.int8")) // 2**20,
        "cold": cold,
        **inner,
    }
    report(size, outcome)
    return outcome


if __name__ == "__main__":
    sys.exit(main())
