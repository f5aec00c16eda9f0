"""How far one text is from another in characters: the edit distance, and the character error rate from it."""

from __future__ import annotations

import numpy as np

__all__ = ["character_error_rate", "levenshtein_distance"]


def character_error_rate(reference: str, text: str) -> float:
    """Return the edits from ``text`` to ``reference`` per character of it; runs of whitespace count as one.

    It exceeds 1 where a text is longer than its reference. Without a reference, any text has a rate of 1.
    """
    reference, text = " ".join(reference.split()), " ".join(text.split())
    if not reference:
        return float(bool(text))
    return levenshtein_distance(reference, text) / len(reference)


def levenshtein_distance(first: str, second: str) -> int:
    """Return the fewest insertions, removals and replacements of characters between two texts."""
    if len(first) < len(second):
        first, second = second, first
    points_N = np.array([ord(character) for character in second], dtype=np.uint32)
    steps_N = np.arange(len(second) + 1)
    row_N = steps_N
    for num_rows, character in enumerate(first, start=1):
        best_N = np.empty_like(row_N)
        best_N[0] = num_rows
        best_N[1:] = np.minimum(row_N[:-1] + (points_N != ord(character)), row_N[1:] + 1)
        # An insertion costs one a step, so it is the minimum of all entries before, less their distance.
        row_N = np.minimum.accumulate(best_N - steps_N) + steps_N
    return int(row_N[-1])
