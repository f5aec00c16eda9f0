"""Writes the table of Chinese characters that search treats as one (simplified, traditional, Japanese).

The facts are those of OpenCC (Apache-2.0): ``pip install opencc==1.4.2``, then run this script.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

import opencc  # type: ignore[import-not-found]

TARGET = Path(__file__).parents[1] / "src" / "smallsight" / "library" / "search" / "han_forms.txt"
RANGES = ((0x3400, 0x4DBF), (0x4E00, 0x9FFF))
# Japanese, Hong Kong's and Taiwan's forms become traditional ones, and those simplified ones.
STEPS = [opencc.OpenCC(name) for name in ("jp2t", "hk2t", "tw2t", "t2s")]
HEADER = "# A simplified form, then its other forms: OpenCC 1.4.2, by docs/write_han_forms.py.\n"


def simplified(character: str) -> str:
    """Return the form on which all forms end; one that is written in several characters is left out."""
    while True:
        form = character
        for step in STEPS:
            converted = step.convert(form)
            form = converted if len(converted) == 1 else form
        if form == character:
            return form
        character = form


def main() -> None:
    """Write the table."""
    others = defaultdict(list)
    for first, last in RANGES:
        for point in range(first, last + 1):
            form = simplified(chr(point))
            if form != chr(point) and ord(form) <= 0xFFFF:
                others[form].append(chr(point))
    lines = [f"{form} {''.join(found)}\n" for form, found in sorted(others.items())]
    TARGET.write_text(HEADER + "".join(lines), encoding="utf-8")
    sys.stdout.write(f"{sum(map(len, others.values())):,} forms of {len(others):,} characters\n")


if __name__ == "__main__":
    main()
