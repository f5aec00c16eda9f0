"""Checks the types of what a program passes, so that a mistake is told by the name of its argument.

What a value means is up to the function that takes it.
"""

from __future__ import annotations

import operator
import os
from collections.abc import Iterable
from numbers import Real
from pathlib import Path
from typing import Any, TypeVar

from smallsight.errors import ArgumentError

__all__ = [
    "MAX_THREADS",
    "as_list",
    "as_number",
    "as_path",
    "as_texts",
    "as_whole",
    "require_callback",
    "require_choice",
    "require_instance",
    "require_text",
    "wrong_type",
]

MAX_THREADS = 1024  # of a model
_Kind = TypeVar("_Kind")


def require_instance(name: str, value: object, kind: type[_Kind], hint: str) -> _Kind:
    """Return a value of this type; raises ArgumentError for any other."""
    if not isinstance(value, kind):
        raise wrong_type(name, value, hint)
    return value


def require_text(name: str, value: object) -> str:
    """Return a text; raises ArgumentError for anything else."""
    return require_instance(name, value, str, "pass a str.")


def require_callback(name: str, value: object) -> None:
    """Raise ArgumentError for what cannot be called; None is no callback."""
    if value is not None and not callable(value):
        raise wrong_type(name, value, "pass a function, or None.")


def as_path(name: str, value: object) -> Path:
    """Return a path; raises ArgumentError for another type, and for a zero byte."""
    path = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not isinstance(path, str):
        raise wrong_type(name, value, "pass a path, as a str or a pathlib.Path.")
    if "\0" in path:
        raise ArgumentError(f"{name} cannot have a zero byte: {path!r}.", hint="check the path.")
    return Path(path)


def as_whole(name: str, value: Any, least: int, most: int) -> int:  # noqa: ANN401 - anything may be passed
    """Return an integer, also one of numpy; raises ArgumentError for another type or out of the range."""
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None or not least <= number <= most:
        raise ArgumentError(f"{name} cannot be {value!r}.", hint=f"use {least:,} to {most:,}.")
    return number


def require_choice(name: str, value: object, choices: Iterable[str]) -> None:
    """Raise ArgumentError for what is none of the texts to choose from."""
    known = list(choices)
    if not isinstance(value, str) or value not in known:
        raise ArgumentError(f"{name} cannot be {value!r}.", hint=f"use {', '.join(known)}.")


def as_number(name: str, value: Any, least: float, most: float) -> float:  # noqa: ANN401 - as above
    """Return a number; raises ArgumentError for another type or out of the range."""
    if not isinstance(value, Real) or not least <= float(value) <= most:
        raise ArgumentError(f"{name} cannot be {value!r}.", hint=f"use {least:g} to {most:g}.")
    return float(value)


def as_texts(name: str, value: object) -> tuple[str, ...]:
    """Return one text, or several, as a tuple; raises ArgumentError if there is anything else."""
    if isinstance(value, str):
        return (value,)
    return tuple(require_text(f"A value of {name}", one) for one in as_list(name, value, "str"))


def as_list(name: str, value: object, of: str) -> list[Any]:
    """Return several values as a list; raises ArgumentError for one, such as bytes."""
    if isinstance(value, Iterable) and not isinstance(value, str | bytes | bytearray | memoryview):
        return list(value)
    raise wrong_type(name, value, f"pass a list of {of}.")


def wrong_type(name: str, value: object, hint: str) -> ArgumentError:
    """Return the error for a value of a type that is not taken."""
    return ArgumentError(f"{name} cannot be of type {type(value).__name__}.", hint=hint)
