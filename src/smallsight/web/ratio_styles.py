"""Style rules for pictures of every aspect ratio.

The pages forbid styles inside HTML, so each picture has a class named by its rounded ratio, and the rules of
all classes are in one file. Rows and masonry then need no script, and nothing moves while pictures load.
"""

from __future__ import annotations

_MIN_STEP, _MAX_STEP = 8, 60  # ratios from 0.4 to 3 in steps of 0.05
_STEPS_PER_UNIT = 20
_MASONRY_ROWS = 24  # rows of the masonry grid that a square picture covers


def ratio_class(width_px: int | None, height_px: int | None) -> str:
    """Return the class for a picture of this size; a square one if the size is unknown."""
    if not width_px or not height_px:
        return f"r{_STEPS_PER_UNIT}"
    return f"r{min(max(round(_STEPS_PER_UNIT * width_px / height_px), _MIN_STEP), _MAX_STEP)}"


def ratio_styles() -> str:
    """Return the rules of all ratio classes.

    In rows, a tile's share of the width is its ratio. In masonry, it covers the rows that its height needs.
    """
    rules = []
    for step in range(_MIN_STEP, _MAX_STEP + 1):
        ratio = step / _STEPS_PER_UNIT
        rules.append(
            f".r{step}{{--ratio:{ratio:g};--rows:{round(_MASONRY_ROWS / ratio)}}}",
        )
    return "\n".join(rules) + "\n"
