"""Measures torch on one moondream2 in this process and prints one JSON object.

Run by benchmarks/side_by_side.py: python moondream2_torch_contender.py CHECKPOINT bf16|fp32
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image
from process_memory import memory_mib

SIZE, DECODED = (800, 600), 64
ROWS, COLUMNS = 2, 4  # the reference's grid of that size
BEGIN, CAPTION = [50256], [198, 198, 16438, 8305, 25]


def main() -> None:
    """Load, ask, and print what the middle of three times took."""
    directory, kind = Path(sys.argv[1]), sys.argv[2]
    started_s = time.perf_counter()
    import torch
    from moondream2_torch import Moondream2

    torch.set_num_threads(2)
    torch.set_grad_enabled(False)
    model = Moondream2(directory, {"bf16": torch.bfloat16, "fp32": torch.float32}[kind])
    found: dict[str, float] = {"load_s": time.perf_counter() - started_s}

    def ask(seed: int) -> dict[str, float]:
        values = np.random.default_rng(seed).integers(0, 256, (*SIZE[::-1], 3), np.uint8)
        marks = [time.perf_counter()]
        tokens = model.image_tokens(Image.fromarray(values), ROWS, COLUMNS)
        marks.append(time.perf_counter())
        model.think(torch.cat([model.embed(BEGIN), tokens]), 0)
        chosen = [model.likeliest(model.think(model.embed(CAPTION), model.prefix))]
        marks.append(time.perf_counter())
        position = model.prefix + len(CAPTION)
        while len(chosen) < DECODED:
            chosen.append(model.likeliest(model.think(model.embed(chosen[-1:]), position)))
            position += 1
        marks.append(time.perf_counter())
        return {
            "end_to_end_s": marks[3] - marks[0],
            "vision_s": marks[1] - marks[0],
            "prefill_s": marks[2] - marks[1],
            "prefill_tokens_per_s": (model.prefix + len(CAPTION)) / (marks[2] - marks[1]),
            "first_token_s": marks[2] - marks[0],
            "tokens_per_s_1": (DECODED - 1) / (marks[3] - marks[2]),
        }

    rounds = [ask(seed) for seed in range(3)]
    found["first_end_to_end_s"] = rounds[0]["end_to_end_s"]
    found |= sorted(rounds, key=lambda one: one["end_to_end_s"])[1]
    found |= memory_mib()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
