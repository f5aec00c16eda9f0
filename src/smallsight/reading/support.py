"""Judges whether a doubtful reading is text, by what the same line reads at other widths.

The recogniser finds letters in textures, edges and icons too. They change with the width, or are few.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher

from smallsight.reading.line_recogniser import LineReading

__all__ = ["is_settled", "is_supported", "is_unread_text", "num_letters", "support"]

_LEAST_CONFIDENCE = 0.5
_SURE_OF_FEW = 0.9  # of a single letter, and of signs without a letter
_SURE_OF_REPEATED = 0.95  # of one letter repeated, as a row of rings is read
_LEAST_SUPPORT = ((2, 0.8), (5, 0.65))  # at most this many letters, and the support they need
_LEAST_SUPPORT_OF_LONG = 0.5
_LEAST_SUPPORT_OF_DOUBTFUL = 0.55  # of a long text below 0.8, as Hebrew is that is read as Latin letters
_DOUBTFUL = 0.8
_LEAST_SUPPORT_OF_A_NUMBER = 0.8  # digits that change with the width are letters of another script
_MOST_ALPHA = 0.25  # of the letters and digits of a doubtful number
_CLEAR_SUPPORT = 0.85
_SURE_OF_MIXED = 0.8  # of a word with kana or ideographs and other letters, as Hebrew is taken for
_MIXED_WORD = re.compile(r"[\u3041-\u9fff][0-9A-Za-z\u0370-\u03ff]|[0-9A-Za-z\u0370-\u03ff][\u3041-\u9fff]")
_SEEN, _CLEARLY_SEEN = 0.7, 0.8  # the detector's probability of text
_LEAST_THAT_FIT = 4.0  # letters
_FEW = 0.25  # of the letters that fit
_SURE_OF_SPACES = 0.85


def support(readings: Sequence[LineReading]) -> float:
    """Return how far readings of one line agree with the best of them, weighted by their confidence."""
    texts = [reading.text.replace(" ", "") for reading in readings]
    best = max(range(len(readings)), key=lambda index: readings[index].confidence)
    agreeing = (
        reading.confidence * SequenceMatcher(None, texts[best], text, autojunk=False).ratio()
        for reading, text in zip(readings, texts, strict=True)
    )
    return sum(agreeing) / len(readings)


def is_settled(readings: Sequence[LineReading]) -> bool:
    """Return whether the readings of one line agree so clearly that one more would change nothing."""
    texts = {reading.text.replace(" ", "") for reading in readings}
    return len(readings) > 1 and len(texts) == 1 and support(readings) >= _CLEAR_SUPPORT


def is_supported(reading: LineReading, found_support: float) -> bool:
    """Return whether a reading with this support is text."""
    letters = [character for character in reading.text if character.isalnum()]
    least = _LEAST_CONFIDENCE
    if len(set(letters)) <= 1:
        least = _SURE_OF_REPEATED if len(letters) > 1 else _SURE_OF_FEW
    if not reading.text or reading.confidence < least:
        return False
    if reading.confidence < _SURE_OF_MIXED and _MIXED_WORD.search(reading.text):
        return False
    most_alpha = 0.0 if reading.confidence >= _DOUBTFUL else _MOST_ALPHA * len(letters)
    is_number = sum(letter.isalpha() for letter in letters) <= most_alpha
    if is_number and found_support < _LEAST_SUPPORT_OF_A_NUMBER:
        return False
    needed = (needed for most, needed in _LEAST_SUPPORT if len(letters) <= most)
    of_long = _LEAST_SUPPORT_OF_DOUBTFUL if reading.confidence < _DOUBTFUL else _LEAST_SUPPORT_OF_LONG
    return found_support >= next(needed, of_long)


def is_unread_text(
    reading: LineReading, found_support: float, *, letters_that_fit: float, probability: float
) -> bool:
    """Return whether a region is text that cannot be read: in a script that the network does not know.

    It answers unknown letters with spaces, of which it is sure, with letters that change with the width, or
    not at all. ``probability`` is the detector's.
    """
    if letters_that_fit < _LEAST_THAT_FIT or probability < _SEEN:
        return False
    if num_letters(reading.text) < _FEW * letters_that_fit and reading.confidence >= _SURE_OF_SPACES:
        return True
    return probability >= _CLEARLY_SEEN and not is_supported(reading, found_support)


def num_letters(text: str) -> int:
    """Return the number of letters and digits."""
    return sum(character.isalnum() for character in text)
