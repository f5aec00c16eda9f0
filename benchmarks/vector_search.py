"""How long the nearest of 10,000 to 1,000,000 generated vectors take to find, and whether they are exact.

Run it as ``python benchmarks/vector_search.py [--sizes N ...] [--queries N] [--cache DIR] [--json FILE]``.
Two tables of each library are searched: texts (384 numbers, as all-MiniLM-L6-v2) and pictures (768, as
SigLIP B/16), every size in a new process. "file" is the first search ever, which writes the file of vectors;
"first" is that of a new process, which checks it; "filtered" a search among 5,000 contents. Equality is with
a float32 product over all vectors of the database as they are stored, for some queries. Memory: "anonymous"
is what the process holds, "file" what of mapped files is in memory, which the system takes back at will.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from smallsight.library.database import Database
from smallsight.library.search.sqlite.vectors import VectorIndex, VectorTable
from smallsight.settings import load_settings

SEED, NUM_TOPICS, TOPIC_SHARE = 20261129, 400, 0.7
ROWS_PER_INSERT = 10_000
TABLES: dict[VectorTable, int] = {"chunk": 384, "picture_vector": 768}
KEY, LIMIT, NUM_AMONG, NUM_COMPARED = "generated", 125, 5_000, 3
LEAST = {"chunk": 0.25, "picture_vector": -1.0}
TARGETS_MS = {100_000: 60.0, 1_000_000: 250.0}


def vectors(rng: np.random.Generator, number: int, dimensions: int) -> np.ndarray:
    """Return float16 [N, D] of unit length, each near one of 400 topics."""
    topics = np.random.default_rng(SEED).standard_normal((NUM_TOPICS, dimensions)).astype(np.float32)
    topics /= np.linalg.norm(topics, axis=1, keepdims=True)
    noise = rng.standard_normal((number, dimensions), np.float32)
    noise *= np.sqrt(1 - TOPIC_SHARE**2) / np.linalg.norm(noise, axis=1, keepdims=True)
    rows = TOPIC_SHARE * topics[rng.integers(0, NUM_TOPICS, number)] + noise
    stored_ND: np.ndarray = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype("<f2")
    return stored_ND


def build(home: Path, number: int) -> float:
    """Fill the tables of a new library, and return the seconds that took."""
    started = time.perf_counter()
    rng = np.random.default_rng(SEED + 1)
    with Database.open_for_writing(load_settings(home=home).database_path) as database:
        for first in range(1, number + 1, ROWS_PER_INSERT):
            ids = range(first, min(first + ROWS_PER_INSERT, number + 1))
            with database.writing() as connection:
                run = connection.exec_driver_sql
                run(
                    "INSERT INTO content (id, sha256, size_bytes) VALUES (?, ?, 1)",
                    [(one, f"{one:064x}") for one in ids],
                )
                texts, looks = (vectors(rng, len(ids), dimensions) for dimensions in TABLES.values())
                run(
                    """INSERT INTO chunk (content_id, text, embedder_key, vector)
                    VALUES (?, 'some words', ?, ?)""",
                    [(one, KEY, row.tobytes()) for one, row in zip(ids, texts, strict=True)],
                )
                run(
                    "INSERT INTO picture_vector (content_id, embedder_key, vector) VALUES (?, ?, ?)",
                    [(one, KEY, row.tobytes()) for one, row in zip(ids, looks, strict=True)],
                )
    return time.perf_counter() - started


def measure(home: Path, table: VectorTable, num_queries: int) -> dict[str, Any]:
    """Search one table in this process."""
    queries = vectors(np.random.default_rng(SEED + 2), num_queries + 1, TABLES[table]).astype(np.float32)
    with Database.open_for_reading(load_settings(home=home).database_path) as database:
        index = VectorIndex(database, KEY, table=table)
        with database.cursor() as cursor:
            started = time.perf_counter()
            index.neighbours(cursor, queries[-1], LIMIT, min_similarity=LEAST[table])
            first_ms = (time.perf_counter() - started) * 1000
            times, filtered = [], []
            number = cursor.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            among = np.sort(np.random.default_rng(SEED).permutation(number)[:NUM_AMONG] + 1)
            for query_D in queries[:-1]:
                started, processor = time.perf_counter(), time.process_time()
                index.neighbours(cursor, query_D, LIMIT, min_similarity=LEAST[table])
                times.append((time.perf_counter() - started, time.process_time() - processor))
                started, processor = time.perf_counter(), time.process_time()
                index.neighbours(cursor, query_D, LIMIT, among=among)
                filtered.append((time.perf_counter() - started, time.process_time() - processor))
            memory = memory_mib()
            num_equal = sum(
                is_equal(cursor, index, table, query_D)
                for query_D in queries[: min(NUM_COMPARED, num_queries)]
            )
    return {
        "first_ms": round(first_ms, 1),
        **percentiles("", times),
        **percentiles("filtered_", filtered),
        **memory,
        "equal": f"{num_equal} of {min(NUM_COMPARED, num_queries)}",
    }


def is_equal(cursor: Any, index: VectorIndex, table: VectorTable, query_D: np.ndarray) -> bool:  # noqa: ANN401
    """Whether contents, order and similarities are those of a product with every vector of the table."""
    ids, products = [], []
    rows = cursor.execute(f"SELECT content_id, vector FROM {table} ORDER BY id")
    while part := rows.fetchmany(ROWS_PER_INSERT):
        stored = np.frombuffer(b"".join(row[1] for row in part), "<f2").reshape(len(part), -1)
        products.append(np.vecdot(stored.astype(np.float32), query_D))
        ids += [row[0] for row in part]
    all_N = np.concatenate(products)
    kept = np.flatnonzero(all_N >= LEAST[table])
    best = kept[np.lexsort((np.array(ids)[kept], -all_N[kept]))][:LIMIT]
    near = index.neighbours(cursor, query_D, LIMIT, min_similarity=LEAST[table])
    return [(one.content_id, one.similarity) for one in near] == [
        (ids[row], float(all_N[row])) for row in best
    ]


def percentiles(name: str, times: Sequence[tuple[float, float]]) -> dict[str, float]:
    """Return median and 99th percentile of the time, and the same of the processor's time."""
    wall, processor = (np.array(one) * 1000 for one in zip(*times, strict=True))
    return {
        f"{name}p50_ms": round(float(np.percentile(wall, 50)), 2),
        f"{name}p99_ms": round(float(np.percentile(wall, 99)), 2),
        f"{name}processor_p50_ms": round(float(np.percentile(processor, 50)), 2),
        f"{name}processor_p99_ms": round(float(np.percentile(processor, 99)), 2),
    }


