"""Finds the newest contents for phrases that end in a long prefix, without merging all words it begins.

FTS5 merges everything that a prefix longer than its prefix indexes begins, before it looks at the rest of the
phrase, and again for each phrase. Here the prefix is cut to a length that has an index, which finds too much,
and what was found is compared with its texts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

from smallsight.library.search.index_terms import BOUNDARY
from smallsight.library.search.text_index import Condition, WordForm

_LONGEST_INDEXED = 4  # characters, in the definition of search_index
_PAGES = (250, 750)  # candidates; if these are not enough, a prefix that finds so much is not worth it
_NAME_COLUMNS = (0, 2)  # name and tags

# From a condition, how many, and an id to stay below, to the newest ids.
Newest: TypeAlias = Callable[[Condition, int, int | None], list[int]]
ReadTexts: TypeAlias = Callable[[Sequence[int]], dict[int, tuple[str, ...]]]


def with_indexed_prefixes(condition: Condition) -> Condition | None:
    """Return a condition that more contents meet, without phrases that end in a long prefix.

    None if it has no such phrases.
    """
    groups = tuple(tuple(map(_cut, group)) for group in condition.groups)
    return None if groups == condition.groups else replace(condition, groups=groups)


def newest_by_texts(
    condition: Condition, loose: Condition, limit: int, newest: Newest, read_texts: ReadTexts
) -> list[int] | None:
    """Return the newest that meet the condition, among those that meet the loose one; None after too many."""
    found: list[int] = []
    below: int | None = None
    for size in _PAGES:
        ids = newest(loose, size, below)
        texts = read_texts(ids)
        found += [one for one in ids if one in texts and meets(condition, texts[one])]
        if len(found) >= limit or len(ids) < size:
            return found[:limit]
        below = ids[-1]
    return None


def meets(condition: Condition, columns: Sequence[str]) -> bool:
    """Return whether the texts of a content hold a form of every group; filters are not looked at."""
    read = [columns[number] for number in _NAME_COLUMNS] if condition.in_names else columns
    whole = f" {BOUNDARY} ".join(["", *read, ""])
    return all(any(_start_of(form) in whole for form in group) for group in condition.groups)


def _start_of(form: WordForm) -> str:
    return f" {form.text}" if form.goes_on else f" {form.text} "


def _cut(form: WordForm) -> WordForm:
    begun, _, last = form.text.rpartition(" ")
    if not form.goes_on or not begun or len(last) <= _LONGEST_INDEXED:
        return form
    return WordForm(f"{begun} {last[:_LONGEST_INDEXED]}", goes_on=True)
