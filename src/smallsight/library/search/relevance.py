"""Decides which weak findings are good enough to be shown, so that a search for what is not there says so.

Pages of one search stay consistent: nothing here depends on the requested page.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from smallsight.library.search.function_words import counted_units
from smallsight.library.search.index_terms import BOUNDARY
from smallsight.library.search.keyword import KeywordResult
from smallsight.library.search.lost_spaces import spellings_without_spaces
from smallsight.library.search.query import Query
from smallsight.library.search.ranking import Tier
from smallsight.library.search.text_index import IndexView, Neighbour

# Tuned with benchmarks/search_quality.py.
_MIN_COVERAGE = 0.5  # of the words by weight, for some of them to be enough without a similar meaning
SUPPORT_BELOW = 0.05  # the lowest similarity, for a meaning to support some words
_CLEARLY_SIMILAR = 0.10  # above the lowest similarity, from where it says enough alone
_MIN_DISTINCTNESS = 0.10  # of a less similar hit


def with_support(keywords: KeywordResult, near_ids: Collection[int]) -> KeywordResult:
    """Leave out contents that hold less than half of the words, unless their meaning is similar too."""
    kept = tuple(
        content_id
        for content_id in keywords.ids
        if keywords.matches[content_id].tier is not Tier.PARTIAL
        or keywords.matches[content_id].coverage > _MIN_COVERAGE
        or content_id in near_ids
    )
    return keywords if len(kept) == len(keywords.ids) else replace(keywords, ids=kept)


def told_apart(
    view: IndexView, query: Query, near: Sequence[Neighbour], keywords: KeywordResult, least: float
) -> list[Neighbour]:
    """Leave out the less similar contents if their texts are near to any query, or the query is gibberish.

    A content that also holds words of the query stays.
    """
    if not near:
        return []
    words = [term for unit in counted_units(query.units) for term in unit.terms]
    is_gibberish = view.is_gibberish(words)
    found = set(keywords.ids)
    return [
        one
        for one in near
        if one.similarity >= least
        if one.content_id in found
        or one.similarity >= least + _CLEARLY_SIMILAR
        or (one.distinctness >= _MIN_DISTINCTNESS and not is_gibberish)
    ]


def holding_quotes(view: IndexView, query: Query, near: Sequence[Neighbour]) -> list[Neighbour]:
    """Leave out the contents that lack something quoted; spaces in phrases do not count."""
    if not query.quoted or not near:
        return list(near)
    wanted = [
        [unit.text, *(spellings_without_spaces(view, unit) if len(unit.terms) > 1 else ())]
        for unit in query.quoted
    ]
    holding = set()
    for content_id, columns in view.texts([one.content_id for one in near]).items():
        whole = f" {BOUNDARY} ".join(["", *columns, ""])
        if all(any(f" {text} " in whole for text in spellings) for spellings in wanted):
            holding.add(content_id)
    return [one for one in near if one.content_id in holding]
