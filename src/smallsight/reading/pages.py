"""Reads the pages of a picture, or the moments of an animation, one after another."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from smallsight.reading.text_line import TextLine

__all__ = ["read_pages"]


def read_pages(
    pages_HWC: Sequence[np.ndarray],
    read: Callable[[np.ndarray], Sequence[TextLine]],
    *,
    are_moments: bool,
) -> list[TextLine]:
    """Return the lines of all pages; of moments of one animation, each text once."""
    lines: list[TextLine] = []
    for page_HWC in pages_HWC:
        known = {line.text for line in lines} if are_moments else set()
        lines += [line for line in read(page_HWC) if line.text not in known]
    return lines
