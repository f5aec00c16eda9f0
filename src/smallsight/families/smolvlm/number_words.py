"""Integers in English words, for the number of frames in SmolVLM2's prompt."""

from __future__ import annotations

__all__ = ["number_in_words"]

_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
).split()
_TENS = "- - twenty thirty forty fifty sixty seventy eighty ninety".split()
_MAX = 999


def number_in_words(number: int) -> str:
    """Return a number in words, such as "two hundred and sixty-four"; raises ValueError beyond 0 to 999."""
    if not 0 <= number <= _MAX:
        raise ValueError(f"{number} is not from 0 to {_MAX}")
    if number < len(_SMALL):
        return _SMALL[number]
    if number < 100:
        tens, ones = divmod(number, 10)
        return _TENS[tens] + (f"-{_SMALL[ones]}" if ones else "")
    hundreds, rest = divmod(number, 100)
    return f"{_SMALL[hundreds]} hundred" + (f" and {number_in_words(rest)}" if rest else "")
