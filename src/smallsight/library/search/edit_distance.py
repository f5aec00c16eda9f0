"""Edit distances from one word to many others, computed together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def edit_distances(word: str, others: Sequence[str], max_distance: int) -> np.ndarray:
    """Return int16 [N]: edits from word to each of the others, or max_distance + 1 if more are needed.

    An edit inserts, removes or replaces one character or swaps two neighbours, and no position is edited
    twice (optimal string alignment). The table of partial distances is filled for all words together, and
    only within max_distance of its diagonal.
    """
    too_far = max_distance + 1
    width = len(word) + max_distance
    num_others = len(others)
    others_NL = np.array([other[: width + 1] for other in others], dtype=f"<U{width + 1}")
    letters_NL = others_NL.view(np.uint32).reshape(num_others, width + 1)
    lengths_N = np.fromiter(map(len, others), dtype=np.int64, count=num_others)
    points = [ord(character) for character in word]
    # rows[i][j] [N]: distance of the first i letters of word from the first j letters of each other word
    before_last = last = np.full((width + 2, num_others), too_far, dtype=np.int16)
    last[: max_distance + 1] = np.arange(max_distance + 1, dtype=np.int16)[:, None]
    for i, point in enumerate(points, start=1):
        row = np.full((width + 2, num_others), too_far, dtype=np.int16)
        if i <= max_distance:
            row[0] = i
        for j in range(max(1, i - max_distance), min(width, i + max_distance) + 1):
            is_other = letters_NL[:, j - 1] != point
            best = np.minimum(last[j - 1] + is_other, np.minimum(last[j], row[j - 1]) + 1)
            if i > 1 and j > 1:
                is_swap = (letters_NL[:, j - 2] == point) & (letters_NL[:, j - 1] == points[i - 2])
                best = np.where(is_swap, np.minimum(best, before_last[j - 2] + 1), best)
            row[j] = np.minimum(best, too_far)
        before_last, last = last, row
    reachable_N = np.minimum(lengths_N, width + 1)
    return last[reachable_N, np.arange(num_others)]
