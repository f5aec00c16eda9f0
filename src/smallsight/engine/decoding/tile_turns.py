"""Encodes the tiles of requests that wait for them: few in each step, so that others' answers go on."""

from __future__ import annotations

import time
from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from smallsight.engine.decoding.active_request import ActiveRequest
from smallsight.engine.decoding.runner import TileEncoder
from smallsight.families.messages import Tile
from smallsight.policy.turns import Turns


class TileTurns:
    """Clients take turns. A tile that is shown several times in a step is encoded once."""

    def __init__(self, vision: TileEncoder) -> None:
        self._vision = vision
        self._turns = Turns()
        self._half_encoded: ActiveRequest | None = None  # a tile encoded in parts is completed first

    def run(self, requests: Collection[ActiveRequest]) -> None:
        """Write the features of known tiles, and of those that one call of the encoder takes."""
        waiting = [one for one in requests if one.pending_tiles]
        if not waiting:
            self._half_encoded = None
            return
        waiting = self._in_order(waiting)
        known: dict[bytes, NDArray[np.float32]] = {}
        tiles: dict[bytes, tuple[Tile, ActiveRequest]] = {}
        reached = [request for request in waiting if self._gather(request, known, tiles)]
        if tiles:
            self._encode(tiles, known)
        for request in reached:
            while request.pending_tiles and request.pending_tiles[0].digest in known:
                request.take_features([known[request.pending_tiles[0].digest]])

    def _in_order(self, waiting: list[ActiveRequest]) -> list[ActiveRequest]:
        half_encoded, self._half_encoded = self._half_encoded, None
        if len(waiting) > 1:
            waiting = self._turns.order(waiting, lambda one: one.sequence.client)
        if half_encoded is not None and half_encoded in waiting:
            waiting.remove(half_encoded)
            return [half_encoded, *waiting]
        return waiting

    def _gather(
        self,
        request: ActiveRequest,
        known: dict[bytes, NDArray[np.float32]],
        tiles: dict[bytes, tuple[Tile, ActiveRequest]],
    ) -> bool:
        """Add a request's tiles, known or to be encoded; return False when no more can be encoded."""
        if len(tiles) == self._vision.tiles_at_once:
            return False
        for tile in request.pending_tiles:
            if tile.digest in known or tile.digest in tiles:
                continue
            if len(tiles) == self._vision.tiles_at_once:
                break
            found = self._vision.known(tile)
            if found is None:
                tiles[tile.digest] = tile, request
            else:
                known[tile.digest] = found
        return True

    def _encode(
        self, tiles: dict[bytes, tuple[Tile, ActiveRequest]], known: dict[bytes, NDArray[np.float32]]
    ) -> None:
        started_s = time.perf_counter()
        encoded = self._vision.encode([tile for tile, _ in tiles.values()])
        seconds = time.perf_counter() - started_s
        for _, request in tiles.values():
            request.vision_s += seconds / len(tiles)
            self._turns.serve(request.sequence.client)
        if encoded is None:
            self._half_encoded = next(iter(tiles.values()))[1]
            return
        known.update(zip(tiles, encoded, strict=True))
