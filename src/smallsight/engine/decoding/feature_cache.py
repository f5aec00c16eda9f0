"""Cached image features by tile content, so that a second question does not encode them again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smallsight.policy.recently_used import RecentlyUsed


@dataclass(frozen=True, slots=True)
class TileCounts:
    """How many tiles a model has looked at, and how many it knew from an earlier question."""

    num_encoded: int = 0
    num_known: int = 0

    def __add__(self, other: TileCounts) -> TileCounts:
        return TileCounts(self.num_encoded + other.num_encoded, self.num_known + other.num_known)


class FeatureCache:
    """Image tokens by their tile's digest; the least recently used go when ``max_bytes`` is full."""

    def __init__(self, max_bytes: int) -> None:
        self._features = RecentlyUsed[bytes, NDArray[np.float32]](max_bytes, lambda one: one.nbytes)
        self.tile_counts = TileCounts()

    @property
    def num_bytes(self) -> int:
        """The memory that is taken."""
        return self._features.num_bytes

    def find(self, digest: bytes) -> NDArray[np.float32] | None:
        """Return the image tokens [tokens, hidden] of a tile, or None when they are not known."""
        features = self._features.find(digest)
        if features is not None:
            self.tile_counts += TileCounts(num_known=1)
        return features

    def remember(self, digest: bytes, features_TD: NDArray[np.float32]) -> None:
        """Keep a tile's image tokens; one larger than the whole cache is not kept."""
        self.tile_counts += TileCounts(num_encoded=1)
        self._features.remember(digest, features_TD)
