"""Finds words and characters that a text repeats one after the other, as models do that cannot stop."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["has_character_loop", "longest_loop", "tail_loop"]

_MAX_PERIOD = 12
_CHARACTERS = re.compile(r"(\S.{1,30}?)\1{4,}", re.DOTALL)
_MIN_CHARACTERS = 24
_RUN = re.compile(r"(\w)\1{11,}")


def longest_loop(words: Sequence[str]) -> tuple[int, int]:
    """Return (rounds, words in them) of the passage that is repeated most words long, (0, 0) without one.

    A passage has up to 12 words, and its rounds follow each other directly.
    """
    best = (0, 0)
    for period in range(1, min(_MAX_PERIOD, len(words) // 2) + 1):
        same = 0
        for at in range(period, len(words)):
            same = same + 1 if words[at] == words[at - period] else 0
            rounds = same // period + 1
            if rounds > 1 and rounds * period > best[1]:
                best = (rounds, rounds * period)
    return best


def tail_loop(words: Sequence[str]) -> tuple[int, int]:
    """Return (rounds, words in them) of the passage that a text ends with again and again.

    A last round that was begun counts with its words.
    """
    best = (0, 0)
    for period in range(1, min(_MAX_PERIOD, len(words) // 2) + 1):
        same = 0
        while same + period < len(words) and words[-1 - same] == words[-1 - same - period]:
            same += 1
        rounds = same // period + 1
        if rounds > 1 and same + period > best[1]:
            best = (rounds, same + period)
    return best


def has_character_loop(text: str) -> bool:
    """Return whether one character comes 12 times in a row, or several of them in at least 5 rounds.

    Laughter, rules of dashes and columns of zeros are no loops: a passage has three different letters.
    """
    if _RUN.search(text):
        return True
    return any(
        len(found[0]) >= _MIN_CHARACTERS and len({one for one in found[1].casefold() if one.isalpha()}) > 2
        for found in _CHARACTERS.finditer(text)
    )
