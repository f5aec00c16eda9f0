"""Finds the nearest contents among those that pass the filters of a search, so that filters empty no list."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TypeAlias

from smallsight.library.search.query import Query
from smallsight.library.search.text_index import Among, Condition, IndexView, Neighbour

_MAX_SELECTED, _SELECTED_SHARE = 20_000, 10  # contents that pass a filter, or one in ten: no more are listed
_SPARE = 4  # one in four may have lost its file since

FindNear: TypeAlias = Callable[[int, Among | None], list[Neighbour]]


def nearest_passing(
    view: IndexView, query: Query, limit: int, find: FindNear, only: Collection[int] | None = None
) -> list[Neighbour]:
    """Return at most ``limit`` contents that pass, nearest first; ``find`` returns that many.

    A filter that few contents pass is applied before similarities are compared; any other is cheaper to apply
    to the nearest contents, taking more until enough are left. With ``only``, others do not count.
    """
    among = selected(view, query) if only is None else only
    num_asked = limit + limit // _SPARE
    if among is None and query.is_filtered:
        num_asked *= 6
    while True:
        near = find(num_asked, among)
        passing = view.passing([one.content_id for one in near], query)
        kept = [one for one in near if one.content_id in passing]
        if len(kept) >= limit or len(near) < num_asked:
            return kept[:limit]
        num_asked *= 4


def selected(view: IndexView, query: Query) -> Condition | None:
    """Return the condition for contents that pass, if they are few enough to be listed; else None."""
    condition = Condition(query=query)
    if not query.is_narrowed:
        return None
    most = max(_MAX_SELECTED, view.newest_id() // _SELECTED_SHARE)
    return condition if view.count(condition, most) < most else None
