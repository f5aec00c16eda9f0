"""What tiles became, remembered by their content so that a second question does not encode them again."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
from numpy.typing import NDArray


class FeatureCache:
    """Image tokens by their tile's digest; the least recently used go when ``max_bytes`` is full."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._features: OrderedDict[bytes, NDArray[np.float32]] = OrderedDict()
        self.num_bytes = 0

    def find(self, digest: bytes) -> NDArray[np.float32] | None:
        """Return the image tokens [tokens, hidden] of a tile, or None when they are not known."""
        features = self._features.get(digest)
        if features is not None:
            self._features.move_to_end(digest)
        return features

    def remember(self, digest: bytes, features_TD: NDArray[np.float32]) -> None:
        """Keep a tile's image tokens; one larger than the whole cache is not kept."""
        if digest in self._features or features_TD.nbytes > self._max_bytes:
            return
        self._features[digest] = features_TD
        self.num_bytes += features_TD.nbytes
        while self.num_bytes > self._max_bytes:
            _, oldest = self._features.popitem(last=False)
            self.num_bytes -= oldest.nbytes
