"""moondream2 in torch as its publisher runs it: fused attention, a cache of keys and values, 16 bits; to
measure.

Written from the published network (vikhyat/moondream 8ac77eb). ``tests/parity`` has a slower one, made for
reading.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file
from torch.nn.functional import adaptive_avg_pool2d, gelu, layer_norm, linear, scaled_dot_product_attention

PUBLISHED = {
    "text": {"n_layers": 24, "n_heads": 32, "max_context": 2048, "dim": 2048},
    "vision": {
        "enc_patch_size": 14,
        "enc_n_layers": 27,
        "enc_n_heads": 16,
        "crop_size": 378,
        "overlap_margin": 4,
    },
}


class Moondream2:
    """A network and its cache for one picture at a time."""

    def __init__(self, folder: Path, dtype: torch.dtype) -> None:
        given = json.loads((folder / "config.json").read_text(encoding="utf-8"))["config"]
        self.text: dict[str, Any] = {**PUBLISHED["text"], **given.get("text", {})}
        self.vision: dict[str, Any] = {**PUBLISHED["vision"], **given.get("vision", {})}
        held = load_file(folder / "model.safetensors")
        self.tensors = {name.removeprefix("model."): one.to(dtype) for name, one in held.items()}
        self.dtype = dtype
        self.side = self.vision["crop_size"] // self.vision["enc_patch_size"]
        self.prefix = self.side**2 + 1
        width, heads, length = self.text["dim"], self.text["n_heads"], self.text["max_context"]
        shape = (self.text["n_layers"], 2, heads, length, width // heads)
        self.cache = torch.zeros(shape, dtype=dtype)
        half = width // heads // 2
        speeds = 10_000.0 ** (-torch.arange(0, half, 2).float() / half)
        angles = torch.arange(length).float()[:, None] * speeds
        self.cosines, self.sines = angles.cos(), angles.sin()
        self.seen = torch.ones(length, length, dtype=torch.bool).tril()
        self.seen[: self.prefix, : self.prefix] = True

    def apply(self, name: str, inputs: torch.Tensor) -> torch.Tensor:
        """Run a linear layer."""
        return linear(inputs, self.tensors[f"{name}.weight"], self.tensors[f"{name}.bias"])

    def norm(self, name: str, inputs: torch.Tensor) -> torch.Tensor:
        """Normalise."""
        return layer_norm(
            inputs, inputs.shape[-1:], self.tensors[f"{name}.weight"], self.tensors[f"{name}.bias"]
        )

    def feed_forward(self, name: str, inputs: torch.Tensor) -> torch.Tensor:
        """Run two linear layers."""
        return self.apply(f"{name}.fc2", gelu(self.apply(f"{name}.fc1", inputs), approximate="tanh"))

    def look(self, crops: list[np.ndarray]) -> torch.Tensor:
        """Run the tower over crops at once: [crops, patches, width]."""
        patch, side = self.vision["enc_patch_size"], self.side
        pixels = (torch.from_numpy(np.stack(crops)).to(self.dtype) / 255 - 0.5) / 0.5
        squares = pixels.reshape(len(crops), side, patch, side, patch, 3).permute(0, 1, 3, 5, 2, 4)
        hidden = self.apply("vision.patch_emb", squares.reshape(len(crops), side * side, -1))
        hidden = hidden + self.tensors["vision.pos_emb"]
        heads = self.vision["enc_n_heads"]
        for number in range(self.vision["enc_n_layers"]):
            name = f"vision.blocks.{number}"
            joined = self.apply(f"{name}.attn.qkv", self.norm(f"{name}.ln1", hidden))
            parts = joined.reshape(*joined.shape[:2], 3, heads, -1).permute(2, 0, 3, 1, 4)
            attended = scaled_dot_product_attention(parts[0], parts[1], parts[2])
            attended = attended.transpose(1, 2).flatten(2)
            hidden = hidden + self.apply(f"{name}.attn.proj", attended)
            hidden = hidden + self.feed_forward(f"{name}.mlp", self.norm(f"{name}.ln2", hidden))
        return self.norm("vision.post_ln", hidden)

    def image_tokens(self, image: Image.Image, rows: int, columns: int) -> torch.Tensor:
        """Look at the whole and at rows x columns crops, and make tokens of them."""
        crop, margin, side = self.vision["crop_size"], self.vision["overlap_margin"], self.side
        overlap = 2 * margin * self.vision["enc_patch_size"]
        step, inner = crop - overlap, side - 2 * margin
        whole = np.asarray(image.resize((crop, crop), Image.Resampling.LANCZOS))
        size = (columns * step + overlap, rows * step + overlap)
        large = np.asarray(image.resize(size, Image.Resampling.LANCZOS))
        places = [(row, column) for row in range(rows) for column in range(columns)]
        cut = [large[r * step : r * step + crop, c * step : c * step + crop] for r, c in places]
        features = self.look([whole, *cut])
        stitched = features.new_zeros(
            rows * inner + 2 * margin, columns * inner + 2 * margin, features.shape[2]
        )
        for (row, column), part in zip(places, features[1:], strict=True):
            top, left = (margin if row else 0), (margin if column else 0)
            bottom, right = (
                side - (margin if at < count - 1 else 0) for at, count in ((row, rows), (column, columns))
            )
            kept = part.reshape(side, side, -1)[top:bottom, left:right]
            y, x = row * inner, column * inner
            stitched[y + top : y + bottom, x + left : x + right] = kept
        pooled = adaptive_avg_pool2d(stitched.permute(2, 0, 1), (side, side)).flatten(1).T
        return self.feed_forward("vision.proj_mlp", torch.cat([features[0], pooled], dim=1))

    def turn(self, heads: torch.Tensor, position: int) -> torch.Tensor:
        """Rotate the first half of each head by its position."""
        quarter = heads.shape[-1] // 4
        places = slice(position, position + heads.shape[1])
        cosines, sines = self.cosines[places], self.sines[places]
        real, imaginary = heads[..., :quarter].float(), heads[..., quarter : 2 * quarter].float()
        turned = (real * cosines - imaginary * sines, real * sines + imaginary * cosines)
        return torch.cat([*(one.to(heads.dtype) for one in turned), heads[..., 2 * quarter :]], dim=-1)

    def think(self, inputs: torch.Tensor, position: int) -> torch.Tensor:
        """Run the decoder over tokens from a position on, storing their keys and values."""
        hidden, heads = inputs, self.text["n_heads"]
        end = position + len(inputs)
        seen = self.seen[position:end, :end]
        for number in range(self.text["n_layers"]):
            name = f"text.blocks.{number}"
            normed = self.norm(f"{name}.ln", hidden)
            joined = self.apply(f"{name}.attn.qkv", normed)
            parts = joined.reshape(len(inputs), 3, heads, -1).permute(1, 2, 0, 3)
            query, key = self.turn(parts[0], position), self.turn(parts[1], position)
            self.cache[number, 0, :, position:end] = key
            self.cache[number, 1, :, position:end] = parts[2]
            keys, values = self.cache[number, :, :, :end]
            attended = scaled_dot_product_attention(query, keys, values, attn_mask=seen)
            attended = self.apply(f"{name}.attn.proj", attended.transpose(0, 1).flatten(1))
            hidden = hidden + attended + self.feed_forward(f"{name}.mlp", normed)
        return hidden

    def embed(self, ids: list[int]) -> torch.Tensor:
        """Look tokens up."""
        return self.tensors["text.wte"][torch.tensor(ids)]

    def likeliest(self, hidden: torch.Tensor) -> int:
        """Return the next token."""
        return int(self.apply("text.lm_head", self.norm("text.post_ln", hidden[-1])).argmax())
