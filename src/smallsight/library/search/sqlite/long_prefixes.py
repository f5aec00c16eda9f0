"""Finds the newest contents for phrases with a condition that FTS5 answers sooner, and compares their texts.

FTS5 merges everything that a prefix longer than its prefix indexes begins, before it looks at the rest of the
phrase, and again for each phrase; of many phrases that differ in their first word, it opens the postings of
the others for each. So prefixes are cut to a length that has an index, and words that many phrases share are
looked up once, anywhere. That finds too much, and what was found is compared with its texts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

from smallsight.library.search.index_terms import BOUNDARY
from smallsight.library.search.text_index import Condition, WordForm

_LONGEST_INDEXED = 4  # characters, in the definition of search_index
_MIN_SHARING = 4  # phrases
_PAGES = (250, 750)  # candidates; if these are not enough, a prefix that finds so much is not worth it
_NAME_COLUMNS = (0, 2)  # name and tags

# From a condition, how many, and an id to stay below, to the newest ids.
Newest: TypeAlias = Callable[[Condition, int, int | None], list[int]]
ReadTexts: TypeAlias = Callable[[Sequence[int]], dict[int, tuple[str, ...]]]


def loosened(condition: Condition) -> list[tuple[Condition, Sequence[int]]]:
    """Return conditions that more contents meet and that take less time, and pages in which to try each."""
    cut = tuple(tuple(map(_cut, group)) for group in condition.groups)
    divided = tuple(
        part for group in condition.groups for part in _divided(group) or [tuple(map(_cut, group))]
    )
    tried: list[tuple[Condition, Sequence[int]]] = []
    if divided != cut:
        tried.append((replace(condition, groups=divided), _PAGES[:1]))
    if cut != condition.groups:
        tried.append((replace(condition, groups=cut), _PAGES))
    return tried


def _divided(group: Sequence[WordForm]) -> list[tuple[WordForm, ...]] | None:
    """Return the first words and each of the others, of phrases that differ in their first word alone."""
    rests = {(form.text.partition(" ")[2], form.goes_on) for form in group}
    rest, goes_on = min(rests)
    if len(group) < _MIN_SHARING or len(rests) > 1 or not rest:
        return None
    *between, last = rest.split(" ")
    firsts = tuple(WordForm(form.text.partition(" ")[0]) for form in group)
    ends = WordForm(last[:_LONGEST_INDEXED] if goes_on else last, goes_on)
    return [firsts, *((WordForm(word),) for word in between), (ends,)]


def newest_by_texts(
    condition: Condition,
    loose: Condition,
    pages: Sequence[int],
    limit: int,
    newest: Newest,
    read_texts: ReadTexts,
) -> list[int] | None:
    """Return the newest that meet the condition, among those that meet the loose one.

    None if the candidates of all pages were not enough.
    """
    found: list[int] = []
    below: int | None = None
    for size in pages:
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
