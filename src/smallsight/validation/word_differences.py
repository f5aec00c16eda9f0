"""Which words two answers share and which only one of them has, in reading order."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

from smallsight.validation.spaceless_scripts import SPACELESS

__all__ = ["Segment", "word_differences"]

Share = Literal["same", "base only", "variant only"]

# A word, or a character of a script without spaces, with the whitespace after it, so that the joined segments
# are the answer itself.
_WORDS = re.compile(rf"\s+|[{SPACELESS}]\s*|(?:(?![{SPACELESS}])[\w'’])+\s*|[^\w\s]\s*")


@dataclass(frozen=True, slots=True)
class Segment:
    """Neighbouring words of one or both answers; ``text`` has the whitespace between and after them."""

    text: str
    share: Share


def word_differences(base: str, variant: str) -> tuple[Segment, ...]:
    """Return both answers as one sequence of segments; where both have a word, it is spelt as in the base.

    Without the segments of the other, the segments of an answer are its words in their order. Words are
    compared with case and without the whitespace around them.
    """
    base_words, variant_words = _WORDS.findall(base), _WORDS.findall(variant)
    matcher = SequenceMatcher(
        None, [word.strip() for word in base_words], [word.strip() for word in variant_words], autojunk=False
    )
    found: list[Segment] = []
    for operation, i, i_end, j, j_end in matcher.get_opcodes():
        if operation == "equal":
            found.append(Segment("".join(base_words[i:i_end]), "same"))
            continue
        if i < i_end:
            found.append(Segment("".join(base_words[i:i_end]), "base only"))
        if j < j_end:
            found.append(Segment("".join(variant_words[j:j_end]), "variant only"))
    return tuple(found)
