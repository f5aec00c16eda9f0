"""Puts what is wrong with one setting into words: of an option, of the file, or of the environment."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

__all__ = ["setting_error", "unknown_setting"]

_CHOICES = re.compile(r"\^\(([a-z0-9_|]+)\)\$")
_OPTIONS = {"active_model": "--model"}  # where the name is not that of the setting


def setting_error(
    found: Mapping[str, Any],
    given: Mapping[str, Any],
    source: str,
    names_beside: Callable[[Sequence[str]], Sequence[str]],
) -> tuple[str, str]:
    """Return message and hint for an error of pydantic.

    ``given`` are the options, ``source`` names the rest; ``names_beside`` returns the names that a path could
    end in.
    """
    path = [str(part) for part in found["loc"]]
    if found["type"] == "extra_forbidden":
        parent = ".".join(path[:-1])
        return unknown_setting(path[-1], names_beside(path), source, f"{parent}." if parent else "")
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


def unknown_setting(name: str, known: Sequence[str], source: str, parent: str = "") -> tuple[str, str]:
    """Return message and hint for a name that no setting has."""
    near = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {parent}{near[0]}?" if near else f"check {source}; `smallsight settings` lists all."
    return f"There is no setting {parent}{name}.", hint


def _holds(given: Mapping[str, Any], path: list[str]) -> bool:
    """Return whether nested options hold a value at this path."""
    inner: Any = given
    for part in path:
        if not isinstance(inner, Mapping) or part not in inner:
            return False
        inner = inner[part]
    return True
