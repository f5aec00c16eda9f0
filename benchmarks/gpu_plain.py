"""transformers' plain ``generate`` on the same random checkpoint, prompt and number of tokens, one by one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForImageTextToText, BitsAndBytesConfig, Florence2ForConditionalGeneration

from smallsight.families.messages import PreparedPrompt

SKIPPED = {
    "florence2": ["model.vision_tower", "model.multi_modal_projector", "lm_head"],
    "smolvlm": ["lm_head"],
}
BEAMS = {"num_beams": 3, "no_repeat_ngram_size": 3, "early_stopping": True}


class PlainModel:
    """A model as transformers loads and runs it; transformers has no class for moondream2."""

    def __init__(self, folder: Path, family: str, precision: str, device: str) -> None:
        self._family, self._device = family, device
        model_class: Any = (
            Florence2ForConditionalGeneration if family == "florence2" else AutoModelForImageTextToText
        )
        options: dict[str, Any] = {"dtype": torch.bfloat16}
        if precision != "bf16":
            options |= {"quantization_config": _recipe(precision, family), "device_map": {"": device}}
        model = model_class.from_pretrained(folder, local_files_only=True, **options).eval()
        self._model = model if precision != "bf16" else model.to(device)

    def generate(self, prompt: PreparedPrompt, num_tokens: int) -> None:
        """Answer one prompt with this many tokens; what is in the tiles does not change the arithmetic."""
        ids = torch.tensor([prompt.token_ids], device=self._device)
        side = prompt.tiles[0].pixels_HWC.shape[0]
        shape = (1, 3, side, side) if self._family == "florence2" else (1, len(prompt.tiles), 3, side, side)
        pixels = torch.rand(shape, device=self._device).to(torch.bfloat16)
        with torch.inference_mode():
            made = self._model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                pixel_values=pixels,
                do_sample=False,
                min_new_tokens=num_tokens,
                max_new_tokens=num_tokens,
                **(BEAMS if self._family == "florence2" else {}),
            )
        assert made.shape[1] == num_tokens + (1 if self._family == "florence2" else ids.shape[1])


def _recipe(precision: str, family: str) -> BitsAndBytesConfig:
    skipped = SKIPPED[family]
    if precision == "int8":
        return BitsAndBytesConfig(load_in_8bit=True, llm_int8_threshold=6.0, llm_int8_skip_modules=skipped)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
        llm_int8_skip_modules=skipped,
    )
