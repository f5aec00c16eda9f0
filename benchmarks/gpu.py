"""The torch engine on one NVIDIA GPU, against plain transformers and two limits, in less than ten minutes.

SmolVLM-256M and 500M, Florence-2-base and large and moondream2 in their true shapes with random weights, in
bf16, int8 and nf4, and compiled in bf16: seconds for one picture, throughput for 1, 8 and 64 at once, peak
memory; beside them transformers' ``generate`` for one picture, and what bandwidth and matrix rate allow.

Run: python benchmarks/gpu.py FOLDER [--minutes 9] [--rows FILE] [--json FILE] [--only NAME ...] [--dry-run]

FOLDER gets the checkpoints (8 GB), and the rows where --rows names no other file; what is there already is
neither made nor measured again. A row is written when it is measured, and the JSON after every model, so that
a run that is cut off loses one row at most. Each model has a separate process and its share of the time that
is left, and is ended when that is over. Nothing uses the network. With --compile-first all models
are compiled at once before anything is measured, which needs memory for all but saves minutes: torch finds
the code in its cache later. With --dry-run everything runs with tiny networks on the CPU, which measures
nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
MODELS = (
    "Florence-2-base",
    "SmolVLM-256M-Instruct",
    "Florence-2-large",
    "SmolVLM-500M-Instruct",
    "moondream2",
)
PRECISIONS = ("bf16", "int8", "nf4")
COLUMNS = (
    ("total_s", "s", 3),
    ("first_token_s", "first s", 3),
    ("tokens_per_s", "tokens/s", 0),
    ("of_limit", "of limit", 2),
    ("pictures_per_min", "pictures/min", 0),
    ("times_plain", "times plain", 1),
    ("weights_mib", "weights MiB", 0),
    ("peak_mib", "peak MiB", 0),
)
Row = dict[str, Any]


def start_maker(name: str, folder: Path, *, is_tiny: bool) -> subprocess.Popen[bytes]:
    """Start to write a model's checkpoint."""
    command = [sys.executable, str(HERE / "real_size_checkpoint.py"), name, str(folder)]
    return subprocess.Popen([*command, "--tiny"] if is_tiny else command, stdout=subprocess.DEVNULL)


def wait(process: subprocess.Popen[bytes], until_s: float) -> bool:
    """Wait for a process; end it when its time is over. Return whether it succeeded."""
    try:
        return process.wait(max(0.0, until_s - time.time())) == 0
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return False


def measure(names: Sequence[str], given: argparse.Namespace, rows: Path) -> list[str]:
    """Measure the models one after the other, write JSON after each; return those that were not completed."""
    until_s = time.time() + 60 * given.minutes
    makers = {name: start_maker(name, given.folder, is_tiny=given.dry_run) for name in names}
    if given.compile_first:
        compile_all(makers, given, until_s)
    incomplete = []
    for number, name in enumerate(names):
        is_made = wait(makers[name], until_s)
        share_s = (until_s - time.time()) / (len(names) - number)
        if not is_made or share_s <= 0:
            incomplete.append(name)
            continue
        ends_s = time.time() + share_s
        command = rows_command(name, given, rows, ends_s)
        if not wait(subprocess.Popen([*command, "--precisions", *given.precisions]), ends_s):
            incomplete.append(name)
        write_json(given, rows, incomplete + list(names[number + 1 :]))
    return incomplete


def compile_all(
    makers: dict[str, subprocess.Popen[bytes]], given: argparse.Namespace, until_s: float
) -> None:
    """Compile every model whose checkpoint is complete, each in a separate process, all at once."""
    children = []
    for name, maker in makers.items():
        if wait(maker, until_s):
            command = [*rows_command(name, given, Path(os.devnull), until_s), "--compile-only"]
            children.append(subprocess.Popen(command))
    for child in children:
        wait(child, until_s)


