"""Words that are known to be spelt right, so that a search does not take them for misspellings of others."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property

from smallsight.library.search.function_words import FUNCTION_WORDS
from smallsight.library.search.word_forms import bases

_MIN_PART = 4
_FIRST_PARTS = ("up", "on", "off", "in", "out", "un", "re", "sea", "sun", "air", "car", "key", "day", "bed")
_DERIVATIONS = ("ly", "ness", "less", "ful", "ment", "er", "est", "ers", "able", "ation", "ish")


class WordList:
    """A list of words; their inflections, derivations and compounds of two of them count as known too.

    ``read`` returns the words and is called on first use.
    """

    def __init__(self, read: Callable[[], Iterable[str]] = tuple) -> None:
        self._read = read

    @cached_property
    def _words(self) -> frozenset[str]:
        return frozenset(self._read()) | FUNCTION_WORDS

    @property
    def is_empty(self) -> bool:
        """Whether there is no list."""
        return len(self._words) == len(FUNCTION_WORDS)

    def knows(self, word: str) -> bool:
        """Return whether a word, in the form of ``tokens``, is spelt right as far as the list can tell."""
        if self.is_empty:
            return False
        return any(self._is_known(one) for one in (word, *bases(word), *_derived_from(word)))

    def _is_known(self, word: str) -> bool:
        if word in self._words:
            return True
        for at in range(_MIN_PART, len(word) - _MIN_PART + 1):
            if word[:at] in self._words and word[at:] in self._words:
                return True
        return any(
            word.startswith(first)
            and len(word) >= len(first) + _MIN_PART
            and word[len(first) :] in self._words
            for first in _FIRST_PARTS
        )


def _derived_from(word: str) -> list[str]:
    found = []
    for ending in _DERIVATIONS:
        stem = word.removesuffix(ending)
        if stem != word and len(stem) >= _MIN_PART:
            found += [stem, stem + "e"]
            if stem.endswith("i"):
                found.append(stem[:-1] + "y")
    return found


NO_WORDS = WordList()
