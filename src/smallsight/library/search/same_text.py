"""Tells whether the texts of two pictures that look alike say different things: two memes from one template.

A copy that is smaller or compressed again is read with a few other letters and spaces; another meme or
invoice has other words or numbers. Pure functions of texts.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from difflib import SequenceMatcher
from itertools import takewhile

from smallsight.library.search.edit_distance import edit_distances
from smallsight.library.search.tokens import search_form

_MAX_TERMS = 600
_MAX_COMPARED_CHARS = 200
_MIN_EDITS, _MIN_SHARE = 3, 0.5  # of what differs, for it to be another word and not a misreading
_READ_AS_DIGITS = str.maketrans("oliszb", "011528")
_NUMBER = re.compile(r"[a-z]*[0-9][a-z0-9]*")
_NOT_DIGIT = re.compile("[^0-9]")


def say_different_things(one: str, other: str) -> bool:
    """Return whether each text has words or numbers that the other lacks, beyond what is misread.

    If one only says more than the other, they do not differ: the rest may be unreadable, or added.
    """
    ours, theirs = search_form(one).split()[:_MAX_TERMS], search_form(other).split()[:_MAX_TERMS]
    return any(_differ(*place) for place in _differing_places(ours, theirs))


def _differ(ours: Sequence[str], theirs: Sequence[str]) -> bool:
    our_digits, their_digits = _digits(ours), _digits(theirs)
    if our_digits and their_digits and our_digits != their_digits:
        return True
    our_letters, their_letters = _without_same_ends("".join(ours), "".join(theirs))
    if not our_letters or not their_letters:
        return False
    least = max(_MIN_EDITS, round(_MIN_SHARE * max(len(our_letters), len(their_letters))))
    return int(edit_distances(our_letters, [their_letters], least - 1)[0]) >= least


def _differing_places(ours: Sequence[str], theirs: Sequence[str]) -> list[tuple[list[str], list[str]]]:
    """Return the terms of each side that the other lacks, place by place; then those with no counterpart.

    Terms that were only moved are left out.
    """
    places, our_rest, their_rest = [], [], []
    operations = SequenceMatcher(None, ours, theirs, autojunk=False).get_opcodes()
    changed = [(ours[a:b], theirs[c:d]) for kind, a, b, c, d in operations if kind != "equal"]
    moved = Counter(term for gone, _ in changed for term in gone) & Counter(
        term for _, new in changed for term in new
    )
    left, left_of_theirs = Counter(moved), Counter(moved)
    for gone, new in changed:
        kept, kept_of_theirs = _without(gone, left), _without(new, left_of_theirs)
        if kept and kept_of_theirs:
            places.append((kept, kept_of_theirs))
        else:
            our_rest += kept
            their_rest += kept_of_theirs
    return [*places, (our_rest, their_rest)]


def _without(terms: Sequence[str], left: Counter[str]) -> list[str]:
    """Return the terms that are not left to be taken out, and count down those that are."""
    kept = []
    for term in terms:
        if left[term] > 0:
            left[term] -= 1
        else:
            kept.append(term)
    return kept


def _without_same_ends(one: str, other: str) -> tuple[str, str]:
    start = _num_same(one, other)
    one, other = one[start:], other[start:]
    end = _num_same(one[::-1], other[::-1])
    return one[: len(one) - end][:_MAX_COMPARED_CHARS], other[: len(other) - end][:_MAX_COMPARED_CHARS]


def _num_same(one: str, other: str) -> int:
    """Return how many characters at the start are the same."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _digits(terms: Sequence[str]) -> str:
    numbers = (term for term in terms if _NUMBER.fullmatch(term))
    return _NOT_DIGIT.sub("", "".join(numbers).translate(_READ_AS_DIGITS))
