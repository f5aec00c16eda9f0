"""Judges whether a doubtful reading is text, by what the same line reads at other widths.

The recogniser finds letters in textures, edges and icons too. They change with the width, or are few.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher

from smallsight.reading.line_recogniser import LineReading

__all__ = ["is_supported", "num_letters", "support"]

_LEAST_CONFIDENCE = 0.5
_SURE_OF_FEW = 0.9  # of a single letter, of signs without a letter, and of one letter repeated
_LEAST_SUPPORT = ((2, 0.8), (5, 0.65))  # for up to so many letters
_LEAST_SUPPORT_OF_LONG = 0.45


def support(readings: Sequence[LineReading]) -> float:
    """Return how far readings of one line agree with the best of them, weighted by their confidence."""
    texts = [reading.text.replace(" ", "") for reading in readings]
    best = max(range(len(readings)), key=lambda index: readings[index].confidence)
    agreeing = (
        reading.confidence * SequenceMatcher(None, texts[best], text, autojunk=False).ratio()
        for reading, text in zip(readings, texts, strict=True)
    )
    return sum(agreeing) / len(readings)


def is_supported(reading: LineReading, found_support: float) -> bool:
    """Return whether a reading with this support is text."""
    letters = [character for character in reading.text if character.isalnum()]
    least = _SURE_OF_FEW if len(set(letters)) <= 1 else _LEAST_CONFIDENCE
    if not reading.text or reading.confidence < least:
        return False
    needed = (needed for most, needed in _LEAST_SUPPORT if len(letters) <= most)
    return found_support >= next(needed, _LEAST_SUPPORT_OF_LONG)


def num_letters(text: str) -> int:
    """Return the number of letters and digits."""
    return sum(character.isalnum() for character in text)
