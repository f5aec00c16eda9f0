"""Measures Smallsight on one checkpoint in this process and prints one JSON object.

Run by benchmarks/side_by_side.py: python smallsight_contender.py CHECKPOINT PRECISION GRAPHS_DIR
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

LARGE, ORDINARY, SMALL = (1600, 1600), (800, 600), (500, 400)
BULK = 16


def picture(size: tuple[int, int], seed: int = 0) -> Image.Image:
    """Return noise, of which no two tiles are alike."""
    width, height = size
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return Image.fromarray(values)


def peak_mib() -> float:
    """Return the most memory this process has had resident, in MiB."""
    text = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(text.split("VmHWM:")[1].split()[0]) / 1024


def main() -> None:
    """Load, ask, and print what it took."""
    directory, precision, graphs = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    started_s = time.perf_counter()
    from smallsight.model.vision_language_model import VisionLanguageModel

    model = VisionLanguageModel.load(
        directory, name="random", precision=precision, threads=2, graphs_dir=graphs
    )
    found: dict[str, float] = {"load_s": time.perf_counter() - started_s}
    ask: dict[str, Any] = {"max_tokens": 64, "ignore_stop": True}
    answer = model.describe(picture(LARGE), detail="high", **ask)
    found["peak_mib"] = peak_mib()
    found["first_end_to_end_s"] = answer.timings.total_s
    answer = model.describe(picture(LARGE, 1), detail="high", **ask)
    timings = answer.timings
    found |= {
        "image_tokens": answer.usage.image_tokens,
        "end_to_end_s": timings.total_s,
        "vision_s": timings.vision_s,
        "prefill_s": timings.prefill_s,
        "first_token_s": timings.first_token_s,
        "tokens_per_s_1": 63 / timings.decode_s,
    }
    again = model.describe(picture(LARGE, 1), prompt="What else?", detail="high", **ask)
    found["second_question_first_token_s"] = again.timings.first_token_s
    found["auto_800x600_s"] = model.describe(picture(ORDINARY), detail="auto", **ask).timings.total_s
    small = [picture(SMALL, seed) for seed in range(2 * BULK)]
    started_s = time.perf_counter()
    for one in small[:BULK]:
        model.describe(one, detail="low", **ask)
    found["one_by_one_per_min"] = 60 * BULK / (time.perf_counter() - started_s)
    started_s = time.perf_counter()
    assert len(list(model.describe_many(small[BULK:], detail="low", **ask))) == BULK
    found["many_per_min"] = 60 * BULK / (time.perf_counter() - started_s)
    found["weights_mib"] = model.memory.weights_bytes / 2**20
    found["resident_mib"] = model.memory.resident_bytes / 2**20
    model.close()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
