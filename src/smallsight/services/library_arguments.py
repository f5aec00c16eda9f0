"""Checks what programs pass to the library: each raises ArgumentError with the name of the argument."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TypeAlias

from smallsight.errors.argument_types import as_list, as_path, as_whole, require_choice
from smallsight.library.search.text_index import Sort
from smallsight.services.library_results import FoundPicture

__all__ = ["EditedPictures", "PathOrText", "as_limit", "as_paths", "as_sort"]

PathOrText: TypeAlias = str | os.PathLike[str]
EditedPictures: TypeAlias = PathOrText | FoundPicture | Iterable[PathOrText | FoundPicture]
_MANY = 10_000


def as_paths(name: str, value: object) -> list[Path]:
    """Return the paths of one path or found picture, or of several."""
    is_one = isinstance(value, str | os.PathLike | FoundPicture)
    several = [value] if is_one else as_list(name, value, "paths")
    return [
        one.path if isinstance(one, FoundPicture) else as_path(f"A path of {name}", one) for one in several
    ]


def as_limit(limit: int | None) -> int | None:
    """Return how many results are wanted; None is the setting's number."""
    return None if limit is None else as_whole("limit", limit, 1, _MANY)


def as_sort(sort: str) -> Sort:
    """Return the order of this name."""
    require_choice("sort", sort, Sort)
    return Sort(sort)
