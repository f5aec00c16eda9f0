"""The other forms of a word that stand for the same: inflections, and spellings in one word or in parts.

``dogs`` is also ``dog``, ``e-mail`` is also ``email``, and ``rocknroll`` is also ``rock n roll``. Pure
functions of terms.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from itertools import pairwise

from smallsight.library.search.function_words import FUNCTION_WORDS

_MIN_STEM = 3
_MAX_JOINED_TERMS = 5  # beyond that, only all in one word
_MAX_PARTED_CHARS = 14
_MIN_PARTED_CHARS = 4
_MAX_PARTS, _MAX_PARTINGS = 5, 16
_SHORT = 2
_CONTRACTED = frozenset("stdm")  # "cats" is not "cat s"
_VOWELS = frozenset("aeiouy")
_NEVER_FIRST = frozenset(  # "notable" is not "not able"
    "a an the not i is as at of he she it we or and but in no so be my me".split()
)


def inflections(word: str) -> tuple[str, ...]:
    """Return the other forms of an English word with the same stem, whether they exist or not."""
    if len(word) < _MIN_STEM + 1 or not (word.isascii() and word.isalpha()):
        return ()
    found: dict[str, None] = dict.fromkeys(bases(word))
    for base in (*bases(word), word):
        found.update(dict.fromkeys(_forms_of(base)))
    found.pop(word, None)
    return tuple(form for form in found if not form.startswith(word))  # those are found as prefixes


def bases(word: str) -> tuple[str, ...]:
    """Return what an inflected English word may be a form of; some of it is no word."""
    found: dict[str, None] = {}
    for ending, others in _ENDINGS:
        stem = word.removesuffix(ending)
        if stem != word and len(stem) >= _MIN_STEM and not (ending == "s" and stem[-1] in "su"):
            found.update(dict.fromkeys(stem + other for other in others))
            if ending in {"ing", "ed", "er"} and stem[-1] == stem[-2] and stem[-1] not in _VOWELS:
                found[stem[:-1]] = None  # running
            break
    return tuple(found)


_ENDINGS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("ies", ("y", "ie")),
    ("ied", ("y", "ie")),
    ("sses", ("ss",)),
    ("shes", ("sh",)),
    ("ches", ("ch",)),
    ("xes", ("x",)),
    ("es", ("e", "")),
    ("s", ("",)),
    ("ing", ("", "e")),
    ("ed", ("", "e")),
)


def _forms_of(base: str) -> Iterator[str]:
    if base.endswith("e"):
        yield from (base + "s", base + "d", base[:-1] + "ing")
    elif base.endswith("y") and base[-2] not in _VOWELS:
        yield from (base[:-1] + "ies", base[:-1] + "ied", base + "ing")
    else:
        yield from (base + "s", base + "es", base + "ed", base + "ing")
        if base[-1] not in _VOWELS and base[-2] in _VOWELS:
            yield from (base + base[-1] + "ed", base + base[-1] + "ing")


def joined_spellings(terms: Sequence[str]) -> list[str]:
    """Return the spellings of adjacent terms with some or all of them joined: ``e mail`` is ``email``."""
    if len(terms) > _MAX_JOINED_TERMS:
        return ["".join(terms)]
    spellings = []
    for joints in range(1, 1 << (len(terms) - 1)):
        text = terms[0]
        for number, term in enumerate(terms[1:]):
            text += term if joints >> number & 1 else f" {term}"
        spellings.append(text)
    return spellings


def parts_of(word: str) -> set[str]:
    """Return what a word may be joined of, two characters and more each; nothing for a long or short word."""
    if not _MIN_PARTED_CHARS <= len(word) <= _MAX_PARTED_CHARS or not word.isascii():
        return set()
    ends = range(2, len(word) + 1)
    return {word[start:end] for end in ends for start in range(end - 1)} - {word}


def parted_spellings(word: str, known: Set[str]) -> list[str]:
    """Return the ways to part a word into known terms, those of the fewest parts first.

    Of more than two parts, only one may be of one or two characters without being a function word.
    """
    found: list[tuple[str, ...]] = []
    begun: list[tuple[str, ...]] = [()]
    for _ in range(_MAX_PARTS):
        begun = [(*parts, part) for parts in begun for part in _next_parts(word, parts, known)]
        found += [parts for parts in begun if len(parts) > 1 and sum(map(len, parts)) == len(word)]
    return [" ".join(parts) for parts in found[:_MAX_PARTINGS]]


def _next_parts(word: str, parts: tuple[str, ...], known: Set[str]) -> Iterator[str]:
    start = sum(map(len, parts))
    num_short = sum(map(_is_short, parts))
    for end in range(start + 1, len(word) + 1):
        part = word[start:end]
        is_known = part in known if len(part) > 1 else part not in _CONTRACTED
        is_second_of_two = len(parts) == 1 and end == len(word)
        may_be_short = num_short == 0 or (is_second_of_two and len(part) > 1)
        if is_known and (may_be_short or not _is_short(part)) and (start or part not in _NEVER_FIRST):
            yield part


def _is_short(part: str) -> bool:
    return len(part) <= _SHORT and part not in FUNCTION_WORDS


def neighbours_joined(terms: Sequence[str]) -> list[str]:
    """Return every two neighbours joined: what a line contains that lost a space inside the phrase."""
    return [first + second for first, second in pairwise(terms)]
