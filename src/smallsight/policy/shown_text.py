"""Makes text from files, models and other servers safe to show on a terminal.

A control character can recolour the screen, set a window's title or write the clipboard; a line break in a
name looks like another name; a mark that turns the direction of writing hides a suffix.
"""

from __future__ import annotations

import re
import unicodedata

_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})  # control, half of a pair, line and paragraph separator


def on_one_line(text: object) -> str:
    r"""Return a name or message with line breaks, tabs and other control characters escaped, as ``\x1b``."""
    return _escaped(str(text), kept="")


def in_lines(text: str) -> str:
    """Return a text with all control characters escaped but line breaks and tabs."""
    return _escaped(text, kept="\n\t")


def shortened(text: str, max_chars: int) -> str:
    """Return a message in which every longer name, in quotes or without a space, is cut to about that length.

    What somebody else wrote may be as long as they like; the sentence around it stays readable.
    """
    if len(text) <= max_chars:
        return text
    return re.sub(
        rf"'[^']{{{max_chars},}}'|\"[^\"]{{{max_chars},}}\"|\S{{{max_chars},}}",
        lambda found: f"{found[0][: max_chars - 20]}…{found[0][-10:]}",
        text,
    )


def _escaped(text: str, kept: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    return "".join(one if one in kept or not _is_hidden(one) else _escape(one) for one in text)


def _is_hidden(character: str) -> bool:
    return character in _TURNING or unicodedata.category(character) in _CATEGORIES


def _escape(character: str) -> str:
    short = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(character)
    point = ord(character)
    return short or (f"\\x{point:02x}" if point < 0x100 else f"\\u{point:04x}")
