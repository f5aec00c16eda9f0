"""Measures how much memory the torch engine takes while it loads a real-size model, beside what it keeps.

Each precision is loaded by a process that has imported everything first, so that libraries do not count. What
stays resident has the KV cache for one context too. The checkpoint is random, in the true shapes.

Run: python benchmarks/torch_loading.py moondream2 FOLDER --precision bf16 int8 nf4
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import subprocess
import sys
import time
from pathlib import Path

from real_size_checkpoint import make_checkpoint

from smallsight.catalog.catalog import load_catalog
from smallsight.engine.engine import EngineOptions
from smallsight.engine.loading import TORCH, load_engine, schemes_of
from smallsight.machine.memory import give_memory_back
from smallsight.machine.process_memory import PeakMeter, process_memory

LOADED = "loaded"
NETWORKS = {"smolvlm": ("idefics3", "llama"), "florence2": ("florence2", "bart")}  # of transformers


def measure(family: str, directory: Path, precision: str, threads: int) -> dict[str, float]:
    """Load one precision and return what it took, in bytes and seconds."""
    _import_everything(family, is_quantised=precision in ("int8", "nf4"))
    gc.collect()
    give_memory_back()
    before = process_memory().resident_bytes
    meter = PeakMeter()
    began_s = time.perf_counter()
    engine = load_engine(
        family,
        directory,
        schemes_of(TORCH)[precision],
        engine=TORCH,
        device="cpu",
        threads=threads,
        options=EngineOptions(cache_bytes=0),
    )
    load_s = time.perf_counter() - began_s
    peak = meter.peak_bytes() - before
    after = process_memory()
    weights = engine.weights_bytes
    engine.close()
    return {
        "weights_bytes": weights,
        "resident_bytes": after.resident_bytes - before,
        "peak_bytes": peak,
        "load_s": load_s,
    }


def _import_everything(family: str, *, is_quantised: bool) -> None:
    importlib.import_module(f"smallsight.engine.torch.{family}")
    for name in NETWORKS.get(family, ()):  # transformers imports them when they are first used
        importlib.import_module(f"transformers.models.{name}.modeling_{name}")
    if is_quantised:
        from smallsight.engine.torch.recipes import prepare_bitsandbytes  # noqa: PLC0415

        prepare_bitsandbytes()


def main() -> None:
    """Read the command line, make the checkpoint and load it in every precision, one process each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--precision", nargs="+", default=["bf16", "int8", "nf4"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    architecture = load_catalog().find(options.name).architecture
    if architecture is None:
        raise SystemExit(f"{options.name} has no architecture in the catalogue.")
    if options.child:
        found = measure(architecture.family, options.folder, options.precision[0], options.threads)
        print(json.dumps({LOADED: found}), flush=True)
        return
    directory = make_checkpoint(options.name, options.folder)
    print(f"{'precision':>9} {'weights MiB':>12} {'resident':>9} {'peak':>9} {'peak/resident':>13} {'s':>8}")
    for precision in options.precision:
        command = [sys.executable, __file__, options.name, str(directory), "--precision", precision]
        command += ["--threads", str(options.threads), "--child"]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        line = next(one for one in output.splitlines() if one.startswith(f'{{"{LOADED}"'))
        found = json.loads(line)[LOADED]
        sizes = (found[key] / 2**20 for key in ("weights_bytes", "resident_bytes", "peak_bytes"))
        weights, resident, peak = sizes
        print(
            f"{precision:>9} {weights:12,.0f} {resident:9,.0f} {peak:9,.0f} "
            f"{peak / resident:13.3f} {found['load_s']:8.1f}"
        )


if __name__ == "__main__":
    main()
