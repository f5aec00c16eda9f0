"""Takes off icons that were read as Chinese or Japanese characters, where a picture has no such text.

A magnifying glass, a house or a menu before a word looks like one of thousands of characters.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from smallsight.reading.text_line import TextLine

__all__ = ["without_icons"]

_IDEOGRAPH = r"[\u2e80-\u30ff\u3105-\u312f\u31a0-\u4dbf\u4e00-\u9fff\uf900-\ufaff]"
_REAL = re.compile(rf"{_IDEOGRAPH}{{2}}")  # an icon stands alone
_BEFORE_A_WORD = re.compile(rf"^{_IDEOGRAPH}(?:\s*(?=[^\W\d]{{2}})(?!{_IDEOGRAPH})|\s+(?!{_IDEOGRAPH}))")
_AFTER_A_WORD = re.compile(rf"(?<={chr(92)}s){_IDEOGRAPH}$")
_ONLY = re.compile(rf"(?:{_IDEOGRAPH}|\s)+")
_SURE = 0.98


def without_icons(lines: Sequence[TextLine]) -> list[TextLine]:
    """Return the lines without characters that are likely icons, and without lines of nothing else."""
    if any(_REAL.search(line.text) for line in lines):
        return list(lines)
    kept = []
    for line in lines:
        if _ONLY.fullmatch(line.text):
            text = line.text if line.confidence >= _SURE else ""
        else:
            text = _AFTER_A_WORD.sub("", _BEFORE_A_WORD.sub("", line.text)).strip()
        if text:
            kept.append(line if text == line.text else replace(line, text=text))
    return kept
