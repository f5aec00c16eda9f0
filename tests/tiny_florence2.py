"""Tiny random Florence-2 checkpoints in the real layout, written by transformers itself."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

CONTROLS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
PLACES = [f"<loc_{number}>" for number in range(1000)]
OTHERS = ["<od>", "</od>", "<poly>", "</poly>", "<sep>", "<image>"]


@dataclass(frozen=True)
class TinyFlorence2:
    name: str
    image_px: int = 96
    depths: tuple[int, ...] = (1, 1, 2, 1)
    window: int = 3
    heads: int = 2
    layers: tuple[int, int] = (2, 2)
    dtype: str = "float32"
    positions: int = 256  # of tokens; no answer is longer


SHAPES = (
    TinyFlorence2("whole-windows"),
    TinyFlorence2("padded-windows", depths=(1, 2, 1, 1), window=5, layers=(1, 3)),
    TinyFlorence2("fp16-larger", image_px=128, heads=4, dtype="float16"),
)


def write_tiny_florence2(folder: Path, shape: TinyFlorence2) -> Path:
    """Write one checkpoint, with a tokenizer of bytes, and return its folder."""
    import torch
    from transformers import Florence2ForConditionalGeneration

    folder.mkdir(parents=True)
    names = _save_tokenizer(folder)
    torch.manual_seed(sum(map(ord, shape.name)))
    model = Florence2ForConditionalGeneration(_config(shape, names)).eval()
    with torch.no_grad():
        _fill(model, shape)
    model.to(getattr(torch, shape.dtype)).save_pretrained(folder)
    images = {
        "image_processor_type": "CLIPImageProcessor",
        "do_center_crop": False,
        "size": {"height": shape.image_px, "width": shape.image_px},
        "resample": 3,
        "image_mean": [0.485, 0.456, 0.406],
        "image_std": [0.229, 0.224, 0.225],
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(images))
    return folder


def write_under_original_names(folder: Path, target: Path, image_px: int) -> Path:
    """Write a checkpoint again under the first publisher's names of tensors; return its folder."""
    import numpy as np
    from safetensors.numpy import load_file, save_file

    from smallsight.families.florence2.config import read_config
    from smallsight.families.florence2.shapes import tensor_shapes_of
    from smallsight.families.florence2.weights import upstream_name

    shutil.copytree(folder, target)
    config = json.loads((folder / "config.json").read_text())
    config["vision_config"]["dim_embed"] = config["vision_config"].pop("embed_dim")
    (target / "config.json").write_text(json.dumps(config))
    held = load_file(folder / "model.safetensors")
    tensors = tensor_shapes_of(read_config(folder).sizes(image_px))
    renamed = {upstream_name(one.name, is_original=True): held[upstream_name(one.name)] for one in tensors}
    renamed["image_projection"] = np.ascontiguousarray(renamed["image_projection"].T)
    vocabulary = config["text_config"]["vocab_size"]
    renamed["language_model.final_logits_bias"] = np.zeros((1, vocabulary), np.float32)
    save_file(renamed, target / "model.safetensors")
    return target


def _save_tokenizer(folder: Path) -> list[str]:
    """Write a tokenizer of bytes and return its tokens."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    names = [*CONTROLS, *sorted(pre_tokenizers.ByteLevel.alphabet()), *PLACES, *OTHERS]
    tokenizer = Tokenizer(models.BPE(vocab={name: i for i, name in enumerate(names)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = [*CONTROLS, *PLACES, *OTHERS]
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in special])
    tokenizer.save(str(folder / "tokenizer.json"))
    return names


def _config(shape: TinyFlorence2, names: list[str]):
    from transformers import Florence2Config

    vision = {
        "depths": shape.depths,
        "window_size": shape.window,
        "embed_dim": (16, 32, 48, 64),
        "num_heads": (2, 4, 3, 4),
        "num_groups": (2, 4, 3, 8),
        "projection_dim": 64,
        "max_position_embeddings": 10,
        "max_temporal_embeddings": 8,
    }
    text = {"model_type": "bart", "vocab_size": -(-len(names) // 64) * 64, "d_model": 64}
    text |= {
        "max_position_embeddings": shape.positions,
        "pad_token_id": 1,
        "bos_token_id": 0,
        "eos_token_id": 2,
    }
    for side, layers in zip(("encoder", "decoder"), shape.layers, strict=True):
        text |= {f"{side}_layers": layers, f"{side}_attention_heads": shape.heads, f"{side}_ffn_dim": 128}
    text["decoder_start_token_id"] = 2
    return Florence2Config(vision_config=vision, text_config=text, image_token_id=names.index("<image>"))


def _fill(model, shape: TinyFlorence2) -> None:
    """Give the model random weights with which answers depend on the picture, not on the last token alone."""
    for parameter in model.parameters():
        parameter.normal_(0, 0.15 if parameter.ndim > 1 else 0.4)
    for name, parameter in model.named_parameters():
        if "encoder_attn" in name and name.endswith("weight"):
            parameter.mul_(8)
        if "shared" in name:
            parameter.mul_(0.3)
        if "norm" in name and name.endswith("weight"):
            parameter.add_(1)
        if f"decoder.layers.{shape.layers[1] - 1}.final_layer_norm" in name:
            parameter.mul_(5)  # so that the likeliest tokens stand out
