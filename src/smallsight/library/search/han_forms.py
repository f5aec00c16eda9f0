"""Chinese characters that have several forms: simplified, traditional, and those of Japan."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

_HAN = re.compile("[\u3400-\u9fff]")


def with_simplified_han(text: str) -> str:
    """Return the text with each Chinese character in its simplified form; its length stays."""
    return text.translate(_simplified()) if _HAN.search(text) else text


@cache
def _simplified() -> dict[int, str]:
    lines = files("smallsight.library.search").joinpath("han_forms.txt").read_text("utf-8").splitlines()
    pairs = (line.split() for line in lines if not line.startswith("#"))
    return {ord(other): form for form, others in pairs for other in others}
