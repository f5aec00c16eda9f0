"""Finds phrases in texts whose spaces were lost: recognition often drops them between capitals.

``"were you"`` is found in ``whatwere youdoing``. A phrase may begin and end inside a term only if what is
left of that term is itself made of words, so that ``"hot dog"`` is not found in ``hot dogs``.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate

from smallsight.library.search.function_words import FUNCTION_WORDS

_LONG_REST = 4  # of a term beside a phrase; shorter ones must be function words
_ENDINGS = frozenset(
    "able ably ance ence ible ings ized ised less like ment ments ness ship sion tion ties".split()
)


def find_spaceless(terms: Sequence[str], phrase: str) -> Iterator[tuple[int, int]]:
    """Yield the first and last index of the terms that hold a phrase, which is given without spaces."""
    joined = "".join(terms)
    at = joined.find(phrase)
    if at < 0 or not phrase:
        return
    starts = [0, *accumulate(map(len, terms))]
    while at >= 0:
        end = at + len(phrase)
        first = bisect_right(starts, at) - 1
        last = bisect_right(starts, end - 1) - 1
        before = joined[starts[first] : at]
        after = joined[end : starts[last + 1]]
        if _is_made_of_words(before) and _is_made_of_words(after) and after not in _ENDINGS:
            yield first, last
        at = joined.find(phrase, at + 1)


def _is_made_of_words(rest: str) -> bool:
    if not rest or len(rest) >= _LONG_REST or rest in FUNCTION_WORDS:
        return True
    return any(rest[:at] in FUNCTION_WORDS and rest[at:] in FUNCTION_WORDS for at in range(1, len(rest)))
