"""Copies a model folder with weights that were broken on purpose, for answers that are really gibberish.

Each kind of damage happens to models in practice: a wrong sign or scale in a conversion, a layer that was not
loaded, rows in another order, noise of a quantisation that is too coarse.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

__all__ = ["DAMAGES", "Damage", "write_broken"]

Weights = dict[str, np.ndarray]
Damage = Callable[[Weights, np.random.Generator], None]

_HEADER_BYTES = 8
_TEXT = "text_model.layers"


def write_broken(source: Path, target: Path, damage: Damage, seed: int = 0) -> Path:
    """Write the folder ``source`` to ``target`` with damaged weights, stored as fp32; returns ``target``."""
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("*.safetensors"))
    weights = _read(source / "model.safetensors")
    damage(weights, np.random.default_rng(seed))
    save_file(weights, target / "model.safetensors", metadata={"format": "pt"})
    return target


def flip_signs(share: float, part: str = "") -> Damage:
    """Flip the sign of a random share of the weights in matrices whose name holds ``part``."""

    def damage(weights: Weights, random: np.random.Generator) -> None:
        for name, values in _matrices(weights, part).items():
            weights[name] = np.where(random.random(values.shape) < share, -values, values)

    return damage


def scale(factor: float, part: str) -> Damage:
    """Multiply the matrices whose name holds ``part``."""

    def damage(weights: Weights, random: np.random.Generator) -> None:  # noqa: ARG001
        for name, values in _matrices(weights, part).items():
            weights[name] = values * np.float32(factor)

    return damage


def shuffle_rows(part: str) -> Damage:
    """Put the rows of the matrices whose name holds ``part`` into a random order."""

    def damage(weights: Weights, random: np.random.Generator) -> None:
        for name, values in _matrices(weights, part).items():
            weights[name] = np.ascontiguousarray(values[random.permutation(len(values))])

    return damage


def add_noise(share: float, part: str = "") -> Damage:
    """Add normal noise of a share of each matrix's own spread."""

    def damage(weights: Weights, random: np.random.Generator) -> None:
        for name, values in _matrices(weights, part).items():
            noise = random.standard_normal(values.shape, dtype=np.float32)
            weights[name] = values + noise * np.float32(share * values.std())

    return damage


DAMAGES: Mapping[str, Damage] = {
    "1 % of all signs flipped": flip_signs(0.01),
    "5 % of all signs flipped": flip_signs(0.05),
    "5 % of the decoder's signs flipped": flip_signs(0.05, _TEXT),
    "20 % of the decoder's signs flipped": flip_signs(0.2, _TEXT),
    "decoder layer 1 times 4": scale(4, f"{_TEXT}.1."),
    "decoder layer 3 times 4": scale(4, f"{_TEXT}.3."),
    "decoder layer 0 zero": scale(0, f"{_TEXT}.0."),
    "decoder layer 2 zero": scale(0, f"{_TEXT}.2."),
    "rows of output projections shuffled": shuffle_rows("self_attn.o_proj"),
    "rows of down projections shuffled": shuffle_rows("mlp.down_proj"),
    "rows of the embeddings shuffled": shuffle_rows("embed_tokens"),
    "noise of 60 % in the decoder": add_noise(0.6, _TEXT),
    "noise of 100 % in the decoder": add_noise(1.0, _TEXT),
}


def _matrices(weights: Weights, part: str) -> Weights:
    return {name: values for name, values in weights.items() if values.ndim == 2 and part in name}


def _read(path: Path) -> Weights:
    """Return all tensors as fp32; numpy has no bf16, so safetensors cannot read them itself."""
    stored = path.read_bytes()
    begin = _HEADER_BYTES + int.from_bytes(stored[:_HEADER_BYTES], "little")
    header = json.loads(stored[_HEADER_BYTES:begin])
    header.pop("__metadata__", None)
    found = {}
    for name, entry in header.items():
        first, last = entry["data_offsets"]
        raw = np.frombuffer(stored[begin + first : begin + last], np.uint8)
        found[name] = _as_fp32(raw, entry["dtype"]).reshape(entry["shape"])
    return found


def _as_fp32(raw: np.ndarray, dtype: str) -> np.ndarray:
    if dtype == "BF16":
        return (raw.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
    return raw.view({"F32": np.float32, "F16": np.float16}[dtype]).astype(np.float32)
