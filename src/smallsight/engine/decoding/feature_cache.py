"""Cached image features by tile content, so that a second question does not encode them again."""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from smallsight.policy.recently_used import RecentlyUsed


@dataclass(frozen=True, slots=True)
class TileCounts:
    """How many tiles a model encoded, and how many it found in the cache."""

    num_encoded: int = 0
    num_known: int = 0

    def __add__(self, other: TileCounts) -> TileCounts:
        return TileCounts(self.num_encoded + other.num_encoded, self.num_known + other.num_known)


class FeatureCache:
    """Image tokens by their tile's digest; the least recently used are evicted beyond ``max_bytes``."""

    def __init__(self, max_bytes: int) -> None:
        self._features = RecentlyUsed[bytes, NDArray[np.float32]](max_bytes, attrgetter("nbytes"))
        self._num_encoded = 0
        self._num_known = 0

    @property
    def num_bytes(self) -> int:
        """Bytes of the cached image tokens."""
        return self._features.num_bytes

    @property
    def tile_counts(self) -> TileCounts:
        """How many tiles were encoded, and how many were found here."""
        return TileCounts(self._num_encoded, self._num_known)

    def find(self, digest: bytes) -> NDArray[np.float32] | None:
        """Return a tile's image tokens, float32 [tokens, hidden], or None; counts a hit."""
        features = self._features.find(digest)
        if features is not None:
            self._num_known += 1
        return features

    def remember(self, digest: bytes, features_TD: NDArray[np.float32]) -> None:
        """Store a tile's image tokens, unless they exceed the whole cache; counts an encoded tile."""
        self._num_encoded += 1
        self._features.remember(digest, features_TD)
