"""Measures Smallsight on one checkpoint in this process and prints one JSON object.

Run by benchmarks/side_by_side.py: python smallsight_contender.py CHECKPOINT PRECISION GRAPHS_DIR
"""

from __future__ import annotations

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from process_memory import memory_mib

LARGE, ORDINARY, SMALL = (1600, 1600), (800, 600), (500, 400)
ALONE, BULK = 12, 48
CONTEXT, SEQUENCES, DECODED = 1100, 8, 64
CACHE_BYTES = 640 << 20  # so that eight fit, whatever the model; memory is taken when it is used


def picture(size: tuple[int, int], seed: int = 0) -> Image.Image:
    """Return noise, of which no two tiles are alike."""
    width, height = size
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return Image.fromarray(values)


def tokens_per_s_together(model: Any) -> float:  # noqa: ANN401
    """Decode eight sequences after different prompts of 1,100 tokens; timed by the one that came last.

    The others ask for more tokens, so that all eight are generating until it has ended. The random checkpoint
    has a token for each byte: a letter is a token.
    """

    def ask(number: int, max_tokens: int) -> Any:  # noqa: ANN401
        question = chr(ord("a") + number) * (CONTEXT - 20)
        return model.ask([], question, max_tokens=max_tokens, ignore_stop=True)

    with ThreadPoolExecutor(SEQUENCES) as pool:
        others = [pool.submit(ask, number, DECODED + 320) for number in range(SEQUENCES - 1)]
        time.sleep(0.3)
        last = pool.submit(ask, SEQUENCES - 1, DECODED)
        seconds: float = last.result().timings.decode_s
        assert not any(other.done() for other in others), "not all were generating"
    return SEQUENCES * (DECODED - 1) / seconds


def main() -> None:
    """Load, ask, and print what it took."""
    directory, graphs = Path(sys.argv[1]), Path(sys.argv[3])
    precision, _, kernels = sys.argv[2].partition("+")
    started_s = time.perf_counter()
    from smallsight.engine.engine import EngineOptions
    from smallsight.model.vision_language_model import VisionLanguageModel

    model = VisionLanguageModel.load(
        directory,
        family="smolvlm",
        name="random",
        precision=precision,
        threads=2,
        prepared_dir=graphs,
        options=EngineOptions(cache_bytes=CACHE_BYTES, uses_kernels=bool(kernels)),
    )
    found: dict[str, float] = {"load_s": time.perf_counter() - started_s}
    ask: dict[str, Any] = {"max_tokens": 64, "ignore_stop": True}
    answer = model.describe(picture(LARGE), detail="high", **ask)
    found |= memory_mib()
    found["first_end_to_end_s"] = answer.timings.total_s
    answer = model.describe(picture(LARGE, 1), detail="high", **ask)
    timings = answer.timings
    found |= {
        "image_tokens": answer.usage.image_tokens,
        "end_to_end_s": timings.total_s,
        "vision_s": timings.vision_s,
        "prefill_s": timings.prefill_s,
        "prefill_tokens_per_s": answer.usage.prompt_tokens / timings.prefill_s,
        "first_token_s": timings.first_token_s,
        "tokens_per_s_1": 63 / timings.decode_s,
    }
    again = model.describe(picture(LARGE, 1), prompt="What else?", detail="high", **ask)
    found["second_question_first_token_s"] = again.timings.first_token_s
    found["auto_800x600_s"] = model.describe(picture(ORDINARY), detail="auto", **ask).timings.total_s
    found["tokens_per_s_8"] = tokens_per_s_together(model)
    small = [picture(SMALL, seed) for seed in range(ALONE + BULK)]
    started_s = time.perf_counter()
    for one in small[:ALONE]:
        model.describe(one, detail="low", **ask)
    found["one_by_one_per_min"] = 60 * ALONE / (time.perf_counter() - started_s)
    started_s = time.perf_counter()
    assert len(list(model.describe_many(small[ALONE:], detail="low", **ask))) == BULK
    found["many_per_min"] = 60 * BULK / (time.perf_counter() - started_s)
    found["weights_mib"] = model.memory.weights_bytes / 2**20
    found["resident_mib"] = model.memory.resident_bytes / 2**20
    model.close()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
