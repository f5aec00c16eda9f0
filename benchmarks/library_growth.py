"""How the rest of a library grows: commands on 10,000 to 1,000,000 generated pictures, and a scan of files.

Run it as ``python benchmarks/library_growth.py --cache DIR [--sizes N ...] [--skip NAME ...] [--json FILE]``
after ``search_latency.py`` with the same ``--cache``, which builds what is missing. Each command is a new
process with a limit of ten minutes: seconds, of which on the processor, and peak memory. The scan is that of
``smallsight index`` on a folder where nothing has changed: as many files of one byte are made for it, with
the sizes and times that the library knows.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from generated_library import GENERATOR_VERSION

from smallsight.library.database import Database
from smallsight.library.progress import Unreported
from smallsight.library.scan import FolderScan
from smallsight.settings import load_settings

LIMIT_S = 600
COMMANDS = {
    "search for a word, from the shell": ["search", "--mode", "keyword", "tag"],
    "list tags": ["tags"],
    "list folders": ["folders"],
    "duplicates": ["duplicates"],
    "duplicates by hashes alone": ["duplicates", "--bits", "4"],
    "export to JSON lines": ["export", "--out", "EXPORTED"],
}
SCAN = "scan of unchanged files"


def main() -> None:
    """Measure every size and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--cache", type=Path, required=True, help="the folder of search_latency.py --cache")
    parser.add_argument("--skip", nargs="*", default=[], help="names of the table to leave out")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--scan", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.scan:
        scan()
        return
    outcome: dict[str, Any] = {}
    for size in arguments.sizes:
        home = arguments.cache / f"generated-{GENERATOR_VERSION}-{size}"
        print(f"\n{size:,} pictures", flush=True)
        with tempfile.TemporaryDirectory(dir=arguments.cache) as below:
            for name, measured in measurements(home, Path(below), arguments.skip).items():
                outcome[f"{size} {name}"] = found = measured()
                told = ", ".join(f"{key} {value}" for key, value in found.items())
                print(f"  {name:34} {told}", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(outcome, indent=1) + "\n", encoding="utf-8")


def measurements(home: Path, below: Path, skipped: list[str]) -> dict[str, Callable[[], dict[str, Any]]]:
    """Return what is measured, by its name in the table."""
    program = [sys.executable, "-m", "smallsight"]
    exported = str(below / "exported.jsonl")
    found: dict[str, Callable[[], dict[str, Any]]] = {
        name: partial(run, [*program, *(exported if word == "EXPORTED" else word for word in words)], home)
        for name, words in COMMANDS.items()
    }
    found[SCAN] = lambda: run(
        [sys.executable, __file__, "--cache", str(below), "--scan"], files_of(home, below)
    )
    return {name: one for name, one in found.items() if name not in skipped}


def run(command: list[str], home: Path) -> dict[str, Any]:
    """Run a process to its end, or for ten minutes."""
    started = time.perf_counter()
    process = subprocess.Popen(
        command,
        env={**os.environ, "SMALLSIGHT_HOME": str(home)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    limit = threading.Timer(LIMIT_S, process.kill)
    limit.start()
    _, status, used = os.wait4(process.pid, 0)
    limit.cancel()
    process.returncode = os.waitstatus_to_exitcode(status)
    found: dict[str, Any] = {} if not process.returncode else {"exit_code": process.returncode}
    return found | {
        "seconds": round(time.perf_counter() - started, 2),
        "processor_s": round(used.ru_utime + used.ru_stime, 2),
        "peak_mib": used.ru_maxrss // 1024,
    }


def files_of(home: Path, below: Path) -> Path:
    """Return a copy of the library whose folder exists, with a file for each picture."""
    copy, root = below / "home", below / "pictures"
    copy.mkdir()
    path = load_settings(home=home).database_path
    shutil.copy(path, copy / path.name)
    with sqlite3.connect(copy / path.name) as connection:
        connection.execute("UPDATE folder SET path = ?", (str(root),))
        connection.execute("UPDATE picture SET size_bytes = 1")
        for name, mtime_ns in connection.execute("SELECT path, mtime_ns FROM picture"):
            file = root / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b".")
            os.utime(file, ns=(mtime_ns, mtime_ns))
    return copy


def scan() -> None:
    """Scan the only folder of a library."""
    settings = load_settings()
    with Database.open_for_writing(settings.database_path) as database:
        with database.cursor() as cursor:
            folder_id, root = cursor.execute("SELECT id, path FROM folder").fetchone()
        report = FolderScan(database, settings, folder_id, Path(root)).run(Unreported(), lambda: False)
    if report.hashed or not report.found:
        raise SystemExit(f"Something has changed: {report}")


if __name__ == "__main__":
    main()
