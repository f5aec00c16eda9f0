"""Judges words by their shape alone: letters, capitals and signs where words of no language have them."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

__all__ = ["has_mixed_scripts", "is_misshapen"]

_ADDRESS = re.compile(r"https?:|www\.|\w@\w|/|^[A-Za-z]:\\|\w\.(?:[a-z0-9]{2,5}|[A-Z]{2,5}|[a-z])\W*$")
_EDGES = "\"'“”„«»‘’()[]{}.,;:!?…-–—"
_SIGNS = re.compile(r"[^\W\d][#*<>{}|^~=$\\\"][^\W\d]|[<>{}|^~=\\]{2}|\w[#*<>{}|^~\\]$")
_LONG_RUN = re.compile(r"([^\W\d_])\1{3,}", re.IGNORECASE)
# Two words written as one, such as YouTube and JavaScript; a small letter before, such as iPhone; a name.
_INNER_CAPITALS = re.compile(
    r"[a-z]{0,2}[A-Z][a-z]*(s|'s)?|[A-Z][a-z]{2,}([A-Z][a-z]{2,}){1,2}|(Mc|Mac|De|Di|Le|La|O')[A-Z][a-z]+"
    r"|[a-z]{3,}([A-Z][a-z]{2,}){1,2}|[A-Z][a-z]{1,}[A-Z]{1,3}|[A-Z]{2,}[a-z]{0,3}\d*"
)
_HAS_INNER_CAPITAL = re.compile(r"[a-z][A-Z]|[A-Z]{2}[a-z]")
# Scripts that share words in no language; those of East Asia count as one, and mix with Latin letters.
_EAST_ASIAN = frozenset({"CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO", "FULLWIDTH", "HALFWIDTH"})
_MIN_LETTERS = 3


def is_misshapen(word: str) -> bool:
    """Return whether a word, with the signs around it, is written as none is: ``twoT``, ``o#a``, ``wwwww``.

    Addresses, hashtags, options of commands and names with capitals inside are words.
    """
    if _ADDRESS.search(word) or word.startswith("-"):
        return False
    word = word.strip(_EDGES).lstrip("#@$")
    if not any(one.isalpha() for one in word):
        return False
    if _SIGNS.search(word) and word not in ("C#", "F#"):
        return True
    if _LONG_RUN.search(word) and not word.isupper():
        return True
    return bool(_HAS_INNER_CAPITAL.search(word)) and not _INNER_CAPITALS.fullmatch(word)


def has_mixed_scripts(words: list[str]) -> bool:
    """Return whether the words are in three or more scripts, or two words or more are in two scripts each."""
    letters: dict[str, int] = {}
    num_mixed = 0
    for word in words:
        scripts = [script for one in word if one.isalpha() and (script := _script(one))]
        for script in scripts:
            letters[script] = letters.get(script, 0) + 1
        num_mixed += len(scripts) >= _MIN_LETTERS and len(set(scripts) - {"EAST ASIAN"}) > 1
    return num_mixed > 1 or sum(num >= _MIN_LETTERS for num in letters.values()) > 2


@lru_cache(maxsize=4096)
def _script(letter: str) -> str:
    """Return the first word of a letter's Unicode name, which is its script."""
    first = unicodedata.name(letter, "").split(" ")[0].split("-")[0]
    if first == "MODIFIER":  # a letter of several scripts
        return ""
    return "EAST ASIAN" if first in _EAST_ASIAN else first
