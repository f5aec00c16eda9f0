"""How long a model stays loaded after an answer, as Ollama's clients write it.

Source: Ollama's api/types.go, which reads Go durations, and numbers as seconds.
"""

from __future__ import annotations

import math
import re

from smallsight.errors import BadRequestError
from smallsight.lending.resident_models import FOREVER_S

_UNITS_S = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = r"(\d{1,12}(?:\.\d{0,9})?|\.\d{1,9})(ns|us|µs|μs|ms|s|m|h)"
_DURATION = re.compile(rf"([+-]?)((?:{_PART}){{1,8}})")
_NUMBER = re.compile(r"[+-]?\d{1,12}(\.\d{1,9})?")
_MAX_S = 10 * 365 * 24 * 3600.0
_MAX_CHARS = 100


def keep_alive_s(given: float | str | None) -> float | None:
    """Return seconds, ``FOREVER_S`` for negative ones, and None if nothing is given.

    Raises BadRequestError for a text that is not a duration.
    """
    if given is None:
        return None
    seconds = _seconds_of(given) if isinstance(given, str) else float(given)
    if math.isnan(seconds):
        raise _unreadable(str(given))
    return FOREVER_S if seconds < 0 else min(seconds, _MAX_S)


def _seconds_of(text: str) -> float:
    text = text.strip()
    if len(text) > _MAX_CHARS:
        raise _unreadable(text[:_MAX_CHARS])
    if _NUMBER.fullmatch(text):
        return float(text)
    found = _DURATION.fullmatch(text)
    if found is None:
        raise _unreadable(text)
    seconds = sum(float(number) * _UNITS_S[unit] for number, unit in re.findall(_PART, found[2]))
    return -seconds if found[1] == "-" else seconds


def _unreadable(given: str) -> BadRequestError:
    return BadRequestError(
        f"keep_alive cannot be {given!r}.",
        hint='use seconds, or a duration such as "5m".',
        param="keep_alive",
    )
