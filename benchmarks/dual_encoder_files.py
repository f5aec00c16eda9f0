"""Random SigLIPs and CLIPs in their true shapes and the real layout, with tokenizers of single letters.

What is measured is the arithmetic, which does not care what the numbers mean.

Run: python benchmarks/dual_encoder_files.py SigLIP-base-patch16-224|CLIP-ViT-B-32 FOLDER
"""

from __future__ import annotations

import argparse
import json
import string
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models

from smallsight.catalog.catalog import load_embedding_catalog
from smallsight.families.clip.graphs import NAMES as CLIP_NAMES
from smallsight.families.dual_encoder.weights import upstream_name
from smallsight.families.embedding_families import EMBEDDING_FAMILIES
from smallsight.families.siglip.graphs import NAMES as SIGLIP_NAMES

_NAMES = {"siglip": SIGLIP_NAMES, "clip": CLIP_NAMES}


def write_checkpoint(name: str, folder: Path, seed: int = 0) -> Path:
    """Write a model of the catalogue with random weights, in float32 as those are published."""
    entry = load_embedding_catalog().get(name)
    if entry is None or entry.architecture is None:
        raise SystemExit(f"{name} is not a picture embedding model of the catalogue.")
    sizes = dict(entry.architecture.sizes)
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    tensors = {}
    for tensor in EMBEDDING_FAMILIES[entry.family].tensor_shapes(sizes):
        values = random.standard_normal(tensor.shape, np.float32)
        if tensor.name.endswith("norm.weight"):
            values = 1 + 0.1 * values
        elif len(tensor.shape) > 1 and tensor.name.endswith("weight"):
            values /= np.sqrt(np.prod(tensor.shape[1:]))
        else:
            values *= 0.02
        tensors[upstream_name(tensor.name, _NAMES[entry.family])] = np.asarray(values, np.float32)
    save_file(tensors, folder / "model.safetensors")
    _write_json(folder / "config.json", _config(entry.family, sizes))
    side = {"height": sizes["image_px"], "width": sizes["image_px"]}
    size = side if entry.family == "siglip" else sizes["image_px"]
    _write_json(folder / "preprocessor_config.json", {"size": size, "crop_size": side, "resample": 3})
    _tokenizer(entry.family).save(str(folder / "tokenizer.json"))
    return folder


def _config(family: str, sizes: dict[str, Any]) -> dict[str, Any]:
    def section(part: str, heads: int) -> dict[str, Any]:
        return {
            "hidden_size": sizes[f"{part}_hidden"],
            "intermediate_size": sizes[f"{part}_ffn"],
            "num_hidden_layers": sizes[f"{part}_layers"],
            "num_attention_heads": heads,
        }

    vision = section("vision", sizes["vision_hidden"] // 64)
    vision |= {"image_size": sizes["image_px"], "patch_size": sizes["patch_px"]}
    text = section("text", sizes["text_hidden"] // 64)
    text |= {
        "vocab_size": sizes["vocabulary"],
        "max_position_embeddings": sizes["text_positions"],
        "eos_token_id": 2,
    }
    config = {"model_type": family, "vision_config": vision, "text_config": text}
    if family == "siglip":
        text["projection_size"] = sizes["dimensions"]
    else:
        config["projection_dim"] = sizes["dimensions"]
    return config


def _tokenizer(family: str) -> Tokenizer:
    letters = string.ascii_lowercase + string.digits
    if family == "siglip":
        pieces = [("<unk>", 0.0), ("</s>", 0.0), *((letter, -1.0) for letter in f"▁{letters}")]
        return Tokenizer(models.Unigram(pieces, unk_id=0))
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    ids = {token: number for number, token in enumerate(tokens)}
    return Tokenizer(models.BPE(ids, [], end_of_word_suffix="</w>", unk_token="<|endoftext|>"))


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value), "utf-8")


def main() -> None:
    """Write one checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    print(write_checkpoint(arguments.name, arguments.folder))


if __name__ == "__main__":
    main()
