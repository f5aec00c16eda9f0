"""SmolVLM's vision tower and connector in numpy: the reference for the compiled ones.

Source: transformers 5.x, models/idefics3.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from smallsight.engine.decoding.feature_cache import FeatureCache
from smallsight.engine.reference.products import DenseWeights, softmax
from smallsight.families.messages import Tile
from smallsight.families.smolvlm.config import SmolVLMConfig
from smallsight.quant.forms import Stored


class SigLIPReference:
    """Implements ``decoding.runner.TileEncoder``."""

    tiles_at_once = 1

    def __init__(
        self,
        config: SmolVLMConfig,
        stored: Mapping[str, Stored],
        to_patches: Callable[[NDArray[np.uint8]], NDArray[np.float32]],
        cache: FeatureCache,
    ) -> None:
        self._config = config
        self._weights = DenseWeights(stored)
        self._to_patches = to_patches
        self._cache = cache

    def known(self, tile: Tile) -> NDArray[np.float32] | None:
        """Return a tile's cached image tokens, or None."""
        return self._cache.find(tile.digest)

    def encode(self, tiles: Sequence[Tile]) -> list[NDArray[np.float32]]:
        """Return the image tokens of each tile, float32 [tokens, text hidden]."""
        return [self._encode(tile) for tile in tiles]

    def _encode(self, tile: Tile) -> NDArray[np.float32]:
        features_TD = self._connect(self._tower(self._to_patches(tile.pixels_HWC)[0]))
        self._cache.remember(tile.digest, features_TD)
        return features_TD

    def _tower(self, patches_PC: NDArray[np.float32]) -> NDArray[np.float32]:
        hidden_PD = self._weights.linear("vision.patches", patches_PC)
        hidden_PD = hidden_PD + self._weights.vector("vision.positions")
        for layer in range(self._config.vision.layers):
            name = f"vision.layers.{layer}"
            attended = self._attend(name, self._norm(f"{name}.attention_norm", hidden_PD))
            hidden_PD = hidden_PD + self._weights.linear(f"{name}.output", attended)
            widened = self._weights.linear(f"{name}.ffn_up", self._norm(f"{name}.ffn_norm", hidden_PD))
            hidden_PD = hidden_PD + self._weights.linear(f"{name}.ffn_down", _gelu(widened))
        return self._norm("vision.norm", hidden_PD)

    def _attend(self, name: str, hidden_PD: NDArray[np.float32]) -> NDArray[np.float32]:
        """Every patch attends to every other."""
        heads = self._config.vision.heads
        joined = self._weights.linear(f"{name}.attention", hidden_PD)
        query, key, value = (
            part.reshape(len(part), heads, -1).transpose(1, 0, 2) for part in np.split(joined, 3, axis=1)
        )
        scores = query @ key.transpose(0, 2, 1) * np.float32(query.shape[2] ** -0.5)
        seen_HPE: NDArray[np.float32] = softmax(scores) @ value
        joined_PD: NDArray[np.float32] = seen_HPE.transpose(1, 0, 2).reshape(len(hidden_PD), -1)
        return joined_PD

    def _connect(self, hidden_PD: NDArray[np.float32]) -> NDArray[np.float32]:
        """Pixel shuffle: concatenate squares of neighbouring patches, row by row, and project them."""
        factor = self._config.pixel_shuffle
        side = self._config.vision.patches_per_side // factor
        squares = hidden_PD.reshape(side, factor, side, factor, -1).transpose(0, 2, 1, 3, 4)
        return self._weights.linear("connector", squares.reshape(side * side, -1))

    def _norm(self, name: str, hidden_PD: NDArray[np.float32]) -> NDArray[np.float32]:
        centred = hidden_PD - hidden_PD.mean(axis=1, keepdims=True)
        variance = np.square(centred).mean(axis=1, keepdims=True)
        normalised = centred / np.sqrt(variance + self._config.vision.norm_epsilon)
        scale_D, shift_D = self._weights.vector(f"{name}.weight"), self._weights.vector(f"{name}.bias")
        result_PD: NDArray[np.float32] = normalised * scale_D + shift_D
        return result_PD


def _gelu(values: NDArray[np.float32]) -> NDArray[np.float32]:
    inner = np.float32(np.sqrt(2 / np.pi)) * (values + np.float32(0.044715) * values**3)
    result: NDArray[np.float32] = np.float32(0.5) * values * (1 + np.tanh(inner))
    return result
