"""Smallsight against other ways to run SmolVLM on a CPU: the same random checkpoint, in turns, in one run.

Each contender is a process of its own with two threads. bitsandbytes is no dependency: where it is not
installed, its rows say so. Ceilings of the machine are measured in the same run.

Run: python benchmarks/side_by_side.py [--folder FOLDER] [--rounds 3] [--json FILE] [--only NAME ...]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import platformdirs
from openvino import opset15 as ops
from real_size_checkpoint import make_checkpoint

from smallsight.graph.linear import linear
from smallsight.quant.scheme import SCHEMES, Module

CONTENDERS = Path(__file__).parent / "contenders"
OURS = ("fp32", "bf16", "int8", "int4")
PEERS = ("bf16", "bnb-int8", "bnb-nf4")
ROWS, IN, OUT = 1024, 768, 3072
COLUMNS = (
    "load_s",
    "end_to_end_s",
    "vision_s",
    "prefill_s",
    "first_token_s",
    "tokens_per_s_1",
    "auto_800x600_s",
    "one_by_one_per_min",
    "many_per_min",
    "weights_mib",
    "peak_mib",
)


def commands(directory: Path, graphs: Path) -> dict[str, list[str]]:
    """Return what to run for each contender."""
    ours = [sys.executable, str(CONTENDERS / "smallsight_contender.py"), str(directory)]
    peers = [sys.executable, str(CONTENDERS / "transformers_contender.py"), str(directory)]
    named = {f"smallsight {precision}": [*ours, precision, str(graphs)] for precision in OURS}
    return named | {f"transformers {kind}": [*peers, kind] for kind in PEERS}


def run(command: list[str]) -> dict[str, float] | str:
    """Run one contender and return its figures, or the last line of why it has none."""
    environment = {**os.environ, "OMP_NUM_THREADS": "2", "TRANSFORMERS_VERBOSITY": "error"}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, env=environment, timeout=900, check=False
        )
    except subprocess.TimeoutExpired:
        return "took more than 15 minutes"
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["no reason given"])[-1][:160]
    figures: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return figures


def ceilings() -> dict[str, float]:
    """Measure matrix products as networks have them, in GFLOP/s, and reading memory, in GB/s."""
    random = np.random.default_rng(0)
    weight = random.standard_normal((OUT, IN), np.float32)
    hidden = random.standard_normal((ROWS, IN), np.float32)
    found = {}
    for name in ("fp32", "bf16", "int8"):
        scheme = SCHEMES[name]
        stored = scheme.store(weight, Module.TEXT)
        parameter = ops.parameter([ROWS, IN], np.float32)
        model = ov.Model([ops.result(linear(parameter, stored))], [parameter], "product")
        options = {
            "INFERENCE_NUM_THREADS": 2,
            "INFERENCE_PRECISION_HINT": scheme.arithmetic,
            "DYNAMIC_QUANTIZATION_GROUP_SIZE": 64,
        }
        request = ov.Core().compile_model(model, "CPU", options).create_infer_request()
        best_s = min(_timed(lambda r=request: r.infer([hidden])) for _ in range(20))
        found[f"product_{name}_gflops"] = 2 * ROWS * IN * OUT / best_s / 1e9
    large = np.ones(1 << 27, np.uint8).view(np.uint64)
    best_s = min(_timed(large.sum) for _ in range(5))
    found["read_gb_per_s_one_thread"] = large.nbytes / best_s / 1e9
    return found


def _timed(action: Any) -> float:  # noqa: ANN401
    started_s = time.perf_counter()
    action()
    return time.perf_counter() - started_s


def summarise(rounds: list[dict[str, float]]) -> dict[str, dict[str, float]]:
    """Return median, least and most of each figure."""
    return {
        key: {
            "median": statistics.median(values),
            "min": min(values),
            "max": max(values),
        }
        for key in rounds[0]
        if (values := [one[key] for one in rounds])
    }


def print_table(results: dict[str, Any], reference: str) -> None:
    """Print medians, and how many times faster than the reference each is from picture to last token."""
    print("\t".join(("contender", "times faster", *COLUMNS)))
    base = results.get(reference)
    for name, found in results.items():
        if isinstance(found, str):
            print(f"{name}\tdid not run: {found}")
            continue
        seconds = found["end_to_end_s"]["median"]
        ratio = base["end_to_end_s"]["median"] / seconds if isinstance(base, dict) else float("nan")
        cells = [f"{found[key]['median']:.2f}" if key in found else "-" for key in COLUMNS]
        print("\t".join((name, f"{ratio:.2f}", *cells)))


def main() -> None:
    """Read the command line, run the rounds, print and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="SmolVLM-256M-Instruct")
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path(platformdirs.user_cache_dir("smallsight", appauthor=False)) / "benchmarks",
        help="where checkpoints are made and kept",
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="*", help="contenders to run, by name")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    directory = make_checkpoint(options.model, options.folder)
    chosen = commands(directory, options.folder / "graphs")
    if options.only:
        chosen = {name: chosen[name] for name in options.only}
    machine = ceilings()
    print(json.dumps({key: round(value, 1) for key, value in machine.items()}))
    gathered: dict[str, list[dict[str, float]]] = {name: [] for name in chosen}
    failed: dict[str, str] = {}
    for number in range(options.rounds):
        for name, command in chosen.items():
            if name in failed:
                continue
            found = run(command)
            if isinstance(found, str):
                failed[name] = found
            else:
                gathered[name].append(found)
            print(f"round {number + 1}: {name}", file=sys.stderr)
    results = {name: failed.get(name) or summarise(gathered[name]) for name in chosen}
    print_table(results, "transformers bf16")
    if options.json:
        content = {"model": options.model, "ceilings": machine, "contenders": results}
        options.json.write_text(json.dumps(content, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
