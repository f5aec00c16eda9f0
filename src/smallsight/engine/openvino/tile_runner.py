"""Runs the vision tower: one tile after the other, or one on each of several requests that run at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from smallsight.engine.decoding.feature_cache import FeatureCache
from smallsight.families.messages import Tile


class TileRunner:
    """Inference requests for a compiled tower, with a feature cache. Used by one thread at a time.

    A call of the network has one tile: larger batches need more memory and are no faster on a CPU.
    """

    def __init__(
        self,
        requests: Sequence[ov.InferRequest],
        to_patches: Callable[[NDArray[np.uint8]], NDArray[np.float32]],
        cache: FeatureCache,
        on_packed: Callable[[], None] | None = None,
        *,
        tiles_at_once: int = 1,
    ) -> None:
        """``on_packed`` is called after the first tile, when the runtime has copied the weights."""
        self.tiles_at_once = tiles_at_once
        self._requests = requests
        self._to_patches = to_patches
        self._cache = cache
        self._on_packed = on_packed

    def known(self, tile: Tile) -> NDArray[np.float32] | None:
        """Return a tile's cached image tokens, or None."""
        return self._cache.find(tile.digest)

    def encode(self, tiles: Sequence[Tile]) -> list[NDArray[np.float32]]:
        """Return the image tokens of each tile, float32 [tokens, text hidden]."""
        side_by_side = len(self._requests)
        encoded: list[NDArray[np.float32]] = []
        for begin in range(0, len(tiles), side_by_side):
            encoded += self._encode(tiles[begin : begin + side_by_side])
        if self._on_packed is not None:
            self._on_packed()
            self._on_packed = None
        return encoded

    def _encode(self, tiles: Sequence[Tile]) -> list[NDArray[np.float32]]:
        """Encode at most as many tiles as there are requests."""
        inputs = [self._to_patches(tile.pixels_HWC) for tile in tiles]
        if len(tiles) == 1:
            self._requests[0].infer([inputs[0]], share_inputs=True)
        else:
            self._infer_side_by_side(inputs)
        encoded: list[NDArray[np.float32]] = []
        for tile, request in zip(tiles, self._requests, strict=False):
            features_TD: NDArray[np.float32] = request.get_output_tensor(0).data[0].copy()
            self._cache.remember(tile.digest, features_TD)
            encoded.append(features_TD)
        return encoded

    def _infer_side_by_side(self, inputs: Sequence[NDArray[np.float32]]) -> None:
        """Run one request for each input; all have ended when this returns or raises."""
        started = list(zip(self._requests, inputs, strict=False))
        for request, patches in started:
            request.start_async([patches], share_inputs=True)
        errors = []
        for request, _ in started:
            try:
                request.wait()
            except RuntimeError as error:
                errors.append(error)
        if errors:
            raise errors[0]
