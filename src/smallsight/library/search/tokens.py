"""Tokens: what a word is, and the form without the differences that do not count when words are compared.

Pure text in, text out. The index stores ``search_form``; queries and highlights go through ``tokenize``, so
that all three agree. Terms never contain ASCII punctuation or private-use characters: the index uses those
for its marks (see ``index_terms``).
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

from smallsight.library.search.han_forms import with_simplified_han

_LETTERS_WITHOUT_DECOMPOSITION = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ħ": "h", "ŧ": "t", "ı": "i", "æ": "ae", "œ": "oe", "ð": "d", "þ": "th"}
)
# What is one letter has several code points on Arabic, Persian, Urdu and Kurdish keyboards.
_ARABIC_LETTERS = str.maketrans(
    {
        **dict.fromkeys("\u0622\u0623\u0625\u0671", "\u0627"),  # alef
        **dict.fromkeys("\u0649\u0626\u06cc\u06cd\u06d0\u06d1\u06d2\u06d3", "\u064a"),  # yeh
        **dict.fromkeys("\u063b\u063c\u06a9\u06aa\u06ac\u06ad\u06ae", "\u0643"),  # kaf
        **dict.fromkeys("\u0629\u06be\u06c0\u06c1\u06c2\u06c3\u06d5", "\u0647"),  # heh
        "\u0624": "\u0648",  # waw
    }
)
_NOT_ASCII_DIGIT = re.compile(r"[^\D0-9]")
_ACCENT_FLOOD = re.compile("([\u0300-\u036f]{4})[\u0300-\u036f]+")
_GRAVE_AND_ACUTE, _DIAERESIS = "\u0300\u0301", "\u0308"
_VOWEL_SIGNS = re.compile("[\u0591-\u05bd\u05bf\u05c1\u05c2\u05c7\u0610-\u061a\u0640\u064b-\u0652\u0670]")
_VARIATION_SELECTORS = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]")
_MARK_AFTER = re.compile("(.)([\u0300-\u036f\u0488\u0489\u20d0-\u20f0]+)", re.DOTALL)
_CONTRACTIONS = frozenset({"s", "t", "m", "d", "re", "ve", "ll"})
_APOSTROPHES = "'’"
_JAPANESE_VOICING = (0x3099, 0x309A, 0xFF9E, 0xFF9F)
_CJK = (
    (0x2E80, 0x2FDF),  # radicals
    (0x3005, 0x3007),
    (0x3021, 0x3029),
    (0x3031, 0x3035),
    (0x3038, 0x303C),
    (0x3041, 0x30FF),  # Hiragana and Katakana
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0xFF66, 0xFF9D),  # narrow Katakana
    (0x1AFF0, 0x1B16F),
    (0x20000, 0x3FFFD),
)
_PICTOGRAPHS = ((0x2600, 0x27BF), (0x2B00, 0x2BFF), (0x1F000, 0x1F3FA), (0x1F400, 0x1FAFF))


class Token(NamedTuple):
    """A normalised term, and the span of the original text it was made from."""

    term: str
    start: int
    end: int


class _CharacterClasses(dict[int, str | None]):
    """Classes of code points: ``w`` word, ``c`` CJK, ``p`` pictograph, ``m`` mark, ``'`` apostrophe, or gap.

    A table for ``str.translate``, filled on demand; every class is one character, so that spans stay valid.
    """

    def __missing__(self, point: int) -> str:
        kind = _character_class(point)
        if point < 0x20000:  # limits how much of malicious text is cached
            self[point] = kind
        return kind


_ASCII_RUN = re.compile(r"(?<![a-z0-9])[a-z]#(?![a-z#])|[a-z0-9]+(?:\+\+(?![a-z+]))?")
_SIGNS_AFTER = re.compile(r"(?P<plus>[+＋]{2})(?![^\W\d_]|[+＋])|(?P<sharp>[#＃])(?![^\W\d_]|[#＃])")
_CLASSES = _CharacterClasses()
_RUN = re.compile(r"(?P<word>w[wm]*(?:'w[wm]?(?![wm]))?)|cm*|p")


def normalise(text: str) -> str:
    """Return the text without the differences that do not count when words are compared.

    Compatibility forms are unified (NFKC), case is folded, digits of any script become 0 to 9, the letter
    forms of Arabic and Persian keyboards become one, and so do simplified, traditional and Japanese
    characters; accents on Latin, Greek and Cyrillic letters, vowel points of Hebrew and Arabic, variation
    selectors, control characters, lone surrogates and invisible formatting characters are removed, and
    white space becomes single spaces with none at the ends.
    """
    if text.isascii():
        folded = text.lower()
    else:
        folded = unicodedata.normalize("NFKC", _ACCENT_FLOOD.sub(r"\1", text)).casefold()
        folded = _without_accents(unicodedata.normalize("NFD", folded))
        folded = unicodedata.normalize("NFKC", folded).translate(_LETTERS_WITHOUT_DECOMPOSITION)
        folded = with_simplified_han(folded.translate(_ARABIC_LETTERS))
        folded = _NOT_ASCII_DIGIT.sub(lambda digit: str(unicodedata.decimal(digit[0])), folded)
    if not folded.isprintable():
        folded = "".join(character for character in folded if _is_kept(character))
    return " ".join(folded.split())


def tokenize(text: str) -> list[Token]:
    """Split into terms: runs of letters and digits, single CJK characters, single pictographs.

    English contractions are one term (``don't`` is ``dont``), and so are ``c++`` (``cplusplus``) and ``c#``
    (``csharp``), which no search for ``c`` should find first. Spans are indices into the given text.
    """
    if text.isascii() and "'" not in text:
        runs = _ASCII_RUN.finditer(text.lower())
        return [Token(_without_signs(run[0]), run.start(), run.end()) for run in runs]
    classes = text.translate(_CLASSES)
    tokens: list[Token] = []
    for run in _RUN.finditer(classes):
        start, end = run.span()
        if run["word"] is not None and "'" in run["word"]:
            tokens += _contraction(text, start, start + run["word"].index("'"), end)
        else:
            tokens += [Token(term, start, end) for term in _terms(text[start:end])]
            if run["word"] is not None and tokens and (signs := _signs_after(text, start, end)):
                term, start, _ = tokens.pop()
                tokens.append(Token(_without_signs(term + signs), start, end + len(signs)))
    return tokens


def search_form(text: str) -> str:
    """Return the terms of the text in order, separated by single spaces."""
    if text.isascii() and "'" not in text:
        return " ".join(map(_without_signs, _ASCII_RUN.findall(text.lower())))
    return " ".join(token.term for token in tokenize(text))


def _signs_after(text: str, start: int, end: int) -> str:
    """Return the signs that belong to the word before them: ``++`` after any, ``#`` after a single letter."""
    found = _SIGNS_AFTER.match(text, end)
    if found is None or (found["sharp"] and not (end - start == 1 and text[start].isalpha())):
        return ""
    return "++" if found["plus"] else "#"


def _without_signs(term: str) -> str:
    """Write out the signs after a word, because terms have no punctuation."""
    if term.endswith("++"):
        return f"{term[:-2]}plusplus"
    return f"{term[:-1]}sharp" if term.endswith("#") else term


def _terms(run: str) -> tuple[str, ...]:
    if run.isascii():
        return (run.lower(),)
    return _cached_terms(run) if len(run) <= 32 else _terms_of_any_script(run)


def _terms_of_any_script(run: str) -> tuple[str, ...]:
    term = normalise(run)
    classes = term.translate(_CLASSES)  # one such as ㈱ becomes several characters, not all of them letters
    return tuple(term[match.start() : match.end()] for match in _RUN.finditer(classes))


_cached_terms = lru_cache(maxsize=16_384)(_terms_of_any_script)


def _contraction(text: str, start: int, apostrophe: int, end: int) -> list[Token]:
    if text[apostrophe + 1 : end].lower() in _CONTRACTIONS:
        joined = text[start:apostrophe] + text[apostrophe + 1 : end]
        return [Token(term, start, end) for term in _terms(joined)]
    return [Token(term, start, apostrophe) for term in _terms(text[start:apostrophe])] + [
        Token(term, apostrophe + 1, end) for term in _terms(text[apostrophe + 1 : end])
    ]


def _character_class(point: int) -> str:
    character = chr(point)
    if character in _APOSTROPHES:
        return "'"
    if point in _JAPANESE_VOICING:
        return "m"
    if any(first <= point <= last for first, last in _CJK) and unicodedata.category(character)[0] in "LNMS":
        return "c"
    category = unicodedata.category(character)
    if category[0] in "LN":
        return "w"
    if category in {"Mn", "Mc", "Me", "Cf"}:
        return "m"
    if category == "So" and any(first <= point <= last for first, last in _PICTOGRAPHS):
        return "p"
    return "p" if category == "So" and unicodedata.normalize("NFKC", character) != character else " "


def _without_accents(decomposed: str) -> str:
    bare = _VARIATION_SELECTORS.sub("", _VOWEL_SIGNS.sub("", decomposed))
    return _MARK_AFTER.sub(_without_marks, bare)


def _without_marks(match: re.Match[str]) -> str:
    base, marks = match.groups()
    if "\u0400" <= base <= "\u052f":  # й, ї and ў are separate letters; ё is an е
        dropped = _GRAVE_AND_ACUTE + (_DIAERESIS if base == "е" else "")
        return base + "".join(mark for mark in marks if mark not in dropped)
    return base


def _is_kept(character: str) -> bool:
    return character.isspace() or unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co", "Cn"}
