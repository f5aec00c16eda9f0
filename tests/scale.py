"""How large the tests of robustness are: a tenth of what is promised, all with SMALLSIGHT_TEST_SCALE=10."""

from __future__ import annotations

import os

_SCALE = int(os.environ.get("SMALLSIGHT_TEST_SCALE", "1"))


def scaled(number: int) -> int:
    """Return the number for one tenth of the promised size, times the scale."""
    return number * _SCALE
