"""Writes a tiny language model and a tiny picture tower of random weights as GGUF, for llama.cpp's server.

What it says is noise, and the same noise every time: it is for trying how one server asks another.
Run by benchmarks/served_process.py: python tiny_gguf.py FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

import gguf
import numpy as np

DECODER, TOWER = "decoder.gguf", "tower.gguf"
HIDDEN, INNER, LAYERS, HEADS, CONTEXT = 64, 128, 2, 4, 2048
SIDE_PX, PATCH_PX, SCALE = 64, 16, 2
NAMED = ("<unk>", "<s>", "</s>")
MAX_TILES = 4
AROUND_PICTURES = ["<fake_token_around_image>", "<global-img>"]
AROUND_PICTURES += [f"<row_{1 + i // MAX_TILES}_col_{1 + i % MAX_TILES}>" for i in range(MAX_TILES**2)]
TEMPLATE = "{% for one in messages %}{{ one['role'] }}: {{ one['content'] }}\n{% endfor %}assistant:"
RANDOM = np.random.default_rng(0)


def write_decoder(path: Path) -> None:
    """Write a Llama decoder whose vocabulary is the 256 bytes some letters, and what is around pictures."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_rope_dimension_count(HIDDEN // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    pieces = [*NAMED, *(f"<0x{byte:02X}>" for byte in range(256)), "\N{LOWER ONE EIGHTH BLOCK}", *letters]
    pieces += ["\n", "\n\n", *AROUND_PICTURES]
    kinds = [gguf.TokenType.UNKNOWN, *[gguf.TokenType.CONTROL] * 2]
    kinds += [*[gguf.TokenType.BYTE] * 256, *[gguf.TokenType.NORMAL] * (3 + len(letters))]
    kinds += [gguf.TokenType.CONTROL] * len(AROUND_PICTURES)
    writer.add_vocab_size(len(pieces))
    writer.add_tokenizer_model("llama")
    writer.add_token_list(pieces)
    writer.add_token_scores([0.0] * len(pieces))
    writer.add_token_types(kinds)
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template(TEMPLATE)
    _add(writer, "token_embd.weight", (len(pieces), HIDDEN), 1.0)
    # Halves of letters are never the likeliest: a server that streams holds them back until they are whole.
    rows = RANDOM.standard_normal((len(pieces), HIDDEN), np.float32)
    rows[: len(NAMED)] = rows[len(NAMED) + 0x80 : len(NAMED) + 0x100] = rows[-len(AROUND_PICTURES) :] = 0
    writer.add_tensor("output.weight", rows)
    _add_ones(writer, "output_norm.weight")
    for layer in range(LAYERS):
        shapes = dict.fromkeys(("attn_q", "attn_k", "attn_v", "attn_output"), (HIDDEN, HIDDEN))
        shapes |= {"ffn_gate": (INNER, HIDDEN), "ffn_up": (INNER, HIDDEN), "ffn_down": (HIDDEN, INNER)}
        for name, shape in shapes.items():
            _add(writer, f"blk.{layer}.{name}.weight", shape, 0.3)
        for name in ("attn_norm", "ffn_norm"):
            _add_ones(writer, f"blk.{layer}.{name}.weight")
    _finish(writer)


def write_tower(path: Path) -> None:
    """Write a SigLIP tower and the connector of SmolVLM."""
    writer = gguf.GGUFWriter(path, "clip")
    writer.add_type("mmproj")
    writer.add_clip_has_vision_encoder(value=True)
    writer.add_clip_projector_type("idefics3")
    writer.add_vision_image_size(SIDE_PX)
    writer.add_vision_preproc_image_size(4 * SIDE_PX)
    writer.add_vision_patch_size(PATCH_PX)
    writer.add_vision_embedding_length(HIDDEN)
    writer.add_vision_feed_forward_length(INNER)
    writer.add_vision_projection_dim(HIDDEN)
    writer.add_vision_block_count(1)
    writer.add_vision_head_count(HEADS)
    writer.add_vision_attention_layernorm_eps(1e-6)
    writer.add_vision_image_mean([0.5] * 3)
    writer.add_vision_image_std([0.5] * 3)
    writer.add_vision_use_gelu(value=True)
    writer.add_vision_projector_scale_factor(SCALE)
    _add(writer, "v.patch_embd.weight", (HIDDEN, 3, PATCH_PX, PATCH_PX), 0.3)
    _add(writer, "v.patch_embd.bias", (HIDDEN,), 0.3)
    _add(writer, "v.position_embd.weight", ((SIDE_PX // PATCH_PX) ** 2, HIDDEN), 0.3)
    for name in ("attn_q", "attn_k", "attn_v", "attn_out"):
        _add(writer, f"v.blk.0.{name}.weight", (HIDDEN, HIDDEN), 0.3)
        _add(writer, f"v.blk.0.{name}.bias", (HIDDEN,), 0.1)
    for name, shape in {"ffn_up": (INNER, HIDDEN), "ffn_down": (HIDDEN, INNER)}.items():
        _add(writer, f"v.blk.0.{name}.weight", shape, 0.3)
        _add(writer, f"v.blk.0.{name}.bias", shape[:1], 0.1)
    for name in ("v.blk.0.ln1", "v.blk.0.ln2", "v.post_ln"):
        _add_ones(writer, f"{name}.weight")
        _add(writer, f"{name}.bias", (HIDDEN,), 0.1)
    _add(writer, "mm.model.fc.weight", (HIDDEN, HIDDEN * SCALE**2), 0.3)
    _finish(writer)


def _add(writer: gguf.GGUFWriter, name: str, shape: tuple[int, ...], spread: float) -> None:
    writer.add_tensor(name, RANDOM.standard_normal(shape, np.float32) * np.float32(spread))


def _add_ones(writer: gguf.GGUFWriter, name: str) -> None:
    writer.add_tensor(name, np.ones(HIDDEN, np.float32))


def _finish(writer: gguf.GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    write_decoder(folder / DECODER)
    write_tower(folder / TOWER)
