"""Says why an answer is gibberish: no text, a loop, or words that make no sense together.

It looks at the answer alone and knows no model. It is meant to be quiet about everything that a person would
call an answer, right or wrong: a variant is compared with its base elsewhere. What was read from a picture
may look like anything, so quoted passages, and whole answers of tasks that read text, are only searched for
broken characters and long loops.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise

from smallsight.policy.loops import has_character_loop, longest_loop, tail_loop
from smallsight.policy.word_shapes import has_mixed_scripts, is_misshapen

__all__ = ["gibberish_reasons"]

# A quotation begins after a space and ends before one or a sign; the last one of a text may have no end.
_QUOTED = re.compile(
    r"(?<![\w\"])\"(?=[^\s\"])[^\"]*(?<=\S)\"(?![\w\"])|“[^”]*(?:”|$)|«[^»]*(?:»|$)|„[^“”]*(?:[“”]|$)"
)
_UNCLOSED = re.compile(r"(?<![\w\"])\"(?=[^\s\"])[^\"]*$")
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_RULES = ".-_=*~#·•…─━0"  # what lines are drawn and columns are filled with
_FLOOD = re.compile(rf"([^\s{re.escape(_RULES)}])\1{{29,}}")
_BROKEN = "\ufffd"
_LINE_ENDS = "\t\n\r"
_LAST_LATIN = "\u024f"

_DOUBLED = re.compile(r"\b([^\W\d_]+)(?=\s+\1\b)", re.IGNORECASE)
_ARTICLES = frozenset({"a", "an", "the"})
_NOT_AFTER_ARTICLES = frozenset(
    {"a", "an", "the", "and", "or", "of", "with", "at", "is", "are", "says", "there", "."}
)
_SMALL_WORDS = (
    "The A An There This And Or Of With At On In Is Are No One Two Three Four Five Six Says Has "
    "Black White Grey Red Green Blue Yellow Nothing"
)
_MISPLACED_CAPITAL = re.compile(rf"\b[a-z]+[ \t]+(?:{'|'.join(_SMALL_WORDS.split())})\b")
_MISPLACED_SIGN = re.compile(r"\s[.,](?=\s|$)|[,;:]\s*[,;.](?!\.)|\.\s+[.,;]|(?<![\d\"])\"|[^\W\d],[^\W\d]")
_ONLY_ENGLISH = frozenset({"the", "and", "with", "there", "says", "this", "that"})
_ENGLISH = _ONLY_ENGLISH | {"are", "is", "of"}


def gibberish_reasons(
    text: str,
    *,
    finish_reason: str | None = None,
    max_tokens_reached: bool = False,
    reads_text: bool = False,
    is_word: Callable[[str], bool] | None = None,
) -> tuple[str, ...]:
    """Return why a text is gibberish, in a few words each; nothing if it may be an answer.

    ``finish_reason`` "length" or ``max_tokens_reached`` says that the answer was cut off. ``reads_text`` says
    that it is what a picture says. ``is_word`` tells English words, in lower case; without it, words are
    judged by their shape only. An empty answer is not gibberish, and neither is a single word.
    """
    is_cut = max_tokens_reached or finish_reason == "length"
    if is_cut:
        text = text.rstrip(_BROKEN)  # a character whose last bytes were cut off
    own = "" if reads_text else _without_quotations(text)
    words = _words(text)
    found = [
        ("characters that are no text", any(map(_is_no_text, text))),
        ("the same words in a loop", _loops(words, own) or bool(_FLOOD.search(text))),
        ("cut off in a loop", is_cut and _ends_in_loop(words, min_rounds=6 if reads_text else 4)),
    ]
    if own:
        found += _in_own_words(own, is_cut, is_word)
    return tuple(reason for reason, applies in found if applies)


def _in_own_words(
    own: str, is_cut: bool, is_word: Callable[[str], bool] | None
) -> Iterator[tuple[str, bool]]:
    """Yield what is wrong with the words that the model chose itself."""
    words, tokens = _words(own), own.split()
    num = len(words)
    doubled = [word.casefold() for word in _DOUBLED.findall(own)]
    is_stutter = len(doubled) >= (3 if len(set(doubled)) > 1 else 5)
    yield "words that are repeated at once", is_stutter and len(doubled) >= 0.15 * num
    yield (
        "few different words",
        num >= 20 and _relative_entropy(words) < (0.45 if _is_list(own, num) else 0.62),
    )
    yield "few or too many different characters", _has_odd_entropy(own)
    misshapen = sum(map(is_misshapen, tokens))
    yield "misshapen words", misshapen >= 2 and misshapen >= 0.15 * len(tokens)
    yield "words in several scripts", has_mixed_scripts(_WORD.findall(own))
    wrong = _num_wrong_articles(own, is_cut) + len(_MISPLACED_CAPITAL.findall(own))
    yield "words that do not go together", wrong >= 2 and wrong >= 0.1 * num
    signs = len(_MISPLACED_SIGN.findall(own))
    yield "signs out of place", signs >= 3 and signs >= 0.1 * len(tokens)
    yield "words that do not exist", is_word is not None and _has_no_words(own, is_word)


def _without_quotations(text: str) -> str:
    """Return a text with an ellipsis for each quotation."""
    text = _QUOTED.sub("…", text)
    return _UNCLOSED.sub("…", text) if text.count('"') == 1 else text


def _is_list(own: str, num_words: int) -> bool:
    return 6 * (own.count(",") + own.count("\n")) >= num_words


def _words(text: str) -> list[str]:
    return [word.casefold() for word in _WORD.findall(text)]


def _is_no_text(character: str) -> bool:
    is_control = character < " " or "\x7f" <= character < "\xa0"
    is_surrogate = "\ud800" <= character <= "\udfff"
    return character == _BROKEN or is_surrogate or (is_control and character not in _LINE_ENDS)


def _loops(words: list[str], own: str) -> bool:
    """Return whether a passage comes far too often: a refrain that was read from a picture does not."""
    if has_character_loop(own):
        return True
    rounds, length = longest_loop([word for word in _words(own) if not word.isdigit()])
    if rounds >= 4 and length >= 8:
        return True
    rounds, length = longest_loop([word for word in words if not word.isdigit()])
    return rounds >= 8 and length >= 24


def _ends_in_loop(words: list[str], min_rounds: int) -> bool:
    if words and words[-1].isdigit():
        return False
    rounds, length = tail_loop(words)
    if length < 6:
        rounds, length = tail_loop(words[:-1])  # the last word may be incomplete
    return rounds >= min_rounds or (rounds >= 3 and length >= 9)


def _relative_entropy(words: list[str]) -> float:
    """Return the entropy of the words by that of as many different ones, 0 to 1."""
    return _entropy(words) / math.log2(len(words))


def _has_odd_entropy(own: str) -> bool:
    """Return whether Latin text has fewer or more kinds of characters than words have."""
    letters = [one for one in own.casefold() if not one.isspace() and one not in _RULES]
    if len(letters) < 40 or any(one > _LAST_LATIN for one in letters if one.isalpha()):
        return False
    return not 2.8 <= _entropy(letters) <= 5.4


def _entropy(values: Iterable[str]) -> float:
    counts = Counter(values)
    total = counts.total()
    return -sum(num / total * math.log2(num / total) for num in counts.values())


def _num_wrong_articles(own: str, is_cut: bool) -> int:
    """Return how many English articles are followed by what no article stands before."""
    tokens = re.findall(r"[^\W_]+|[.…]", own)
    if not is_cut and tokens[-1:] != ["."]:
        tokens.append(".")
    pairs = [
        (one.casefold(), other.casefold()) for one, other in pairwise(tokens) if (one, other) != ("A", ".")
    ]
    return sum(one in _ARTICLES and other in _NOT_AFTER_ARTICLES for one, other in pairs)


def _has_no_words(own: str, is_word: Callable[[str], bool]) -> bool:
    """Return whether most words of an answer in English are none; names are not looked up."""
    words = _words(own)
    english = [word for word in words if word in _ENGLISH]
    is_english = len(set(english)) > 1 and not _ONLY_ENGLISH.isdisjoint(english)
    if not is_english or len(english) < 0.1 * len(words):
        return False
    lower = [word for word in _WORD.findall(own) if len(word) > 2 and word.isascii() and word.islower()]
    unknown = sum(not is_word(word) for word in lower)
    return unknown >= 4 and unknown > 0.4 * len(lower)
