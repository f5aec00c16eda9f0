"""Measures transformers on one Florence-2 in this process and prints one JSON object.

Run by benchmarks/side_by_side.py: python florence2_transformers_contender.py CHECKPOINT bf16|fp32
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import numpy as np
from PIL import Image
from process_memory import memory_mib

SIZE, DECODED, BULK = (800, 600), 64, 4
IMAGE_TOKENS, PROMPT_TOKENS = 577, 49
BEAMS = {"num_beams": 3, "no_repeat_ngram_size": 3, "early_stopping": True}


def main() -> None:
    """Load, ask, and print what the middle of three times took."""
    directory, kind = sys.argv[1], sys.argv[2]
    started_s = time.perf_counter()
    import torch
    from transformers import Florence2ForConditionalGeneration
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    torch.set_num_threads(2)
    dtype = {"bf16": torch.bfloat16, "fp32": torch.float32}[kind]
    model: Any = Florence2ForConditionalGeneration.from_pretrained(
        directory, dtype=dtype, attn_implementation="sdpa"
    )
    model.eval()
    images = CLIPImageProcessorPil.from_pretrained(directory)
    found: dict[str, float] = {"load_s": time.perf_counter() - started_s}
    ids = [model.config.image_token_id] * IMAGE_TOKENS + [0, *range(100, 98 + PROMPT_TOKENS), 2]

    def inputs(*seeds: int) -> dict[str, Any]:
        made = [np.random.default_rng(seed).integers(0, 256, (*SIZE[::-1], 3), np.uint8) for seed in seeds]
        pixels = images(images=[Image.fromarray(one) for one in made], return_tensors="pt").pixel_values
        tokens = torch.tensor([ids] * len(seeds))
        return {
            "input_ids": tokens,
            "pixel_values": pixels.to(dtype),
            "attention_mask": torch.ones_like(tokens),
        }

    @torch.no_grad()
    def run(num_tokens: int, *seeds: int, **how: Any) -> float:  # noqa: ANN401
        began_s = time.perf_counter()
        made = model.generate(
            **inputs(*seeds),
            do_sample=False,
            min_new_tokens=num_tokens,
            max_new_tokens=num_tokens,
            **(how or BEAMS),
        )
        seconds = time.perf_counter() - began_s
        assert made.shape[1] == 1 + num_tokens
        return seconds

    @torch.no_grad()
    def look(seed: int) -> float:
        pixels = inputs(seed)["pixel_values"]
        began_s = time.perf_counter()
        model.model.get_image_features(pixels)
        return time.perf_counter() - began_s

    found["first_end_to_end_s"] = run(DECODED, 0)
    found["end_to_end_s"] = sorted(run(DECODED, seed) for seed in (1, 2, 3))[1]
    found["first_token_s"] = sorted(run(1, seed) for seed in (1, 2, 3))[1]
    found["tokens_per_s_1"] = (DECODED - 1) / (found["end_to_end_s"] - found["first_token_s"])
    found |= memory_mib()
    greedy_s = run(DECODED, 4, num_beams=1, no_repeat_ngram_size=3)
    found["tokens_per_s_greedy"] = (DECODED - 1) / (greedy_s - found["first_token_s"])
    found["vision_s"] = sorted(look(seed) for seed in (1, 2, 3))[1]
    found["prefill_s"] = found["first_token_s"] - found["vision_s"]
    found["prefill_tokens_per_s"] = len(ids) / found["prefill_s"]
    found["many_per_min"] = 60 * BULK / run(DECODED, *range(10, 10 + BULK))
    found["many_peak_mib"] = memory_mib()["peak_mib"]
    print(json.dumps(found))


if __name__ == "__main__":
    main()
