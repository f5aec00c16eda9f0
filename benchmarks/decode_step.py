"""Times the steps of a decoder with smallsight-kernels against OpenVINO, over the same weights.

Random weights in the shape of SmolVLM-256M, or of a moondream2 (--shape moondream2 --layers 6: fewer layers
fit in memory twice). First a prompt of 1,100 tokens in chunks of 256; then the next token of 1 and of 8
sequences, each with such a prompt in its cache. The two take turns. On a busy machine only processor time
with --threads 1 is reliable. Beside llama.cpp and end to end: side_by_side.py --only "smallsight int8"
"smallsight int8+kernels" "llama.cpp Q8_0".

Run: python benchmarks/decode_step.py [--shape smolvlm] [--layers N] [--precision int8] [--rows N ...]
    [--threads N] [--rounds N] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from decode_shapes import SHAPES, RandomDecoder

from smallsight.engine.decoding.runner import Runner, StepInput
from smallsight.engine.decoding.shared_calls import run_step
from smallsight.engine.engine import EngineOptions, LoadRequest
from smallsight.engine.native.native_runner import NativeRunner, native_runner
from smallsight.engine.openvino.paged_runner import PagedRunner
from smallsight.engine.openvino.weight_store import tuning
from smallsight.graph.compiled import compile_network
from smallsight.policy.row_bands import RowBands

PROMPT, CHUNK, BLOCKS = 1100, 256, 36  # tokens of each sequence, and its blocks with room for the answer
STEPS, CACHE_BYTES = 6, 512 << 20  # steps in a turn
PARTS = ("norms", "products", "attention", "joining", "head")


def make_runners(decoder: RandomDecoder, threads: int) -> dict[str, Runner]:
    """Return both runners; the weights must outlive them."""
    scheme = decoder.scheme
    network = compile_network(decoder.graph, threads=threads, tuning=tuning(scheme))
    runtime = PagedRunner(network, cache_bytes=CACHE_BYTES, min_tokens=PROMPT, row_bands=RowBands())
    started_s = time.perf_counter()
    options = EngineOptions(uses_kernels=True, cache_bytes=CACHE_BYTES)
    native = native_runner(decoder.step, LoadRequest(Path(), scheme, threads=threads, options=options))
    if native is None:
        sys.exit("smallsight-kernels cannot be used; install it with: pip install ./kernels")
    print(f"packed in {time.perf_counter() - started_s:.2f} s")
    return {"openvino": runtime, "kernels": native}


def compute_prompt(hidden: int, runner: Runner) -> None:
    """Compute the prompt of the first sequence."""
    prompt_TD = np.random.default_rng(1).standard_normal((PROMPT, hidden)).astype(np.float32)
    for begin in range(0, PROMPT, CHUNK):
        wants_logits = begin + CHUNK >= PROMPT
        run_step(runner, [StepInput(prompt_TD[begin : begin + CHUNK], begin, range(BLOCKS), wants_logits)])


def share_prompt(runner: Runner, sequences: int) -> None:
    """Copy the first sequence's blocks to the others."""
    for block in range(BLOCKS, sequences * BLOCKS):
        runner.copy_block(block % BLOCKS, block)


def timed(compute: Callable[[], object]) -> tuple[float, float]:
    """Return seconds of wall and of processor time."""
    wall_s, processor_s = time.perf_counter(), time.process_time()
    compute()
    return time.perf_counter() - wall_s, time.process_time() - processor_s


def measured(
    runners: dict[str, Runner], compute: Callable[[Runner], object], tokens: int, rounds: int, steps: int
) -> dict[str, dict[str, float]]:
    """Let the runners compute in turns; return tokens per second and processor time of each."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in runners}
    for _ in range(rounds):
        for name, runner in runners.items():
            times[name] += [timed(partial(compute, runner)) for _ in range(steps)]
    found: dict[str, dict[str, float]] = {}
    for name, pairs in times.items():
        walls, processors = zip(*pairs, strict=True)
        found[name] = {
            "tokens_per_s_best": tokens / min(walls),
            "tokens_per_s_median": tokens / statistics.median(walls),
            "processor_ms_best": 1e3 * min(processors),
            "processor_ms_median": 1e3 * statistics.median(processors),
        }
    return found


def _decode(steps: list[StepInput], runner: Runner) -> object:
    return run_step(runner, steps)


def report(what: str, found: dict[str, dict[str, float]], native: Runner) -> None:
    """Print the results, and how the extension's time is distributed."""
    for name, one in found.items():
        print(what, name, {key: round(value, 1) for key, value in one.items()})
    if isinstance(native, NativeRunner):
        seconds = native.take_seconds()
        shares = {part: round(one / sum(seconds), 2) for part, one in zip(PARTS, seconds, strict=True)}
        print(what, "parts", shares)


def main() -> None:
    """Read the command line, take turns, print tokens per second."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", default="smolvlm", choices=tuple(SHAPES))
    parser.add_argument("--layers", type=int, default=30, help="a moondream2 has 24")
    parser.add_argument("--precision", default="int8", choices=("int8", "int4"))
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    decoder = SHAPES[options.shape](options.precision, options.layers)
    hidden = decoder.step.sizes.hidden
    runners = make_runners(decoder, options.threads)
    native = runners["kernels"]
    for runner in runners.values():
        compute_prompt(hidden, runner)  # packs the runtime's weights
        share_prompt(runner, max(options.rows))
    if isinstance(native, NativeRunner):
        native.take_seconds()
    results = {
        "prompt": measured(runners, partial(compute_prompt, hidden), PROMPT, max(1, options.rounds // 2), 1)
    }
    report("prompt", results["prompt"], native)
    token_1D = np.random.default_rng(2).standard_normal((1, hidden)).astype(np.float32)
    for rows in options.rows:
        tables = [range(row * BLOCKS, (row + 1) * BLOCKS) for row in range(rows)]
        steps = [StepInput(token_1D, PROMPT, table, wants_logits=True) for table in tables]
        found = measured(runners, partial(_decode, steps), rows, options.rounds, STEPS)
        results[f"{rows} sequences"] = found
        report(f"{rows} sequences", found, native)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
