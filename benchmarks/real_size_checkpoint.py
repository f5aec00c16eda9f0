"""Random checkpoints in their true shapes and the real layout: SmolVLM here, others beside it.

What is measured is the arithmetic, which does not care what the numbers mean. Nothing here can be mistaken
for a model that says something.

Run: python benchmarks/real_size_checkpoint.py SmolVLM-256M-Instruct FOLDER [--tiny]

With --tiny the network has one narrow layer of each kind, for programs that only have to run.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import florence2_files
import moondream2_files
import numpy as np
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from smallsight.catalog.catalog import load_catalog
from smallsight.catalog.entry import Architecture
from smallsight.families.florence2.weights import upstream_name as name_in_florence2
from smallsight.families.moondream2.weights import upstream_name as name_in_moondream2
from smallsight.families.moondream2.weights import upstream_shape
from smallsight.families.registry import tensor_shapes
from smallsight.families.smolvlm.shapes import SmolVLMSizes
from smallsight.families.smolvlm.weights import upstream_name as name_in_smolvlm
from smallsight.families.tensor_shape import TensorShape
from smallsight.quant.bf16 import round_to_bf16

IMAGE_TOKEN, END_TOKEN = 49190, 49279
TILE_TOKENS = 64
_NARROW_TEXT = {"text_hidden": 64, "text_ffn": 128, "text_layers": 1}
_NARROW_VISION = {"vision_hidden": 72, "vision_ffn": 128, "vision_layers": 1}
TINY: Mapping[str, Mapping[str, object]] = {
    "smolvlm": {
        **_NARROW_TEXT,
        **_NARROW_VISION,
        "text_heads": 1,
        "text_kv_heads": 1,
        "vision_hidden": 64,
        "image_px": 64,
    },
    "florence2": {
        "text_hidden": 64,
        "text_ffn": 128,
        "encoder_layers": 1,
        "decoder_layers": 1,
        "vision_depths": (1, 1, 1, 1),
        "vision_widths": (32, 32, 32, 64),
    },
    "moondream2": {
        **_NARROW_TEXT,
        **_NARROW_VISION,
        "text_ffn": 256,
        "crop_px": 126,
        "connector_inner": 64,
        "region_inner": 64,
    },
}
CHAT_TEMPLATE = (
    "<|im_start|>{% for message in messages %}{{ message['role'] | capitalize }}:"
    "{% for line in message['content'] %}{% if line['type'] == 'text' %}{{ line['text'] }}"
    "{% else %}<image>{% endif %}{% endfor %}<end_of_utterance>\n{% endfor %}Assistant:"
)


def architecture_of(name: str, *, is_tiny: bool = False) -> Architecture:
    """Return the sizes of a catalogue name, or tiny ones of its family."""
    architecture = load_catalog().find(name).architecture
    if architecture is None:
        raise SystemExit(f"{name} has no architecture in the catalogue.")
    changed = TINY[architecture.family] if is_tiny else {}
    return replace(architecture, sizes={**architecture.sizes, **changed})


def make_checkpoint(name: str, folder: Path, *, is_tiny: bool = False) -> Path:
    """Write the checkpoint of a catalogue name, unless it is there already; returns its folder."""
    directory = folder / name
    if (directory / "model.safetensors").exists():
        return directory
    directory.mkdir(parents=True, exist_ok=True)
    architecture = architecture_of(name, is_tiny=is_tiny)
    if architecture.family == "florence2":
        files, tokenizer = florence2_files.files(architecture.sizes), florence2_files.tokenizer()
        name_of: Callable[[str], str] = name_in_florence2
    elif architecture.family == "moondream2":
        files, tokenizer = moondream2_files.files(architecture.sizes), moondream2_files.tokenizer()
        name_of = name_in_moondream2
    else:
        files, tokenizer = _files(SmolVLMSizes(**architecture.sizes)), _tokenizer()
        name_of = name_in_smolvlm
    for file_name, content in files.items():
        (directory / file_name).write_text(json.dumps(content, indent=1), encoding="utf-8")
    tokenizer.save(str(directory / "tokenizer.json"))
    tensors = tensor_shapes(architecture)
    if architecture.family == "moondream2":
        tensors = tuple(replace(one, shape=upstream_shape(one.name, one.shape)) for one in tensors)
    unfinished = directory / "model.unfinished"
    _write_weights(unfinished, tensors, name_of)
    unfinished.replace(directory / "model.safetensors")
    return directory


def _files(sizes: SmolVLMSizes) -> dict[str, dict[str, object]]:
    return {
        "config.json": _config(sizes),
        "preprocessor_config.json": _preprocessor(sizes),
        "chat_template.json": {"chat_template": CHAT_TEMPLATE},
        "generation_config.json": {"eos_token_id": END_TOKEN, "pad_token_id": 2},
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_input_names": ["input_ids", "attention_mask"],
        },
        "processor_config.json": {"processor_class": "Idefics3Processor", "image_seq_len": TILE_TOKENS},
    }


def _config(sizes: SmolVLMSizes) -> dict[str, object]:
    return {
        "architectures": ["Idefics3ForConditionalGeneration"],
        "model_type": "idefics3",
        "image_token_id": IMAGE_TOKEN,
        "scale_factor": sizes.pixel_shuffle,
        "tie_word_embeddings": sizes.is_tied,
        "dtype": "bfloat16",
        "vision_config": {
            "model_type": "idefics3_vision",
            "hidden_size": sizes.vision_hidden,
            "intermediate_size": sizes.vision_ffn,
            "num_hidden_layers": sizes.vision_layers,
            "num_attention_heads": sizes.vision_hidden // 64,
            "patch_size": sizes.patch_px,
            "image_size": sizes.image_px,
            "hidden_act": "gelu_pytorch_tanh",
            "layer_norm_eps": 1e-6,
        },
        "text_config": {
            "model_type": "llama",
            "vocab_size": sizes.vocabulary,
            "hidden_size": sizes.text_hidden,
            "intermediate_size": sizes.text_ffn,
            "num_hidden_layers": sizes.text_layers,
            "num_attention_heads": sizes.text_heads,
            "num_key_value_heads": sizes.text_kv_heads,
            "head_dim": sizes.head_dim,
            "max_position_embeddings": sizes.context_tokens,
            "rms_norm_eps": 1e-5,
            "rope_theta": 100000.0,
            "hidden_act": "silu",
            "pad_token_id": 2,
            "tie_word_embeddings": sizes.is_tied,
        },
    }


def _preprocessor(sizes: SmolVLMSizes) -> dict[str, object]:
    return {
        "image_processor_type": "Idefics3ImageProcessor",
        "do_convert_rgb": True,
        "do_image_splitting": True,
        "do_normalize": True,
        "do_pad": True,
        "do_rescale": True,
        "do_resize": True,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
        "max_image_size": {"longest_edge": sizes.image_px},
        "resample": 1,
        "rescale_factor": 1 / 255,
        "size": {"longest_edge": 4 * sizes.image_px},
    }


def _tokenizer() -> Tokenizer:
    """Bytes as tokens, without merges, and the control tokens where the real vocabulary has them."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: 100 + number for number, letter in enumerate(letters)}
    controls = {"<|endoftext|>": 0, "<|im_start|>": 1, "<|im_end|>": 2, "<global-img>": 49152}
    rows = [f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7)]
    controls |= {name: 49153 + number for number, name in enumerate(rows)}
    controls |= {"<fake_token_around_image>": 49189, "<image>": IMAGE_TOKEN, "<end_of_utterance>": END_TOKEN}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary | controls, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in controls])
    return tokenizer


def _write_weights(path: Path, tensors: Sequence[TensorShape], name_of: Callable[[str], str]) -> None:
    """Write tensors one after the other, so that memory holds one at a time."""
    header: dict[str, object] = {}
    end = 0
    for tensor in tensors:
        begin, end = end, end + 2 * tensor.num_values
        described = {"dtype": "BF16", "shape": list(tensor.shape), "data_offsets": [begin, end]}
        header[name_of(tensor.name)] = described
    written = json.dumps(header).encode()
    random = np.random.default_rng(0)
    with path.open("wb") as file:
        file.write(len(written).to_bytes(8, "little"))
        file.write(written)
        for tensor in tensors:
            values = random.standard_normal(tensor.shape, np.float32) * np.float32(0.02)
            if "norm" in tensor.name and tensor.name.endswith("weight"):
                values += 1
            file.write(round_to_bf16(values).bf16_bits.tobytes())


def main() -> None:
    """Read the command line and write one checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tiny", action="store_true")
    options = parser.parse_args()
    print(make_checkpoint(options.name, options.folder, is_tiny=options.tiny))


if __name__ == "__main__":
    main()
