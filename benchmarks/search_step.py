"""Times the steps of Florence-2's beam search with smallsight-kernels against OpenVINO.

The same random weights in the shape of Florence-2-base's text network: one prompt of 590 tokens, 3 beams, and
tokens from the 1st to the 64th. The two take turns. On a busy machine only processor time with --threads 1
is reliable.

Run: python benchmarks/search_step.py [--precision int8] [--beams N] [--prompts N] [--threads N] [--rounds N]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smallsight.engine.decoding.runner import EncoderDecoder
from smallsight.engine.engine import EngineOptions, LoadRequest
from smallsight.engine.native.search_decoder import native_search_decoder
from smallsight.engine.openvino.prompt_encoder import PromptEncoder
from smallsight.engine.openvino.stateful_decoder import StatefulDecoder
from smallsight.engine.openvino.weight_store import tuning
from smallsight.families.florence2.config import DaViTStage, Florence2Config
from smallsight.families.florence2.step_decoder import decoder_positions, step_decoder
from smallsight.families.florence2.text_graphs import build_decoder_graph, build_encoder_graph
from smallsight.families.tensor_files import RowTable
from smallsight.graph.compiled import compile_network
from smallsight.policy.row_bands import RowBands
from smallsight.quant.forms import Stored
from smallsight.quant.scheme import SCHEMES, Module

PROMPT, TOKENS = 590, 64
BASE = Florence2Config(
    stages=(DaViTStage(1, 128, 4, 4, 7, 4, 3),),
    window=12,
    vision_positions=50,
    vocabulary=51289,
    hidden=768,
    ffn=3072,
    heads=12,
    encoder_layers=6,
    decoder_layers=6,
    text_positions=1024,
    image_token_id=51288,
    start_token_id=2,
    end_token_id=2,
)


def random_weights(precision: str) -> dict[str, Stored]:
    """Return the names of ``store_text`` with values that keep vectors about as long as they are."""
    values, scheme, width = np.random.default_rng(0), SCHEMES[precision], BASE.hidden
    stored: dict[str, Stored] = {}

    def linear(name: str, rows: int, columns: int) -> None:
        scaled = values.standard_normal((rows, columns), np.float32) / np.float32(columns**0.5)
        stored[f"{name}.weight"] = scheme.store(scaled, Module.TEXT)
        stored[f"{name}.bias"] = np.zeros(rows, np.float32)

    def norm(name: str) -> None:
        stored[f"{name}.weight"], stored[f"{name}.bias"] = (
            np.ones(width, np.float32),
            np.zeros(width, np.float32),
        )

    for side in ("encoder", "decoder"):
        stored[f"{side}.positions"] = np.zeros((BASE.text_positions + 2, width), np.float32)
        norm(f"{side}.embedding_norm")
        for layer in range(6):
            name = f"{side}.layers.{layer}"
            linear(f"{name}.self_attention", 3 * width, width)
            products = ["self_output", *(["cross_query", "cross_output"] if side == "decoder" else [])]
            for product in products:
                linear(f"{name}.{product}", width, width)
            if side == "decoder":
                linear(f"{name}.cross_memory", 2 * width, width)
                norm(f"{name}.cross_norm")
            linear(f"{name}.ffn_up", BASE.ffn, width)
            linear(f"{name}.ffn_down", width, BASE.ffn)
            norm(f"{name}.self_norm")
            norm(f"{name}.ffn_norm")
    head = values.standard_normal((BASE.vocabulary, width), np.float32) / np.float32(width**0.5)
    stored["head.weight"] = scheme.store(head, Module.HEAD)
    return stored


class RandomBeams:
    """A search that takes random tokens and parents."""

    tokens = ()

    def __init__(self, beams: int) -> None:
        self._values = np.random.default_rng(beams)
        self._beams, self._steps = beams, 0

    @property
    def next_tokens(self) -> tuple[int, ...]:
        """Return some tokens."""
        return tuple(map(int, self._values.integers(4, 50000, self._beams)))

    @property
    def is_done(self) -> bool:
        """Say whether all steps were taken."""
        return self._steps == TOKENS

    def advance(self, logits_KV: NDArray[np.float32]) -> tuple[int, ...]:  # noqa: ARG002 - their time counts
        """Return some parents."""
        self._steps += 1
        return tuple(map(int, self._values.integers(0, self._beams, self._beams)))


def report(times: dict[str, list[tuple[float, float]]]) -> None:
    """Print each contender's steps, by the clock and in processor time."""
    for name, pairs in times.items():
        walls, processors = zip(*pairs, strict=True)
        print(
            f"{name}: steps/s best {TOKENS / min(walls):.1f}, "
            f"median {TOKENS / statistics.median(walls):.1f}; "
            f"processor ms a step best {1e3 * min(processors) / TOKENS:.2f}, "
            f"median {1e3 * statistics.median(processors) / TOKENS:.2f}"
        )
    ratios = [a[1] / b[1] for a, b in zip(times["openvino"], times["kernels"], strict=True)]
    print("times faster by processor time, by round:", ", ".join(f"{one:.2f}" for one in ratios))


def main() -> None:
    """Read the command line, take turns, print steps per second."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--precision", default="int8", choices=("int8", "int4"))
    parser.add_argument("--beams", type=int, default=3)
    parser.add_argument("--prompts", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=4)
    options = parser.parse_args()
    scheme, stored = SCHEMES[options.precision], random_weights(options.precision)
    encoder, decoder = (
        compile_network(
            partial(build, BASE, stored, scheme.arithmetic), threads=options.threads, tuning=tuning(scheme)
        )
        for build in (build_encoder_graph, build_decoder_graph)
    )
    table = np.random.default_rng(1).standard_normal((BASE.vocabulary, BASE.hidden)).astype(np.float32)
    prompts = PromptEncoder(encoder, RowTable("embeddings", "F32", table.view(np.uint8)))
    engine = EngineOptions(uses_kernels=True)
    request = LoadRequest(Path(), scheme, threads=options.threads, options=engine)
    native = native_search_decoder(step_decoder(BASE, stored), decoder_positions(stored), prompts, request)
    if native is None:
        sys.exit("smallsight-kernels cannot be used; install it with: pip install ./kernels")
    ids = [5] * PROMPT
    features = np.empty((0, BASE.hidden), np.float32)
    contenders: dict[str, EncoderDecoder[Any]] = {
        "openvino": StatefulDecoder(prompts, decoder, RowBands()),
        "kernels": native,
    }
    times: dict[str, list[tuple[float, float]]] = {}
    for _ in range(options.rounds):
        for name, one in contenders.items():
            encoded = [one.encode(ids, BASE.image_token_id, features) for _ in range(options.prompts)]
            searches = [RandomBeams(options.beams) for _ in encoded]
            wall_s, processor_s = time.perf_counter(), time.process_time()
            one.search(encoded, searches)
            taken = time.perf_counter() - wall_s, time.process_time() - processor_s
            times.setdefault(name, []).append(taken)
    report(times)


if __name__ == "__main__":
    main()
