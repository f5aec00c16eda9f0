"""Times one decode step with smallsight-kernels against OpenVINO, over the same weights and cache.

Random weights in the shape of SmolVLM-256M, 1,100 tokens in the cache of each sequence. The two take turns.
On a busy machine only processor time with --threads 1 is reliable.

Run: python benchmarks/decode_step.py [--precision int8] [--rows N ...] [--threads N] [--rounds N]
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

from smallsight.engine.decoding.runner import StepInput
from smallsight.engine.decoding.shared_calls import run_step
from smallsight.engine.native.native_runner import NativeRunner, with_kernels
from smallsight.engine.openvino.paged_runner import PagedRunner
from smallsight.engine.openvino.weight_store import tuning
from smallsight.families.llama_decoder import LlamaDecoder
from smallsight.families.smolvlm.config import SmolVLMTextConfig
from smallsight.families.smolvlm.text_graph import build_decoder
from smallsight.graph.compiled import compile_network
from smallsight.policy.row_bands import RowBands
from smallsight.quant.forms import Stored
from smallsight.quant.scheme import SCHEMES, Module

PROMPT, BLOCKS = 1100, 36  # tokens of each sequence, and its blocks with room for the answer
STEPS = 6  # in a turn
PARTS = ("norms", "products", "attention", "joining", "head")
SHAPE = SmolVLMTextConfig(
    vocabulary=49280,
    hidden=576,
    ffn=1536,
    layers=30,
    heads=9,
    kv_heads=3,
    head_dim=64,
    context_tokens=8192,
    norm_epsilon=1e-5,
    rope_theta=1e5,
)


def random_weights(precision: str) -> dict[str, Stored]:
    """Return weights that keep vectors about as long as they are."""
    values, scheme, shape = np.random.default_rng(0), SCHEMES[precision], SHAPE
    stored: dict[str, Stored] = {"text.norm.weight": np.ones(shape.hidden, np.float32)}
    joined = (shape.heads + 2 * shape.kv_heads) * shape.head_dim
    sizes = {
        "attention": (joined, shape.hidden),
        "output": (shape.hidden, shape.heads * shape.head_dim),
        "ffn_gate_up": (2 * shape.ffn, shape.hidden),
        "ffn_down": (shape.hidden, shape.ffn),
    }

    def matrix(rows: int, columns: int, module: Module) -> Stored:
        scaled = values.standard_normal((rows, columns), np.float32) / np.float32(columns**0.5)
        return scheme.store(scaled, module)

    for layer in range(shape.layers):
        name = f"text.layers.{layer}"
        stored |= {f"{name}.{one}.weight": matrix(*size, Module.TEXT) for one, size in sizes.items()}
        stored |= {
            f"{name}.{one}_norm.weight": np.ones(shape.hidden, np.float32) for one in ("attention", "ffn")
        }
    return stored | {"head.weight": matrix(shape.vocabulary, shape.hidden, Module.HEAD)}


def make_runners(stored: dict[str, Stored], precision: str, threads: int) -> tuple[PagedRunner, NativeRunner]:
    """Return both runners over one cache; the weights must outlive them."""
    network = compile_network(
        lambda: build_decoder(SHAPE, stored), threads=threads, tuning=tuning(SCHEMES[precision])
    )
    runtime = PagedRunner(network, cache_bytes=400 << 20, min_tokens=PROMPT, row_bands=RowBands())
    started_s = time.perf_counter()
    native = with_kernels(runtime, LlamaDecoder.of(SHAPE, stored), threads)
    if not isinstance(native, NativeRunner):
        sys.exit("smallsight-kernels cannot be used; install it with: pip install ./kernels")
    print(f"packed in {time.perf_counter() - started_s:.2f} s")
    return runtime, native


def fill_cache(runtime: PagedRunner, sequences: int) -> None:
    """Compute one prompt, and copy its blocks to the other sequences."""
    prompt_TD = np.random.default_rng(1).standard_normal((PROMPT, SHAPE.hidden)).astype(np.float32)
    for begin in range(0, PROMPT, 256):
        piece = StepInput(
            prompt_TD[begin : begin + 256], begin, range(BLOCKS), wants_logits=begin + 256 >= PROMPT
        )
        runtime.run([piece])
    for sequence in range(1, sequences):
        for block in range(BLOCKS):
            runtime.copy_block(block, sequence * BLOCKS + block)


def timed(compute: Callable[[], object]) -> tuple[float, float]:
    """Return seconds of wall and of processor time."""
    wall_s, processor_s = time.perf_counter(), time.process_time()
    compute()
    return time.perf_counter() - wall_s, time.process_time() - processor_s


def main() -> None:
    """Read the command line, take turns, print tokens per second."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--precision", default="int8", choices=("int8", "int4"))
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    stored = random_weights(options.precision)
    runtime, native = make_runners(stored, options.precision, options.threads)
    fill_cache(runtime, max(options.rows))
    token_1D = np.random.default_rng(2).standard_normal((1, SHAPE.hidden)).astype(np.float32)
    found: dict[str, dict[str, float]] = {}
    for rows in options.rows:
        tables = [range(row * BLOCKS, (row + 1) * BLOCKS) for row in range(rows)]
        steps = [StepInput(token_1D, PROMPT, table, wants_logits=True) for table in tables]
        times: dict[str, list[tuple[float, float]]] = {"openvino": [], "kernels": []}
        native.take_seconds()
        for _ in range(options.rounds):
            times["openvino"] += [timed(partial(run_step, runtime, steps)) for _ in range(STEPS)]
            times["kernels"] += [timed(partial(run_step, native, steps)) for _ in range(STEPS)]
        for name, measured in times.items():
            walls, processors = zip(*measured, strict=True)
            found[f"{name} {rows}"] = one = {
                "tokens_per_s_best": rows / min(walls),
                "tokens_per_s_median": rows / statistics.median(walls),
                "processor_ms_best": 1e3 * min(processors),
                "processor_ms_median": 1e3 * statistics.median(processors),
            }
            print(rows, name, {key: round(value, 1) for key, value in one.items()})
        seconds = native.take_seconds()
        print(
            rows,
            "parts",
            {part: round(one / sum(seconds), 2) for part, one in zip(PARTS, seconds, strict=True)},
        )
    if options.json:
        options.json.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
