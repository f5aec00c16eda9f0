"""Whether a person's edits are kept, and how long they take, while an index run fills the library.

Run it as ``python benchmarks/edits_while_indexing.py [--pictures 1000] [--edits 200] [--json FILE]``. An
index run works in a process of its own; this one edits pictures that are known already, as
``smallsight edit`` does.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa
from PIL import Image

from smallsight.errors import LibraryMissingError
from smallsight.library.database import Database
from smallsight.library.library import Library
from smallsight.library.schema import picture
from smallsight.settings import load_settings


def main() -> None:
    """Index, edit meanwhile, and print the times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=1_000)
    parser.add_argument("--edits", type=int, default=200)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        result = measure(Path(root), arguments.pictures, arguments.edits)
    print(
        f"{result['kept']} of {result['edits']} edits kept during a run of {result['run_s']:.1f} s over "
        f"{result['pictures']:,} pictures; p50 {result['p50_ms']:.1f}, p99 {result['p99_ms']:.1f}, "
        f"longest {result['longest_ms']:.1f} ms"
    )
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def measure(root: Path, num_pictures: int, num_edits: int) -> dict[str, Any]:
    """Return the times of edits in milliseconds, and how many are there after the run."""
    folder, home = root / "pictures", root / "home"
    folder.mkdir()
    for number in range(num_pictures):
        cells = np.random.default_rng(number).integers(0, 256, (30, 40, 3), np.uint8)
        Image.fromarray(cells).resize((800, 600)).save(folder / f"{number:05}.jpg", quality=85)
    environment = {**os.environ, "SMALLSIGHT_HOME": str(home)}
    started_s = time.perf_counter()
    run = subprocess.Popen(
        [sys.executable, "-m", "smallsight", "index", "--quiet", str(folder)], env=environment
    )
    database = _open(load_settings(home=home).database_path)
    library = Library(database)
    times_ms: list[float] = []
    edited: list[int] = []
    while len(edited) < num_edits:
        for content_id in _known(database)[len(edited) : num_edits]:
            before_s = time.perf_counter()
            library.edit(content_id, description=f"my words {content_id}", tags_added=("mine",))
            times_ms.append(1_000 * (time.perf_counter() - before_s))
            edited.append(content_id)
            time.sleep(0.02)
        if run.poll() is not None and len(_known(database)) < num_edits:
            message = f"the run ended with {run.returncode} before there were enough pictures"
            raise SystemExit(message)
    is_running = run.poll() is None
    if run.wait():
        message = f"the run ended with {run.returncode}"
        raise SystemExit(message)
    run_s = time.perf_counter() - started_s
    details = [library.details(content_id) for content_id in edited]
    kept = sum(one.description == f"my words {one.content_id}" and one.tags == ("mine",) for one in details)
    database.check_integrity()
    database.close()
    return {
        "pictures": num_pictures,
        "edits": num_edits,
        "kept": kept,
        "all_during_the_run": is_running,
        "run_s": run_s,
        "p50_ms": float(np.percentile(times_ms, 50)),
        "p99_ms": float(np.percentile(times_ms, 99)),
        "longest_ms": max(times_ms),
    }


def _open(path: Path) -> Database:
    while True:
        try:
            Database.open_for_reading(path).close()
        except LibraryMissingError:
            time.sleep(0.01)
        else:
            return Database.open_for_writing(path)


def _known(database: Database) -> list[int]:
    with database.reading() as connection:
        ids = sa.select(picture.c.content_id).where(picture.c.content_id.is_not(None)).distinct()
        return list(connection.execute(ids.order_by(picture.c.content_id)).scalars())


if __name__ == "__main__":
    main()
