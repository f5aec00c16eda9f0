"""A line of text found in a picture."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TextLine:
    """One line, as it was read.

    ``box`` holds four corners, clockwise from the top left of the text, as fractions of width and height;
    ``confidence`` is 0 to 1.
    """

    text: str
    confidence: float
    box: tuple[tuple[float, float], ...]
