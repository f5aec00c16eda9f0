"""Drops settings that no longer exist from what files and the environment set, and says so once."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import cache
from typing import Any

__all__ = ["without_retired"]


def without_retired(values: Any, section: str, retired: Mapping[str, str]) -> Any:  # noqa: ANN401
    """Return the values of a section without retired ones; ``retired`` says of each why it is not needed."""
    if not isinstance(values, Mapping):
        return values
    for name in values.keys() & retired.keys():
        _say(f"The setting {section}.{name} is not used any more: {retired[name]}.")
    return {name: value for name, value in values.items() if name not in retired}


@cache
def _say(sentence: str) -> None:
    """Write a line to standard error, also before logging is configured."""
    sys.stderr.write(f"{sentence}\n")
