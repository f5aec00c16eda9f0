"""Remembers the vectors of the last texts, because the next pages of a search embed its text again."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from smallsight.policy.recently_used import RecentlyUsed

_MAX_BYTES = 2 * 1024 * 1024


class RememberedVectors:
    """Embeds one text at a time as ``embed`` does; may be used from any thread if ``embed`` may be."""

    def __init__(self, embed: Callable[[Sequence[str]], NDArray[np.float32]]) -> None:
        self._embed = embed
        self._known = RecentlyUsed[str, NDArray[np.float32]](_MAX_BYTES, lambda vector_D: vector_D.nbytes)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one vector per text, float32 [texts, dimensions], in the order of the texts."""
        return np.stack([self._vector(text) for text in texts])

    def _vector(self, text: str) -> NDArray[np.float32]:
        vector_D = self._known.find(text)
        if vector_D is None:
            vector_D = self._embed([text])[0]
            self._known.remember(text, vector_D)
        return vector_D
