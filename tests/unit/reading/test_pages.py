"""Pages are read one after another; the moments of an animation give each text once."""

from __future__ import annotations

import numpy as np
import pytest

from smallsight.reading.pages import read_pages
from smallsight.reading.text_line import TextLine

BOX = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))


@pytest.mark.parametrize(("are_moments", "expected"), [(True, "abc"), (False, "ababc")])
def test_moments_give_each_text_once_and_pages_all(are_moments: bool, expected: str):
    texts = iter([["a", "b"], ["a", "b", "c"]])

    def read(_: np.ndarray) -> list[TextLine]:
        return [TextLine(text, 1.0, BOX) for text in next(texts)]

    lines = read_pages([np.zeros((10, 10, 3), np.uint8)] * 2, read, are_moments=are_moments)
    assert "".join(line.text for line in lines) == expected
