"""Style rules for the colours of tags: a class for each tag, and the rules of those that have a colour.

Text on a colour is black or white, whichever contrasts more: at least 4.58 to 1 on every colour.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache

from smallsight.library.search.tokens import normalise

_MAX_CACHED = 4096


@lru_cache(_MAX_CACHED)
def tag_class(name: str) -> str:
    """Return the class of a tag's chips, which holds nothing of the name itself."""
    return f"tag-{hashlib.sha256(normalise(name).strip().encode('utf-8', 'replace')).hexdigest()[:12]}"


def tag_rules(colours: Mapping[str, str]) -> str:
    """Return the rules for tags with a colour, "#rrggbb" by folded name."""
    rules = []
    for name, colour in colours.items():
        selector, text = f".{tag_class(name)}", text_colour(colour)
        rules.append(f"{selector}{{background:{colour};border-color:{colour};color:{text}}}")
        rules.append(f"{selector} :is(a,button,.soft){{color:{text}}}")
    return "\n".join(rules) + "\n"


def text_colour(colour: str) -> str:
    """Return the colour of text on a background, by the contrast ratio of WCAG."""
    luminance = _luminance(colour)
    on_black, on_white = (luminance + 0.05) / 0.05, 1.05 / (luminance + 0.05)
    return "#000000" if on_black >= on_white else "#ffffff"


def _luminance(colour: str) -> float:
    shares = []
    for start in (1, 3, 5):
        share = int(colour[start : start + 2], 16) / 255
        shares.append(share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4)
    return 0.2126 * shares[0] + 0.7152 * shares[1] + 0.0722 * shares[2]
