"""Corrects the short sentences of a very small model: its articles, and where it goes round in circles."""

from __future__ import annotations

import re
from collections import Counter

_SEPARATOR = re.compile(r", | and |\. |\n")
_ARTICLE = re.compile(r"\b([Aa]) (?=[aeiou])(?!eu|one\b|u[kns][aei])")
_OPENING = re.compile(r"(.*\")?(there (is|are) )?((and|an?|the) )*", re.IGNORECASE | re.DOTALL)
_MOST_THINGS, _MOST_QUOTED = 1, 2  # times that the same may be said
_MOST_DROPPED = 2
_LOOP_OF_WORDS = re.compile(r"(?:^|(?<=[\s\"]))(\S+(?: \S+){0,3}?)(?: \1){2,}(?=$|[\s\",.])")
_LOOP_IN_WORD = re.compile(r"([^\W\d_]{1,4}?)\1{3,}")
_LEAST_LOOP_CHARS = 10


class Proofreader:
    """Passes text on item by item, and stops it where a third repetition shows that nothing new follows.

    A thing that was named is not named again. Text in quotes was read from a picture: it may come twice, and
    its words are not changed.
    """

    def __init__(self) -> None:
        self._waiting = ""
        self._shown = ""
        self._said: Counter[str] = Counter()
        self._num_dropped = 0
        self.is_stopped = False

    def push(self, text: str, *, is_last: bool) -> str:
        """Take text and return what is certain; after the last there is nothing more to take."""
        self._waiting += text
        passed = ""
        while not self.is_stopped and (separator := _SEPARATOR.search(self._waiting, 1)) is not None:
            item, self._waiting = self._waiting[: separator.start()], self._waiting[separator.start() :]
            passed += self._pass(item)
        if not self.is_stopped and (loop := _loop_in(self._waiting)) is not None:
            passed += self._pass(self._waiting[:loop])
            passed += self._stop()
        if is_last and not self.is_stopped:
            passed += self._pass(self._waiting)
            self._waiting = ""
        return passed

    def _pass(self, item: str) -> str:
        is_quoted = '"' in item or self._is_in_quotes()
        said = _OPENING.sub("", item.strip(', ."'), count=1).lower()
        self._said[said] += 1
        if said and self._said[said] > (_MOST_QUOTED if is_quoted else _MOST_THINGS):
            self._num_dropped += 1
            return self._stop() if self._num_dropped > _MOST_DROPPED else ""
        if (loop := _loop_in(item)) is not None:
            return self._show(item[:loop]) + self._stop()
        return self._show(item)

    def _show(self, item: str) -> str:
        parts = item.split('"')
        outside = self._is_in_quotes()  # the index of the first part that is not in quotes
        for place in range(outside, len(parts), 2):
            parts[place] = _ARTICLE.sub(r"\1n ", parts[place])
        shown = '"'.join(parts)
        self._shown += shown
        return shown

    def _stop(self) -> str:
        """End the sentence where it is."""
        self.is_stopped = True
        self._waiting = ""
        ending = '"' if self._is_in_quotes() else ""
        if not self._shown.rstrip().endswith((".", "!", "?")):
            ending += "."
        self._shown += ending
        return ending

    def _is_in_quotes(self) -> int:
        return self._shown.count('"') % 2


def _loop_in(text: str) -> int | None:
    """Return where the second round of a loop begins, None if there is none."""
    for found in _LOOP_OF_WORDS.finditer(text):
        if len(found[0]) >= _LEAST_LOOP_CHARS:
            return found.end(1)
    for found in _LOOP_IN_WORD.finditer(text):
        if len(found[0]) >= _LEAST_LOOP_CHARS:
            return found.end(1)
    return None
