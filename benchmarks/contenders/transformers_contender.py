"""Measures transformers on one checkpoint in this process and prints one JSON object.

Run by benchmarks/side_by_side.py: python transformers_contender.py CHECKPOINT bf16|bnb-int8|bnb-nf4
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image
from process_memory import memory_mib

SIDE_PX, CONTEXT, SEQUENCES = 1600, 1100, 8


def main() -> None:
    """Load, ask twice, and print what the second time took."""
    directory, kind = sys.argv[1], sys.argv[2]
    started_s = time.perf_counter()
    import torch
    from transformers import BitsAndBytesConfig, Idefics3ForConditionalGeneration, PreTrainedTokenizerFast
    from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil
    from transformers.models.idefics3.processing_idefics3 import Idefics3Processor

    torch.set_num_threads(2)
    quantised = {
        "bnb-int8": lambda: BitsAndBytesConfig(load_in_8bit=True, llm_int8_threshold=6.0),
        "bnb-nf4": lambda: BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16
        ),
    }
    options = {"quantization_config": quantised[kind]()} if kind in quantised else {}
    model = Idefics3ForConditionalGeneration.from_pretrained(
        directory, dtype=torch.bfloat16, attn_implementation="sdpa", **options
    ).eval()
    template = json.loads((Path(directory) / "chat_template.json").read_text())["chat_template"]
    processor = Idefics3Processor(
        image_processor=Idefics3ImageProcessorPil.from_pretrained(directory),
        tokenizer=PreTrainedTokenizerFast(
            tokenizer_file=f"{directory}/tokenizer.json", pad_token="<|im_end|>"
        ),
        image_seq_len=64,
        chat_template=template,
    )
    found: dict[str, float] = {"load_s": time.perf_counter() - started_s}
    chat = [
        {
            "role": "user",
            "content": [{"type": "image"}, {"type": "text", "text": "Can you describe this image?"}],
        }
    ]

    @torch.no_grad()
    def run(seed: int, num_tokens: int) -> tuple[float, int]:
        values = np.random.default_rng(seed).integers(0, 256, (SIDE_PX, SIDE_PX, 3), np.uint8)
        began_s = time.perf_counter()
        text = processor.apply_chat_template(chat, add_generation_prompt=True)
        inputs = processor(text=text, images=[Image.fromarray(values)], return_tensors="pt")
        inputs["pixel_values"] = inputs["pixel_values"].to(torch.bfloat16)
        made = model.generate(
            **inputs, do_sample=False, min_new_tokens=num_tokens, max_new_tokens=num_tokens, pad_token_id=2
        )
        seconds = time.perf_counter() - began_s
        assert made.shape[1] == inputs["input_ids"].shape[1] + num_tokens
        return seconds, int((inputs["input_ids"] == model.config.image_token_id).sum())

    @torch.no_grad()
    def look() -> float:
        tiles = torch.rand(1, 17, 3, 512, 512).to(torch.bfloat16)
        began_s = time.perf_counter()
        model.model.get_image_features(tiles)
        return time.perf_counter() - began_s

    @torch.no_grad()
    def read(rows: int, num_tokens: int) -> float:
        ids = torch.randint(100, 356, (rows, CONTEXT))
        began_s = time.perf_counter()
        model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            min_new_tokens=num_tokens,
            max_new_tokens=num_tokens,
            pad_token_id=2,
        )
        return time.perf_counter() - began_s

    found["first_end_to_end_s"], _ = run(0, 64 if kind == "bf16" else 8)
    found["end_to_end_s"], found["image_tokens"] = run(1, 64)
    found["first_token_s"], _ = run(2, 1)
    found["tokens_per_s_1"] = 63 / (found["end_to_end_s"] - found["first_token_s"])
    found |= memory_mib()
    found["vision_s"] = look()
    found["prefill_s"] = min(read(1, 1) for _ in range(2))
    found["prefill_tokens_per_s"] = CONTEXT / found["prefill_s"]
    found["tokens_per_s_8"] = SEQUENCES * 16 / (read(SEQUENCES, 17) - read(SEQUENCES, 1))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
