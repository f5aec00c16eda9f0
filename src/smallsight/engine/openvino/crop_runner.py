"""Runs moondream2's tower on one crop at a time, and makes a picture's tokens of all its crops."""

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
    """One request of a compiled tower and connector, with the features they made. Used by one thread at a
    time.
    """

    def __init__(
        self,
        networks: tuple[CompiledNetwork, CompiledNetwork],
        to_patches: Callable[[NDArray[np.uint8]], NDArray[np.float32]],
        cache: FeatureCache,
        *,
        margin_patches: int,
        on_packed: Callable[[], None] | None = None,
    ) -> None:
        """``on_packed`` is called after the first crops, when the runtime has its own copy of the weights."""
        self._networks = networks
        self._tower, self._connector = (one.model.create_infer_request() for one in networks)
        self._to_patches = to_patches
        self._cache = cache
        self._margin = margin_patches
        self._on_packed = on_packed
        self._begun: tuple[bytes, list[NDArray[np.float32]]] = (b"", [])

    def known(self, tile: Tile) -> NDArray[np.float32] | None:
        """Return the image tokens of a picture encoded before, or None."""
        return self._cache.find(tile.digest)

    def encode(self, tile: Tile) -> NDArray[np.float32] | None:
        """Look at the next crop; after the last return the image tokens, float32 [tokens, text hidden].

        None means that there are more crops. Another picture in between makes it start over.
        """
        if not isinstance(tile, CroppedPicture):
            raise TypeError(f"A {type(tile).__name__} has no crops.")
        if self._begun[0] != tile.digest:
            self._begun = (tile.digest, [])
        seen = self._begun[1]
        side_px = tile.pixels_HWC.shape[1]
        begin = len(seen) * side_px
        self._tower.infer([self._to_patches(tile.pixels_HWC[begin : begin + side_px])])
        seen.append(self._tower.get_output_tensor(0).data[0].copy())
        if len(seen) < tile.num_crops:
            return None
        self._begun = (b"", [])
        features_TD = self._connect(seen, tile)
        self._cache.remember(tile.digest, features_TD)
        if self._on_packed is not None:
            self._on_packed()
            self._on_packed = None
        return features_TD

    def _connect(self, seen: list[NDArray[np.float32]], tile: CroppedPicture) -> NDArray[np.float32]:
        """Join the whole picture's features with those of its parts, brought to the same grid."""
        whole = seen[0]
        side = round(len(whole) ** 0.5)
        joined = whole
        if len(seen) > 1:
            joined = pool(stitch(seen[1:], tile.rows, tile.columns, side, self._margin), side)
        self._connector.infer({"whole": whole, "stitched": joined})
        features_TD: NDArray[np.float32] = self._connector.get_output_tensor(0).data.copy()
        return features_TD
