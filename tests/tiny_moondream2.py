"""Tiny random moondream2 checkpoints in the layout of revision 2025-01-09."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

CORPUS = [
    "Short caption: Question: Answer: Detect: Point: a red car and the other cars in the street",
    "What does the sign say? How many people are there? A cat sits on the sofa.",
]
END = "<|endoftext|>"


@dataclass(frozen=True)
class TinyMoondream2:
    name: str
    patch_px: int = 4
    patches: int = 9  # on a side
    margin: int = 2
    max_crops: int = 6
    hidden: int = 64
    heads: int = 4
    layers: int = 3
    vision_hidden: int = 48
    vision_heads: int = 4
    vision_ffn: int = 72
    vision_layers: int = 2
    dtype: str = "float32"
    shards: int = 1
    end_bias: float = 0.0


SHAPES = (
    TinyMoondream2("wide-margins"),
    TinyMoondream2("narrow-margins-fp16", patches=8, margin=1, max_crops=12, heads=2, dtype="float16"),
    TinyMoondream2("one-layer-sharded", patches=5, margin=0, layers=1, vision_heads=3, shards=2),
    TinyMoondream2("wide", patch_px=2, patches=7, max_crops=4, hidden=96, heads=6, vision_ffn=80),
)


def write_tiny_moondream2(folder: Path, shape: TinyMoondream2, seed: int = 0) -> Path:
    """Write one checkpoint with all its files, and return its folder."""
    folder.mkdir(parents=True)
    tokenizer = make_tokenizer()
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "config.json").write_text(json.dumps(config_of(shape, tokenizer)))
    tensors = random_tensors(shape, tokenizer, np.random.default_rng(seed))
    tensors = {name: values.astype(shape.dtype) for name, values in tensors.items()}
    if shape.shards == 1:
        save_file(tensors, folder / "model.safetensors")
        return folder
    names = list(tensors)
    weight_map = {}
    for part in range(shape.shards):
        file_name = f"model-{part + 1:05}-of-{shape.shards:05}.safetensors"
        held = {name: tensors[name] for name in names[part :: shape.shards]}
        save_file(held, folder / file_name)
        weight_map |= dict.fromkeys(held, file_name)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    return folder


def make_tokenizer():
    """Byte-level pairs with a few merges, so that where text is cut matters."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.add_special_tokens([AddedToken(END, special=True, normalized=False)])
    tokenizer.add_tokens([AddedToken("   ", normalized=False)])  # as the published one has runs of spaces
    return tokenizer


def config_of(shape: TinyMoondream2, tokenizer) -> dict[str, object]:
    def ids(text: str) -> list[int]:
        return tokenizer.encode(text).ids

    end = tokenizer.token_to_id(END)
    return {
        "architectures": ["HfMoondream"],
        "model_type": "moondream1",
        "config": {
            "text": {
                "dim": shape.hidden,
                "n_layers": shape.layers,
                "vocab_size": 320,
                "max_context": 512,
                "n_heads": shape.heads,
                "prefix_attn": shape.patches**2 + 1,
            },
            "vision": {
                "enc_dim": shape.vision_hidden,
                "enc_patch_size": shape.patch_px,
                "enc_n_layers": shape.vision_layers,
                "enc_ff_dim": shape.vision_ffn,
                "enc_n_heads": shape.vision_heads,
                "proj_out_dim": shape.hidden,
                "crop_size": shape.patches * shape.patch_px,
                "max_crops": shape.max_crops,
                "overlap_margin": shape.margin,
                "proj_inner_dim": 128,
            },
            "region": {
                "dim": shape.hidden,
                "coord_feat_dim": 32,
                "coord_out_dim": 128,
                "size_feat_dim": 64,
                "size_out_dim": 256,
                "inner_dim": 128,
            },
            "tokenizer": {
                "bos_id": end,
                "eos_id": end,
                "templates": {
                    "caption": {"short": ids("\n\nShort caption:"), "normal": ids("\n\nCaption:")},
                    "query": {"prefix": ids("\n\nQuestion:"), "suffix": ids("\n\nAnswer:")},
                    "detect": {"prefix": ids("\n\nDetect:"), "suffix": ids("\n\n")},
                    "point": {"prefix": ids("\n\nPoint:"), "suffix": ids("\n\n")},
                },
            },
        },
    }


def random_tensors(shape: TinyMoondream2, tokenizer, random) -> dict[str, np.ndarray]:
    """Every tensor that the published checkpoint has, all of them random: biases and norms too."""

    def linear(name: str, outputs: int, inputs: int, gain: float = 1.2) -> dict[str, np.ndarray]:
        return {
            f"{name}.weight": random.standard_normal((outputs, inputs)) * gain / inputs**0.5,
            f"{name}.bias": random.standard_normal(outputs) * 0.2,
        }

    def norm(name: str, width: int, gain: float = 1.0) -> dict[str, np.ndarray]:
        return {
            f"{name}.weight": gain * (1 + random.standard_normal(width) * 0.2),
            f"{name}.bias": random.standard_normal(width) * 0.2,
        }

    def layer(name: str, width: int, ffn: int, norms: tuple[str, ...]) -> dict[str, np.ndarray]:
        tensors: dict[str, np.ndarray] = {}
        for one in norms:
            tensors |= norm(f"{name}.{one}", width)
        tensors |= linear(f"{name}.attn.qkv", 3 * width, width, 2.0) | linear(
            f"{name}.attn.proj", width, width, 2.0
        )
        return tensors | linear(f"{name}.mlp.fc1", ffn, width) | linear(f"{name}.mlp.fc2", width, ffn)

    hidden, vision = shape.hidden, shape.vision_hidden
    tensors = linear("model.vision.patch_emb", vision, 3 * shape.patch_px**2, 2.0)
    tensors["model.vision.pos_emb"] = random.standard_normal((1, shape.patches**2, vision)) * 0.3
    for number in range(shape.vision_layers):
        tensors |= layer(f"model.vision.blocks.{number}", vision, shape.vision_ffn, ("ln1", "ln2"))
    tensors |= norm("model.vision.post_ln", vision)
    tensors |= linear("model.vision.proj_mlp.fc1", 128, 2 * vision) | linear(
        "model.vision.proj_mlp.fc2", hidden, 128, 2.0
    )
    tensors["model.text.wte"] = random.standard_normal((320, hidden)) * 0.3
    for number in range(shape.layers):
        tensors |= layer(f"model.text.blocks.{number}", hidden, 4 * hidden, ("ln",))
    tensors |= norm("model.text.post_ln", hidden, 2.0) | linear("model.text.lm_head", 320, hidden)
    tensors["model.text.lm_head.bias"][tokenizer.token_to_id(END)] += shape.end_bias
    for kind, numbers, features, bins in (("coord", 1, 32, 128), ("size", 2, 64, 256)):
        tensors[f"model.region.{kind}_features"] = random.standard_normal((numbers, features // 2)) * 2
        tensors |= linear(f"model.region.{kind}_encoder", hidden, features, 2.0)
        tensors |= linear(f"model.region.{kind}_decoder.fc1", 128, hidden)
        tensors |= linear(f"model.region.{kind}_decoder.fc2", bins, 128, 2.0)
    return {name: np.ascontiguousarray(values, np.float32) for name, values in tensors.items()}


def change_tensors(folder: Path, changes: dict[str, np.ndarray | None]) -> None:
    """Rewrite the weights with some tensors replaced, added, or (None) left out."""
    path = folder / "model.safetensors"
    tensors = {name: values.copy() for name, values in load_file(path).items()} | changes
    save_file({name: values for name, values in tensors.items() if values is not None}, path)
