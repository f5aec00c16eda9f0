"""Measures Smallsight on one Florence-2 in this process and prints one JSON object.

Run by benchmarks/side_by_side.py: python florence2_contender.py CHECKPOINT PRECISION GRAPHS_DIR
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from process_memory import memory_mib

SIZE, ALONE, BULK, DECODED = (800, 600), 4, 12, 64


def picture(seed: int) -> Image.Image:
    """Return noise."""
    values = np.random.default_rng(seed).integers(0, 256, (SIZE[1], SIZE[0], 3), np.uint8)
    return Image.fromarray(values)


def main() -> None:
    """Load, ask, and print what it took."""
    directory, graphs = Path(sys.argv[1]), Path(sys.argv[3])
    precision, _, kernels = sys.argv[2].partition("+")
    started_s = time.perf_counter()
    from smallsight.engine.engine import EngineOptions
    from smallsight.model.vision_language_model import VisionLanguageModel

    model = VisionLanguageModel.load(
        directory,
        family="florence2",
        name="random",
        precision=precision,
        threads=2,
        prepared_dir=graphs,
        options=EngineOptions(uses_kernels=bool(kernels)),
    )
    found: dict[str, float] = {"load_s": time.perf_counter() - started_s}
    ask: dict[str, Any] = {"max_tokens": DECODED, "ignore_stop": True}
    answer = model.describe(picture(0), **ask)
    found["first_end_to_end_s"] = answer.timings.total_s
    answers = [model.describe(picture(seed), **ask) for seed in (1, 2, 3)]
    answer = sorted(answers, key=lambda one: one.timings.total_s)[1]
    timings = answer.timings
    found |= {
        "end_to_end_s": timings.total_s,
        "vision_s": timings.vision_s,
        "prefill_s": timings.prefill_s,
        "prefill_tokens_per_s": answer.usage.prompt_tokens / timings.prefill_s,
        "first_token_s": timings.first_token_s,
        "tokens_per_s_1": (DECODED - 1) / timings.decode_s,
    }
    found["second_question_first_token_s"] = model.ask(picture(3), "<OD>", **ask).timings.first_token_s
    found |= memory_mib()
    found["tokens_per_s_greedy"] = (DECODED - 1) / model.describe(
        picture(1), num_beams=1, **ask
    ).timings.decode_s
    started_s = time.perf_counter()
    for seed in range(ALONE):
        model.describe(picture(100 + seed), **ask)
    found["one_by_one_per_min"] = 60 * ALONE / (time.perf_counter() - started_s)
    many = [picture(200 + seed) for seed in range(BULK)]
    started_s = time.perf_counter()
    assert len(list(model.describe_many(many, **ask))) == BULK
    found["many_per_min"] = 60 * BULK / (time.perf_counter() - started_s)
    found["many_peak_mib"] = memory_mib()["peak_mib"]
    found["weights_mib"] = model.memory.weights_bytes / 2**20
    model.close()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