def rows_command(name: str, given: argparse.Namespace, rows: Path, until_s: float) -> list[str]:
    """Return the command that measures a model."""
    command = [sys.executable, str(HERE / "gpu_rows.py"), name, str(given.folder / name), str(rows)]
    command += ["--until", str(until_s), "--device", given.device]
    return [*command, "--dry-run"] if given.dry_run else command


def write_json(given: argparse.Namespace, rows: Path, incomplete: Sequence[str]) -> None:
    """Write what was measured so far, if a file was named."""
    if given.json is not None:
        given.json.parent.mkdir(parents=True, exist_ok=True)
        found = {"rows": read_rows(rows, given.only), "incomplete": list(incomplete)}
        given.json.write_text(json.dumps(found, indent=1), "utf-8")


def read_done(rows: Path, name: str) -> set[tuple[str, str, int]]:
    """Return which rows of a model have been measured without an error."""
    if not rows.exists():
        return set()
    found = [json.loads(line) for line in rows.read_text(encoding="utf-8").splitlines()]
    return {
        (one["precision"], one["way"], one["batch"])
        for one in found
        if one["model"] == name and "error" not in one
    }


def read_rows(rows: Path, names: Sequence[str]) -> list[Row]:
    """Return the latest row of each kind, with what follows from other rows."""
    lines = rows.read_text(encoding="utf-8").splitlines() if rows.exists() else []
    latest: dict[tuple[object, ...], Row] = {}
    for row in map(json.loads, lines):
        key = tuple(row[part] for part in ("model", "precision", "way", "batch"))
        if row["model"] in names and ("error" not in row or key not in latest):
            latest[key] = row
    plain = {
        key[:2]: row["pictures_per_min"]
        for key, row in latest.items()
        if key[2] == "transformers" and "error" not in row
    }
    for key, row in latest.items():
        if "tokens_per_s" in row and "matrix_limit_tokens_per_s" in row:
            limit = min(row["bandwidth_limit_tokens_per_s"], row["matrix_limit_tokens_per_s"])
            row["of_limit"] = row["tokens_per_s"] / limit
        if str(key[2]).startswith("smallsight") and "pictures_per_min" in row and key[:2] in plain:
            row["times_plain"] = row["pictures_per_min"] / plain[key[:2]]
    return list(latest.values())


def table(rows: Sequence[Row]) -> str:
    """Return the rows as text."""
    lines = [["model", "precision", "with", "at once", *(title for _, title, _ in COLUMNS)]]
    for row in rows:
        if row["way"] == "limits":
            continue
        cells = [row["model"], row["precision"], row["way"], str(row["batch"])]
        if "error" in row:
            lines.append([*cells, row["error"].splitlines()[0][:100]])
            continue
        numbers = (f"{row[name]:,.{digits}f}" if name in row else "" for name, _, digits in COLUMNS)
        lines.append([*cells, *numbers])
    full = [line for line in lines if len(line) == len(lines[0])]
    widths = [max(len(line[column]) for line in full) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=False)).rstrip()
        for line in lines
    )


def main() -> None:
    """Read the command line, measure, print a table and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=9.0)
    parser.add_argument("--rows", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--only", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=PRECISIONS)
    parser.add_argument("--device")
    parser.add_argument("--compile-first", action="store_true")
    parser.add_argument("--dry-run", action="store_true")
    given = parser.parse_args()
    given.device = given.device or ("cpu" if given.dry_run else "cuda:0")
    given.folder.mkdir(parents=True, exist_ok=True)
    rows = given.rows or given.folder / "gpu_rows.jsonl"
    rows.parent.mkdir(parents=True, exist_ok=True)
    os.environ |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}  # for the processes
    incomplete = measure(given.only, given, rows)
    found = read_rows(rows, given.only)
    print(table(found))
    for name in incomplete:
        print(f"{name}: not completed; run again with the same folder to continue.")
    write_json(given, rows, incomplete)


if __name__ == "__main__":
    main()
