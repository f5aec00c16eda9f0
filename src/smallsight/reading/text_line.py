"""A line of text found in a picture."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TextLine:
    """A recognised line of text; an empty text stands for a line that is seen but cannot be read.

    ``box`` has four corners, clockwise from the text's top left, as fractions of the picture's width and
    height; ``confidence`` is 0 to 1.
    """

    text: str
    confidence: float
    box: tuple[tuple[float, float], ...]
