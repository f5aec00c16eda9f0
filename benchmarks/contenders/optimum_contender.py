"""Measures OpenVINO through optimum-intel on one checkpoint in this process and prints one JSON object.

Run by benchmarks/side_by_side.py: python optimum_contender.py CHECKPOINT int8|int4 FOLDER
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch
from optimum.intel import OVModelForVisualCausalLM, OVWeightQuantizationConfig
from PIL import Image
from process_memory import memory_mib
from transformers import PreTrainedTokenizerFast
from transformers.models.idefics3.image_processing_idefics3 import Idefics3ImageProcessor
from transformers.models.idefics3.processing_idefics3 import Idefics3Processor

SIDE_PX, CONTEXT, TOKENS, SEQUENCES = 1600, 1100, 64, 8


def export(directory: Path, bits: int, target: Path) -> None:
    """Write the checkpoint as OpenVINO networks with quantised weights."""
    group = {} if bits == 8 else {"group_size": 64}  # 128, the default, does not divide a width of 576
    quantised = OVWeightQuantizationConfig(bits=bits, sym=True, **group)
    model = OVModelForVisualCausalLM.from_pretrained(
        directory, export=True, quantization_config=quantised, compile=False
    )
    model.save_pretrained(target)


class Contender:
    """The exported model and what prepares its input."""

    def __init__(self, directory: Path, target: Path) -> None:
        options = {"INFERENCE_NUM_THREADS": "2", "PERFORMANCE_HINT": "LATENCY"}
        self.model = OVModelForVisualCausalLM.from_pretrained(target, ov_config=options)
        self.processor = Idefics3Processor(
            image_processor=Idefics3ImageProcessor.from_pretrained(directory),
            tokenizer=PreTrainedTokenizerFast(
                tokenizer_file=f"{directory}/tokenizer.json", pad_token="<|im_end|>"
            ),
            image_seq_len=64,
            chat_template=json.loads((directory / "chat_template.json").read_text())["chat_template"],
        )

    def look(self, seed: int, new_tokens: int) -> float:
        """Time one picture, from pixels to the last token."""
        values = np.random.default_rng(seed).integers(0, 256, (SIDE_PX, SIDE_PX, 3), np.uint8)
        parts = [{"type": "image"}, {"type": "text", "text": "Can you describe this image?"}]
        started_s = time.perf_counter()
        text = self.processor.apply_chat_template(
            [{"role": "user", "content": parts}], add_generation_prompt=True
        )
        inputs = self.processor(text=text, images=[Image.fromarray(values)], return_tensors="pt")
        self._generate(new_tokens, **inputs)
        return time.perf_counter() - started_s

    def read(self, rows: int, new_tokens: int) -> float:
        """Time prompts of 1,100 random tokens and what comes after them."""
        ids = torch.randint(100, 356, (rows, CONTEXT))
        started_s = time.perf_counter()
        self._generate(new_tokens, input_ids=ids, attention_mask=torch.ones_like(ids))
        return time.perf_counter() - started_s

    def _generate(self, new_tokens: int, **inputs: torch.Tensor) -> None:
        made = self.model.generate(
            **inputs, do_sample=False, min_new_tokens=new_tokens, max_new_tokens=new_tokens, pad_token_id=2
        )
        # Some models return only what is new.
        assert made.shape[1] in (new_tokens, inputs["input_ids"].shape[1] + new_tokens)


def main() -> None:
    """Export in another process unless that is done, load, measure, print."""
    directory, kind, folder = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    torch.set_num_threads(2)
    target = folder / f"{directory.name}-{kind}"
    if "--export" in sys.argv:
        export(directory, 8 if kind == "int8" else 4, target)
        return
    if not (target / "openvino_language_model.xml").exists():
        subprocess.run([sys.executable, *sys.argv, "--export"], check=True, stdout=sys.stderr)
    started_s = time.perf_counter()
    contender = Contender(directory, target)
    found = {"load_s": time.perf_counter() - started_s}
    contender.look(0, 2)
    found["end_to_end_s"] = contender.look(1, TOKENS)
    found["first_token_s"] = contender.look(2, 1)
    found |= memory_mib()
    contender.read(1, 2)
    found["prefill_s"] = min(contender.read(1, 1) for _ in range(2))
    found["prefill_tokens_per_s"] = CONTEXT / found["prefill_s"]
    found["tokens_per_s_1"] = TOKENS / (contender.read(1, TOKENS + 1) - found["prefill_s"])
    together_s = contender.read(SEQUENCES, TOKENS + 1) - contender.read(SEQUENCES, 1)
    found["tokens_per_s_8"] = SEQUENCES * TOKENS / together_s
    found["weights_mib"] = sum(path.stat().st_size for path in target.glob("*.bin")) / 2**20
    print(json.dumps(found))


if __name__ == "__main__":
    main()
