"""Runs the vision tower on one tile at a time: larger batches need more memory and are no faster on a CPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from smallsight.engine.decoding.feature_cache import FeatureCache
from smallsight.families.messages import Tile
from smallsight.graph.compiled import CompiledNetwork


class TileRunner:
    """An inference request for a compiled tower, with a feature cache. Used by one thread at a time."""

    tiles_at_once = 1

    def __init__(
        self,
        network: CompiledNetwork,
        to_patches: Callable[[NDArray[np.uint8]], NDArray[np.float32]],
        cache: FeatureCache,
        on_packed: Callable[[], None] | None = None,
    ) -> None:
        """``on_packed`` is called after the first tile, when the runtime has copied the weights."""
        self._network = network
        self._request = network.model.create_infer_request()
        self._to_patches = to_patches
        self._cache = cache
        self._on_packed = on_packed

    def known(self, tile: Tile) -> NDArray[np.float32] | None:
        """Return a tile's cached image tokens, or None."""
        return self._cache.find(tile.digest)

    def encode(self, tiles: Sequence[Tile]) -> list[NDArray[np.float32]]:
        """Return the image tokens of each tile, float32 [tokens, text hidden]."""
        return [self._encode(tile) for tile in tiles]

    def _encode(self, tile: Tile) -> NDArray[np.float32]:
        self._request.infer([self._to_patches(tile.pixels_HWC)])
        features_TD: NDArray[np.float32] = self._request.get_output_tensor(0).data[0].copy()
        self._cache.remember(tile.digest, features_TD)
        if self._on_packed is not None:
            self._on_packed()
            self._on_packed = None
        return features_TD
