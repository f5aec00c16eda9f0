"""moondream2 of 2025-01-09 in plain torch, to compare with: slow, without any cache, one request at a time.

Written from the published network (vikhyat/moondream 8ac77eb), and imports nothing of Smallsight. Everything
is float32; every answer and every place has a pass over the whole sequence. Three things differ from the
publisher's code on purpose: Pillow's LANCZOS resizes instead of libvips, a long strip is cut into no more
crops than `max_crops`, and transparency lies on white instead of being dropped.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch.nn.functional import adaptive_avg_pool2d, gelu


class Moondream2:
    """One checkpoint."""

    def __init__(self, folder: Path) -> None:
        described = json.loads((folder / "config.json").read_text())["config"]
        self.text, self.vision = described["text"], described["vision"]
        self.tokens = described["tokenizer"]
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tensors: dict[str, torch.Tensor] = {}
        for path in sorted(folder.glob("*.safetensors")):
            self.tensors |= {name: values.float() for name, values in load_file(path).items()}
        self.side = self.vision["crop_size"] // self.vision["enc_patch_size"]
        self.seen: dict[bytes, torch.Tensor] = {}

    # ------------------------------------------------------------------------------------------- small parts

    def apply(self, name: str, inputs: torch.Tensor) -> torch.Tensor:
        return inputs @ self.tensors[f"model.{name}.weight"].T + self.tensors[f"model.{name}.bias"]

    def norm(self, name: str, inputs: torch.Tensor) -> torch.Tensor:
        mean = inputs.mean(-1, keepdim=True)
        variance = ((inputs - mean) ** 2).mean(-1, keepdim=True)
        scaled = (inputs - mean) / torch.sqrt(variance + 1e-5)
        return scaled * self.tensors[f"model.{name}.weight"] + self.tensors[f"model.{name}.bias"]

    def feed_forward(self, name: str, inputs: torch.Tensor) -> torch.Tensor:
        return self.apply(f"{name}.fc2", gelu(self.apply(f"{name}.fc1", inputs), approximate="tanh"))

    def attend(self, name: str, inputs: torch.Tensor, heads: int, turn=None, visible=None) -> torch.Tensor:
        length, width = inputs.shape
        parts = self.apply(f"{name}.qkv", inputs).reshape(length, 3, heads, width // heads)
        query, key, value = parts.permute(1, 2, 0, 3)  # each [heads, length, head]
        if turn is not None:
            query, key = turn(query), turn(key)
        scores = query @ key.transpose(1, 2) / math.sqrt(width // heads)
        if visible is not None:
            scores = scores.masked_fill(~visible, -torch.inf)
        seen = (scores.softmax(-1) @ value).permute(1, 0, 2).reshape(length, width)
        return self.apply(f"{name}.proj", seen)

    # ------------------------------------------------------------------------------------------ the picture

    def grid(self, width: int, height: int) -> tuple[int, int]:
        """How many crops below and beside one another."""
        margins = 2 * self.vision["overlap_margin"] * self.vision["enc_patch_size"]
        step, limit = self.vision["crop_size"] - margins, self.vision["max_crops"]
        height, width = height - margins, width - margins
        if min(height, width) <= step:
            return 1, 1
        needed_down, needed_across = -(-height // step), -(-width // step)
        needed = needed_down * needed_across
        if needed > limit:
            down = max(1, int(needed_down * math.sqrt(limit / needed)))
            across = max(1, int(needed_across * math.sqrt(limit / needed)))
            if down * across > limit:  # a strip of one row or column
                return (limit, 1) if down > across else (1, limit)
            return down, across
        down = max(needed_down, int(math.sqrt(limit * height / width)))
        across = max(needed_across, int(math.sqrt(limit * width / height)))
        if down * across > limit:
            return (down, max(1, limit // down)) if across > down else (max(1, limit // across), across)
        return down, across

    def look(self, pixels: np.ndarray) -> torch.Tensor:
        """The tower over one crop: [side * side, width]."""
        patch = self.vision["enc_patch_size"]
        scaled = (torch.from_numpy(pixels.copy()).float() / 255 - 0.5) / 0.5
        squares = [
            scaled[row * patch : (row + 1) * patch, column * patch : (column + 1) * patch].permute(2, 0, 1)
            for row in range(self.side)
            for column in range(self.side)
        ]
        hidden = self.apply("vision.patch_emb", torch.stack(squares).flatten(1))
        hidden = hidden + self.tensors["model.vision.pos_emb"][0]
        for number in range(self.vision["enc_n_layers"]):
            name = f"vision.blocks.{number}"
            normed = self.norm(f"{name}.ln1", hidden)
            hidden = hidden + self.attend(f"{name}.attn", normed, self.vision["enc_n_heads"])
            hidden = hidden + self.feed_forward(f"{name}.mlp", self.norm(f"{name}.ln2", hidden))
        return self.norm("vision.post_ln", hidden)

    def image_tokens(self, image: Image.Image) -> torch.Tensor:
        """What a picture becomes: [side * side, text width]; looked at once."""
        rgb = image.convert("RGBA")
        rgb = Image.alpha_composite(Image.new("RGBA", rgb.size, "white"), rgb).convert("RGB")
        key = repr(rgb.size).encode() + rgb.tobytes()
        if key not in self.seen:
            self.seen[key] = self.encode(rgb)
        return self.seen[key]

    def encode(self, rgb: Image.Image) -> torch.Tensor:
        down, across = self.grid(*rgb.size)
        crop, margin = self.vision["crop_size"], self.vision["overlap_margin"]
        overlap = 2 * margin * self.vision["enc_patch_size"]
        step = crop - overlap
        large = rgb.resize((across * step + overlap, down * step + overlap), Image.Resampling.LANCZOS)
        whole = self.look(np.asarray(rgb.resize((crop, crop), Image.Resampling.LANCZOS)))
        inner = self.side - 2 * margin
        stitched = torch.zeros(down * inner + 2 * margin, across * inner + 2 * margin, whole.shape[1])
        for row in range(down):
            for column in range(across):
                box = (column * step, row * step, column * step + crop, row * step + crop)
                part = self.look(np.asarray(large.crop(box))).reshape(self.side, self.side, -1)
                # Later crops would overwrite the margins that they share: each keeps its own half only.
                top, left = (margin if row else 0), (margin if column else 0)
                bottom = self.side - (margin if row < down - 1 else 0)
                right = self.side - (margin if column < across - 1 else 0)
                y, x = row * inner, column * inner
                stitched[y + top : y + bottom, x + left : x + right] = part[top:bottom, left:right]
        pooled = adaptive_avg_pool2d(stitched.permute(2, 0, 1)[None], (self.side, self.side))[0]
        joined = torch.cat([whole, pooled.flatten(1).T], dim=1)
        return self.feed_forward("vision.proj_mlp", joined)

    # ------------------------------------------------------------------------------------------- the words

    def turn(self, heads: torch.Tensor) -> torch.Tensor:
        """Rotate the first half of every head by its position; a pair is (i, i + quarter)."""
        length, size = heads.shape[1:]
        half, quarter = size // 2, size // 4
        speeds = 10_000.0 ** (-torch.arange(quarter).float() * 2 / half)
        angles = torch.arange(length).float()[:, None] * speeds
        real, imaginary = heads[..., :quarter], heads[..., quarter:half]
        turned_real = real * angles.cos() - imaginary * angles.sin()
        turned_imaginary = real * angles.sin() + imaginary * angles.cos()
        pairs = torch.stack([turned_real, turned_imaginary], dim=-1).flatten(-2)
        return torch.cat([pairs, heads[..., half:]], dim=-1)

    def embed(self, ids: list[int]) -> torch.Tensor:
        return self.tensors["model.text.wte"][torch.tensor(ids, dtype=torch.int64)]

    def think(self, inputs: torch.Tensor) -> torch.Tensor:
        """The decoder over a whole sequence, before its last norm."""
        visible = torch.ones(len(inputs), len(inputs)).tril().bool()
        visible[: self.text["prefix_attn"], : self.text["prefix_attn"]] = True
        hidden = inputs
        for number in range(self.text["n_layers"]):
            name = f"text.blocks.{number}"
            normed = self.norm(f"{name}.ln", hidden)
            attended = self.attend(f"{name}.attn", normed, self.text["n_heads"], self.turn, visible)
            hidden = hidden + attended + self.feed_forward(f"{name}.mlp", normed)
        return hidden

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        return self.apply("text.lm_head", self.norm("text.post_ln", hidden))

    def likeliest(self, hidden: torch.Tensor) -> int:
        return int(self.logits(hidden[-1]).argmax())

    def begin(self, image: Image.Image, asked: list[int]) -> torch.Tensor:
        first = self.embed([self.tokens["bos_id"]])
        return torch.cat([first, self.image_tokens(image), self.embed(asked)])

    def asked(self, kind: str, words: str) -> list[int]:
        """Token ids of a question, of a thing to find, or of a caption of some length."""
        templates = self.tokens["templates"]
        if kind == "caption":
            return templates["caption"][words]
        return [*templates[kind]["prefix"], *self.tokenizer.encode(words).ids, *templates[kind]["suffix"]]

    @torch.no_grad()
    def likeliest_along(self, image: Image.Image, kind: str, words: str, said: list[int]) -> list[int]:
        """The likeliest token at each place of an answer, given the ones before it.

        They are the answer itself where that is the greedy one.
        """
        return self.distributions_along(image, kind, words, said).argmax(-1).tolist()

    @torch.no_grad()
    def distributions_along(self, image: Image.Image, kind: str, words: str, said: list[int]) -> torch.Tensor:
        """The logarithms of the probabilities before each token of an answer, [tokens, vocabulary].

        No token sees those after it, so one pass is enough.
        """
        hidden = self.think(torch.cat([self.begin(image, self.asked(kind, words)), self.embed(said[:-1])]))
        return torch.stack([self.logits(one) for one in hidden[-len(said) :]]).log_softmax(-1)

    # ------------------------------------------------------------------------------------------- the places

    def read(self, kind: str, hidden: torch.Tensor) -> list[float]:
        """One coordinate, or a width and a height."""
        scores = self.feed_forward(f"region.{kind}_decoder", hidden[-1])
        rows = scores.reshape(1 if kind == "coord" else 2, -1)
        return [int(row.argmax()) / len(row) for row in rows]

    def write(self, kind: str, numbers: list[float]) -> torch.Tensor:
        angles = (2 * math.pi * torch.tensor(numbers)) @ self.tensors[f"model.region.{kind}_features"]
        return self.apply(f"region.{kind}_encoder", torch.cat([angles.cos(), angles.sin()]))[None]

    @torch.no_grad()
    def places(self, image: Image.Image, kind: str, words: str, max_places: int) -> list[tuple[float, ...]]:
        """Points (x, y) or boxes (left, top, right, bottom), in parts of the picture's sides."""
        inputs, found = self.begin(image, self.asked(kind, words)), []
        hidden = self.think(inputs)
        while len(found) < max_places and self.likeliest(hidden) != self.tokens["eos_id"]:
            numbers: list[float] = []
            for part in ("coord", "coord", "size")[: 3 if kind == "detect" else 2]:
                read = self.read(part, hidden)
                numbers += read
                inputs = torch.cat([inputs, self.write(part, read)])
                hidden = self.think(inputs)
            if kind == "point":
                found.append(tuple(numbers))
            else:
                x, y, width, height = numbers
                found.append((x - width / 2, y - height / 2, x + width / 2, y + height / 2))
        return found
