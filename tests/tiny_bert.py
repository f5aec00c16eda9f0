"""Writes small BERT text embedders with random weights to disk, in Hugging Face layout."""

from __future__ import annotations

import json
import string
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
WORDS = ("the", "cat", "dog", "sat", "on", "a", "mat", "meme", "error", "über", "猫", "и", "!", ".", "'")
VOCABULARY = (*SPECIAL, *WORDS, *string.ascii_lowercase[1:], *(f"##{c}" for c in string.ascii_lowercase))


@dataclass(frozen=True)
class Shape:
    hidden: int = 32
    heads: int = 4
    layers: int = 2
    wide: int = 64
    positions: int = 40


def write_tiny_bert(folder: Path, shape: Shape = Shape(), seed: int = 0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    write_config(folder, shape)
    write_tokenizer(folder)
    save_file(random_tensors(shape, seed), folder / "model.safetensors")
    return folder


def write_config(folder: Path, shape: Shape = Shape(), **changes: object) -> None:
    config = {
        "model_type": "bert",
        "hidden_act": "gelu",
        "vocab_size": len(VOCABULARY),
        "hidden_size": shape.hidden,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "intermediate_size": shape.wide,
        "max_position_embeddings": shape.positions,
        "type_vocab_size": 2,
        "layer_norm_eps": 1e-12,
    }
    (folder / "config.json").write_text(json.dumps(config | changes), "utf-8")


def write_tokenizer(folder: Path) -> None:
    vocabulary = {token: number for number, token in enumerate(VOCABULARY)}
    described = {
        "version": "1.0",
        "truncation": {"max_length": 3, "strategy": "LongestFirst", "stride": 0},
        "padding": {"strategy": {"Fixed": 128}, "pad_id": 0, "pad_token": "[PAD]"},
        "added_tokens": [{"id": vocabulary[name], "content": name, "special": True} for name in SPECIAL],
        "normalizer": {"type": "BertNormalizer", "lowercase": True, "strip_accents": None},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "vocab": vocabulary},
    }
    (folder / "tokenizer.json").write_text(json.dumps(described), "utf-8")


def random_tensors(shape: Shape, seed: int = 0) -> dict[str, np.ndarray]:
    """Every tensor that BertModel saves, all of them random: biases and norms too."""
    generator = np.random.default_rng(seed)

    def linear(name: str, outputs: int, inputs: int) -> dict[str, np.ndarray]:
        return {
            f"{name}.weight": generator.standard_normal((outputs, inputs)) * 1.5 / inputs**0.5,
            f"{name}.bias": generator.standard_normal(outputs) * 0.3,
        }

    def norm(name: str) -> dict[str, np.ndarray]:
        return {
            f"{name}.weight": 1 + generator.standard_normal(shape.hidden) * 0.2,
            f"{name}.bias": generator.standard_normal(shape.hidden) * 0.2,
        }

    tensors = norm("embeddings.LayerNorm") | linear("pooler.dense", shape.hidden, shape.hidden)
    tables = {"word": len(VOCABULARY), "position": shape.positions, "token_type": 2}
    for table, rows in tables.items():
        tensors[f"embeddings.{table}_embeddings.weight"] = generator.standard_normal((rows, shape.hidden))
    for number in range(shape.layers):
        layer = f"encoder.layer.{number}"
        for part in ("query", "key", "value"):
            tensors |= linear(f"{layer}.attention.self.{part}", shape.hidden, shape.hidden)
        tensors |= linear(f"{layer}.attention.output.dense", shape.hidden, shape.hidden)
        tensors |= norm(f"{layer}.attention.output.LayerNorm")
        tensors |= linear(f"{layer}.intermediate.dense", shape.wide, shape.hidden)
        tensors |= linear(f"{layer}.output.dense", shape.hidden, shape.wide)
        tensors |= norm(f"{layer}.output.LayerNorm")
    return {name: np.ascontiguousarray(values, np.float32) for name, values in tensors.items()}


def change_tensors(folder: Path, changes: dict[str, np.ndarray | None]) -> None:
    """Rewrite the weights with some tensors replaced, added, or (None) left out."""
    path = folder / "model.safetensors"
    tensors = {name: values.copy() for name, values in load_file(path).items()} | changes
    save_file({name: values for name, values in tensors.items() if values is not None}, path)
