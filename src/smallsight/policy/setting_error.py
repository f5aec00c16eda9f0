"""Puts what is wrong with one setting into words: of an option, of the file, or of the environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["setting_error"]

_CHOICES = re.compile(r"\^\(([a-z0-9_|]+)\)\$")
_OPTIONS = {"active_model": "--model"}  # where the name is not that of the setting


def setting_error(found: Mapping[str, Any], given: Mapping[str, Any], source: str) -> tuple[str, str]:
    """Return message and hint for an error of pydantic; ``given`` are the options, ``source`` is the rest."""
    path = [str(part) for part in found["loc"]]
    is_option = _holds(given, path)
    name = _OPTIONS.get(path[-1], f"--{path[-1].replace('_', '-')}") if is_option else ".".join(path)
    subject = name if is_option else f"Setting {name}"
    where = "give another value, or omit it." if is_option else f"check {source}."
    choices = _CHOICES.fullmatch(str(found.get("ctx", {}).get("pattern", "")))
    if choices is not None:
        allowed = ", ".join(choices[1].split("|"))
        hint = f"use one of {allowed}." if is_option else f"use one of {allowed}; {where}"
        return f"{subject} cannot be {found['input']!r}.", hint
    if found["type"] == "string_too_short" and found["input"] == "":
        return f"{subject} cannot be empty.", where
    return f"{subject} cannot be {found['input']!r}: {found['msg']}.", where


def _holds(given: Mapping[str, Any], path: list[str]) -> bool:
    """Return whether nested options hold a value at this path."""
    inner: Any = given
    for part in path:
        if not isinstance(inner, Mapping) or part not in inner:
            return False
        inner = inner[part]
    return True
