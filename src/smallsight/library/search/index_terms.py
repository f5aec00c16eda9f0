"""The marks in the search index besides words: tags and folders for filters, and boundaries.

Every mark starts with a private-use character, which no term of ``tokens`` can contain. A tag or one folder
of a path is one mark, so that a filter is one more word for the index to look up.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from smallsight.library.search.tokens import normalise

EVERY = "\ue000"  # in each row: a search without words looks for it
BOUNDARY = "\ue001"  # between names, tags and paths, so that no phrase spans two of them
_TAG, _FOLDER, _ESCAPE = "\ue002", "\ue003", "\ue004"
_NOT_INDEXABLE = re.compile("[^a-z0-9\u0080-\ud7ff\uf900-\U0010ffff]")
_SEPARATOR = re.compile(r"[/\\]")


def tag_mark(name: str) -> str:
    """Return the mark of a tag; names that differ only in case or accents share it."""
    return _TAG + _escaped(normalise(name))


def folder_marks(path: str) -> list[str]:
    """Return the marks of the folders in a path, outermost first."""
    parts = (normalise(part) for part in _SEPARATOR.split(path))
    return [_FOLDER + _escaped(part) for part in parts if part]


def folder_phrase(value: str) -> str:
    """Return the phrase to look for to find the pictures in a folder.

    The value names one folder or several nested ones, anywhere in the path of the picture, or from the root
    if it starts with a slash.
    """
    marks = folder_marks(value)
    if _SEPARATOR.match(value):
        marks.insert(0, BOUNDARY)
    return " ".join(marks)


def filter_column(tags: Iterable[str], folders: Iterable[str]) -> str:
    """Return all marks of one content, as they are stored."""
    marks = [EVERY, *(tag_mark(name) for name in tags)]
    for folder in folders:
        marks += [BOUNDARY, *folder_marks(folder)]
    return " ".join(marks)


def _escaped(text: str) -> str:
    return _NOT_INDEXABLE.sub(lambda match: f"{_ESCAPE}{ord(match[0]):x}{_ESCAPE}", text)
