"""Branch coverage of `make test` beside that of `make test-all`, each test run once.

First runs the tests that are not marked as slow, then the slow ones, and combines what both reached. Prints
the two percentages, and the files in which slow tests alone reach most. Each part's data has a folder of its
own, because coverage deletes files whose names begin like its data's. A part that fails is reported, and its
coverage counts. With --data, a part whose data is there from another run is not run again, so that each may
have an hour of its own: --part fast, and later --part slow.

Run: python benchmarks/suite_coverage.py [--data FOLDER] [--part fast] [--tests PATH ...] [--json FILE]
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

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "*"  # tests also run changed copies of the package, which count as other files
PARTS = {"fast": "not slow", "slow": "slow"}
NO_TESTS = 5  # pytest's exit status when none was chosen


def main() -> None:
    """Run both parts, print what they reach, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--processes", type=int, default=3, help="0 for none beside this one")
    parser.add_argument("--tests", nargs="*", default=[], help="files and folders; all of them otherwise")
    parser.add_argument("--data", type=Path, help="a folder for the data, kept; a temporary one otherwise")
    parser.add_argument("--part", choices=PARTS, help="run this one only; what both reach is then not known")
    parser.add_argument("--top", type=int, default=20, help="how many files to name")
    parser.add_argument("--json", type=Path, help="write the numbers here")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = (arguments.data or Path(folder)).resolve()
        place.mkdir(exist_ok=True)
        parts = {
            name: known(place / name) or run(place / name, marks, arguments.processes, arguments.tests)
            for name, marks in PARTS.items()
            if arguments.part in (None, name) or known(place / name)
        }
        for name, part in parts.items():
            print(f"{name}: exit status {part['status']}, {part['wall_s']} s: {part['last_line']}")
        if set(parts) != set(PARTS):
            return
        test = totals(place / "test", data_of(place / "fast"))
        everything = totals(place / "everything", [str(place / "test"), *data_of(place / "slow")])
    only_slow = {name: test["files"].get(name, 0) - missed for name, missed in everything["files"].items()}
    print(f"make test: {test['percent']} % of branches and lines, make test-all: {everything['percent']} %")
    for name, lines in sorted(only_slow.items(), key=lambda item: -item[1])[: arguments.top]:
        if lines:
            print(f"  {name}: {lines} lines that slow tests alone reach")
    if arguments.json:
        found = {
            "parts": parts,
            "test": test["percent"],
            "test_all": everything["percent"],
            "slow": only_slow,
        }
        arguments.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def known(folder: Path) -> dict[str, Any] | None:
    """Return what was said of a part that was run before, or None."""
    said = folder.with_suffix(".json")
    found: dict[str, Any] | None = json.loads(said.read_text(encoding="utf-8")) if said.exists() else None
    return found


def data_of(folder: Path) -> list[str]:
    """Return the files that a part left."""
    return [str(one) for one in sorted(folder.iterdir())]


def run(folder: Path, marks: str, processes: int, tests: list[str]) -> dict[str, Any]:
    """Run the tests with these marks; their data is left in the folder."""
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", marks, *tests]
    if processes:
        command += ["--numprocesses", str(processes), "--dist", "loadfile", "--no-loadscope-reorder"]
    started_s = time.perf_counter()
    done = subprocess.run(
        [*command, "--cov", "--cov-report=", "--cov-fail-under=0"],
        cwd=ROOT,
        env={**os.environ, "COVERAGE_FILE": str(folder / "data")},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode not in (0, NO_TESTS):
        print(done.stdout[-4000:], file=sys.stderr)
    lines = done.stdout.strip().splitlines() or [""]
    said = {
        "status": done.returncode,
        "wall_s": round(time.perf_counter() - started_s),
        "last_line": lines[-1],
    }
    folder.with_suffix(".json").write_text(json.dumps(said) + "\n", encoding="utf-8")
    return said


def totals(data: Path, files: list[str]) -> dict[str, Any]:
    """Combine these data; return the percentage and how many lines of each file are missed."""
    report = data.with_suffix(".json")
    for command in (
        ["combine", "--quiet", "--keep", f"--data-file={data}", *files],
        [
            "json",
            "--quiet",
            "--fail-under=0",
            f"--include={SOURCE}",
            f"--data-file={data}",
            "-o",
            str(report),
        ],
    ):
        subprocess.run([sys.executable, "-m", "coverage", *command], cwd=ROOT, check=True)
    found = json.loads(report.read_text(encoding="utf-8"))
    return {
        "percent": round(found["totals"]["percent_covered"], 2),
        "files": {name: one["summary"]["missing_lines"] for name, one in found["files"].items()},
    }


if __name__ == "__main__":
    main()
