"""Runs moondream2's vision tower crop by crop and joins the crops into a picture's image tokens.

The networks determine the runtime.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from smallsight.engine.decoding.feature_cache import FeatureCache
from smallsight.families.messages import Tile
from smallsight.families.moondream2.crops import CroppedPicture
from smallsight.families.moondream2.stitching import pool, stitch


class CropNetworks(Protocol):
    """moondream2's vision tower and connector. Used by one thread at a time."""

    def encode_crops(self, patches_NPC: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the features of crops, float32 [crops, patches, vision hidden]."""
        ...

    def connect(self, whole_PD: NDArray[np.float32], stitched_PD: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return image tokens, float32 [patches, text hidden], from features of the whole and its crops."""
        ...


class CropRunner:
    """The tower's work on one picture at a time. Used by one thread at a time."""

    tiles_at_once = 1

    def __init__(
        self,
        networks: CropNetworks,
        to_patches: Callable[[NDArray[np.uint8]], NDArray[np.float32]],
        cache: FeatureCache,
        *,
        margin_patches: int,
        crops_at_once: int = 1,
    ) -> None:
        self._networks = networks
        self._to_patches = to_patches
        self._cache = cache
        self._margin = margin_patches
        self._at_once = crops_at_once
        self._partial: tuple[bytes, list[NDArray[np.float32]]] = (b"", [])

    def known(self, tile: Tile) -> NDArray[np.float32] | None:
        """Return a picture's cached image tokens, or None."""
        return self._cache.find(tile.digest)

    def encode(self, tiles: Sequence[Tile]) -> list[NDArray[np.float32]] | None:
        """Encode the next crops of one tile; after its last, return its image tokens, [tokens, text hidden].

        Returns None while crops remain. Encoding another picture in between starts over. Raises TypeError
        for a tile without crops.
        """
        (tile,) = tiles
        if not isinstance(tile, CroppedPicture):
            raise TypeError(f"A {type(tile).__name__} has no crops.")
        if self._partial[0] != tile.digest:
            self._partial = (tile.digest, [])
        seen = self._partial[1]
        side_px = tile.pixels_HWC.shape[1]
        numbers = range(len(seen), min(len(seen) + self._at_once, tile.num_crops))
        crops = (tile.pixels_HWC[number * side_px : (number + 1) * side_px] for number in numbers)
        seen.extend(self._networks.encode_crops(np.concatenate([self._to_patches(crop) for crop in crops])))
        if len(seen) < tile.num_crops:
            return None
        self._partial = (b"", [])
        features_TD = self._connect(seen, tile)
        self._cache.remember(tile.digest, features_TD)
        return [features_TD]

    def _connect(self, seen: list[NDArray[np.float32]], tile: CroppedPicture) -> NDArray[np.float32]:
        """Join the features of the whole picture with those of its crops, pooled to the same grid."""
        whole = seen[0]
        side = round(len(whole) ** 0.5)
        joined = whole
        if len(seen) > 1:
            joined = pool(stitch(seen[1:], tile.rows, tile.columns, side, self._margin), side)
        return self._networks.connect(whole, joined)
