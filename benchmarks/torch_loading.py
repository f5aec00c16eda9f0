"""Measures how much memory the torch engine takes while it loads a real-size model, beside what it keeps.

Each precision is loaded by a process that has imported everything first, so that libraries do not count. The
peak of the weights is measured before the KV cache is allocated, which has room for one context here. The
checkpoint is random, in the true shapes.

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

import numpy as np
from PIL import Image
from real_size_checkpoint import make_checkpoint
from torch_recipes import MIB, QUESTIONS

from smallsight.catalog.catalog import load_catalog
from smallsight.engine.engine import Engine, EngineOptions
from smallsight.engine.loading import TORCH, load_engine, schemes_of
from smallsight.engine.sampling_options import SamplingOptions
from smallsight.families.messages import Detail, Message, PicturePart, TextPart
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
    weights_peak_bytes = 0

    def note_peak(_: float) -> None:
        nonlocal weights_peak_bytes
        weights_peak_bytes = meter.peak_bytes() - before

    began_s = time.perf_counter()
    engine = load_engine(
        family,
        directory,
        schemes_of(TORCH)[precision],
        engine=TORCH,
        device="cpu",
        threads=threads,
        options=EngineOptions(cache_bytes=0),
        on_progress=note_peak,
    )
    load_s = time.perf_counter() - began_s
    peak_bytes = meter.peak_bytes() - before
    loaded_bytes = process_memory().resident_bytes - before
    weights_bytes = engine.weights_bytes
    _ask(engine, family)
    answered_bytes = process_memory().resident_bytes - before
    engine.close()
    return {
        "weights": weights_bytes / MIB,
        "peak of weights": weights_peak_bytes / MIB,
        "/ weights": weights_peak_bytes / weights_bytes,
        "loaded": loaded_bytes / MIB,
        "peak": peak_bytes / MIB,
        "answered": answered_bytes / MIB,
        "load s": load_s,
    }


def _ask(engine: Engine, family: str) -> None:
    """Answer once: pages of a mapped file become resident when they are used."""
    values = np.random.default_rng(0).integers(0, 256, (384, 384, 3), np.uint8)
    parts = PicturePart(Image.fromarray(values)), TextPart(QUESTIONS.get(family, "What is it?"))
    options = SamplingOptions(max_tokens=2)
    engine.start([Message("user", parts)], Detail.AUTO, options, ignores_end=True).result()
    give_memory_back()


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
    for number, precision in enumerate(options.precision):
        command = [sys.executable, __file__, options.name, str(directory), "--precision", precision]
        command += ["--threads", str(options.threads), "--child"]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        line = next(one for one in output.splitlines() if one.startswith(f'{{"{LOADED}"'))
        found = json.loads(line)[LOADED]
        if number == 0:
            print(f"{'MiB':>9} " + " ".join(f"{name:>15}" for name in found))
        cells = (f"{value:15,.{3 if name.startswith('/') else 1}f}" for name, value in found.items())
        print(f"{precision:>9} " + " ".join(cells), flush=True)


if __name__ == "__main__":
    main()