def memory_mib() -> dict[str, int]:
    """Return what this process has in memory, in MiB; 0 where the system does not say."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        lines = []
    found = {line.partition(":")[0]: int(line.split()[1]) // 1024 for line in lines if line.startswith("Rss")}
    return {"anonymous_mib": found.get("RssAnon", 0), "file_mib": found.get("RssFile", 0)}


def in_new_process(home: Path, table: VectorTable, num_queries: int) -> dict[str, Any]:
    """Return what ``measure`` does."""
    command = [sys.executable, __file__, "--measure", str(home), table, "--queries", str(num_queries)]
    return dict(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


def main() -> None:
    """Build what is missing, measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--cache", type=Path, help="folder that keeps the generated libraries")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(Path(arguments.measure[0]), arguments.measure[1], arguments.queries)))
        return
    outcome: dict[str, Any] = {"machine": platform.processor() or platform.machine(), "numpy": np.__version__}
    with tempfile.TemporaryDirectory() as temporary:
        for size in arguments.sizes:
            home = (arguments.cache or Path(temporary)) / f"vectors-{size}"
            built_s = build(home, size) if not home.is_dir() else 0.0
            print(
                f"\n{size:,} contents, built in {built_s:.0f} s; target p99 {TARGETS_MS.get(size, 0):.0f} ms"
            )
            for path in home.glob("vectors-*"):
                path.unlink()
            for table in TABLES:
                file_ms = in_new_process(home, table, 1)["first_ms"]
                found = {"file_ms": file_ms, **in_new_process(home, table, arguments.queries)}
                outcome[f"{size} {table}"] = found
                print(
                    f"  {table:15} " + ", ".join(f"{name} {value}" for name, value in found.items()),
                    flush=True,
                )
    if arguments.json:
        arguments.json.write_text(json.dumps(outcome, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
