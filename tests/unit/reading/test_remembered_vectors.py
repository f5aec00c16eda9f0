from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from smallsight.reading.remembered_vectors import RememberedVectors


def test_a_text_is_embedded_once_and_keeps_its_place():
    asked: list[str] = []

    def embed(texts: Sequence[str]) -> np.ndarray:
        asked.extend(texts)
        return np.array([[len(text), 0] for text in texts], np.float32)

    remembered = RememberedVectors(embed)
    assert remembered.embed(["one", "three"]).tolist() == [[3, 0], [5, 0]]
    assert remembered.embed(["three", "at"]).tolist() == [[5, 0], [2, 0]]
    assert asked == ["one", "three", "at"]
