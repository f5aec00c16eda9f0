"""Runs moondream2's vision tower on one crop at a time and joins the crops into a picture's image tokens."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from smallsight.engine.decoding.feature_cache import FeatureCache
from smallsight.families.messages import Tile
from smallsight.families.moondream2.crops import CroppedPicture
from smallsight.families.moondream2.stitching import pool, stitch
from smallsight.graph.compiled import CompiledNetwork


class CropRunner:
    """Inference requests for the compiled tower and connector. Used by one thread at a time."""

    def __init__(
        self,
        networks: tuple[CompiledNetwork, CompiledNetwork],
        to_patches: Callable[[NDArray[np.uint8]], NDArray[np.float32]],
        cache: FeatureCache,
        *,
        margin_patches: int,
        on_packed: Callable[[], None] | None = None,
    ) -> None:
        """``on_packed`` is called after the first picture, when the runtime has copied the weights."""
        self._networks = networks
        self._tower, self._connector = (one.model.create_infer_request() for one in networks)
        self._to_patches = to_patches
        self._cache = cache
        self._margin = margin_patches
        self._on_packed = on_packed
        self._partial: tuple[bytes, list[NDArray[np.float32]]] = (b"", [])

    def known(self, tile: Tile) -> NDArray[np.float32] | None:
        """Return a picture's cached image tokens, or None."""
        return self._cache.find(tile.digest)

    def encode(self, tile: Tile) -> NDArray[np.float32] | None:
        """Encode the next crop; after the last, return the image tokens, float32 [tokens, text hidden].

        Returns None while crops remain. Encoding another picture in between starts over. Raises TypeError
        for a tile without crops.
        """
        if not isinstance(tile, CroppedPicture):
            raise TypeError(f"A {type(tile).__name__} has no crops.")
        if self._partial[0] != tile.digest:
            self._partial = (tile.digest, [])
        seen = self._partial[1]
        side_px = tile.pixels_HWC.shape[1]
        begin = len(seen) * side_px
        self._tower.infer([self._to_patches(tile.pixels_HWC[begin : begin + side_px])])
        seen.append(self._tower.get_output_tensor(0).data[0].copy())
        if len(seen) < tile.num_crops:
            return None
        self._partial = (b"", [])
        features_TD = self._connect(seen, tile)
        self._cache.remember(tile.digest, features_TD)
        if self._on_packed is not None:
            self._on_packed()
            self._on_packed = None
        return features_TD

    def _connect(self, seen: list[NDArray[np.float32]], tile: CroppedPicture) -> NDArray[np.float32]:
        """Join the features of the whole picture with those of its crops, pooled to the same grid."""
        whole = seen[0]
        side = round(len(whole) ** 0.5)
        joined = whole
        if len(seen) > 1:
            joined = pool(stitch(seen[1:], tile.rows, tile.columns, side, self._margin), side)
        self._connector.infer({"whole": whole, "stitched": joined})
        features_TD: NDArray[np.float32] = self._connector.get_output_tensor(0).data.copy()
        return features_TD
