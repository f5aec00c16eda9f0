"""Reads the arguments of ``smallsight search`` where that needs no typer, which takes longer than the search.

``plain_search`` understands the options that are used every day. Whatever it does not understand, wrong usage
included, is left to typer; a test compares both readings.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from smallsight.cli.searching import SearchOptions

_MINUS_WORD = re.compile(r"-(?!-)(?!n\d+$)..+", re.DOTALL)  # not -q, not -n 5, not -n5
_MODES = frozenset({"fused", "keyword", "semantic"})
_SORTS = frozenset({"relevance", "newest", "oldest", "name", "size", "added"})
_MAX_LIMIT = 1000
_FLAGS = {
    "--paths": "paths",
    "--null": "null",
    "-0": "null",
    "--thumbnails": "thumbnails",
    "--json": "json",
    "--quiet": "quiet",
    "-q": "quiet",
}
_LIMITS = frozenset({"--limit", "-n"})
_DIGITS = re.compile(r"[0-9]{1,4}")


def plain_search(arguments: Sequence[str]) -> SearchOptions | None:
    """Return the search that a command line means, None if typer has to look at it."""
    if not arguments or arguments[0] != "search":
        return None
    options: dict[str, Any] = {}
    words: list[str] = []
    rest = iter(separate_minus_words(list(arguments))[1:])
    for argument in rest:
        if argument == "--":
            words += rest
        elif argument in _FLAGS:
            options[_FLAGS[argument]] = True
        elif argument == "--mode":
            options["mode"] = next(rest, "")
        elif argument == "--sort":
            options["sort"] = next(rest, "")
        elif argument in _LIMITS:
            value = next(rest, "")
            if not _DIGITS.fullmatch(value):
                return None
            options["limit"] = int(value)
        elif argument.startswith("-"):
            return None
        else:
            words.append(argument)
    is_understood = options.get("mode", "fused") in _MODES and options.get("sort", "name") in _SORTS
    is_understood = is_understood and 1 <= options.get("limit", 1) <= _MAX_LIMIT
    return SearchOptions(tuple(words), **options) if words and is_understood else None


def separate_minus_words(arguments: list[str]) -> list[str]:
    """Move words like ``-monday`` of a search behind ``--``, so that they are not parsed as options."""
    command = next((argument for argument in arguments if not argument.startswith("-")), None)
    if command not in {"search", "export"} or "--" in arguments:
        return arguments
    minus_words = [argument for argument in arguments if _MINUS_WORD.fullmatch(argument)]
    others = [argument for argument in arguments if not _MINUS_WORD.fullmatch(argument)]
    return [*others, "--", *minus_words] if minus_words else arguments
