"""Joins the results of words, of their meaning, and of looks into one list by reciprocal rank."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from smallsight.library.search.ranking import Match, Tier

_RANK_OFFSET = 60
_MIN_SIMILARITY_TO_LEAD = 0.6  # such semantic hits may rank above exact matches


class Fused(NamedTuple):
    """A content of the joined list; ``score`` is comparable only within one search."""

    content_id: int
    score: float


def fuse(
    keyword_ids: Sequence[int],
    matches: dict[int, Match],
    semantic: Sequence[tuple[int, float]],
    *other_ids: Sequence[int],
) -> list[Fused]:
    """Join keyword results, (content id, similarity) pairs and lists without either, each best first.

    A result counts 1 / (60 + rank) in each list; a keyword result that holds only some of the words counts
    in proportion. Contents that hold all words as written rank above everything except very similar semantic
    hits; ties go by content id, the newer first.
    """
    scores: dict[int, float] = {}
    leading = {content_id for content_id, similarity in semantic if similarity >= _MIN_SIMILARITY_TO_LEAD}
    for rank, content_id in enumerate(keyword_ids, start=1):
        match = matches[content_id]
        scores[content_id] = match.coverage / (_RANK_OFFSET + rank)
        if match.tier is Tier.EXACT:
            leading.add(content_id)
    for rank, (content_id, _) in enumerate(semantic, start=1):
        scores[content_id] = scores.get(content_id, 0.0) + 1 / (_RANK_OFFSET + rank)
    for ids in other_ids:
        for rank, content_id in enumerate(ids, start=1):
            scores[content_id] = scores.get(content_id, 0.0) + 1 / (_RANK_OFFSET + rank)
    ordered = sorted((content_id not in leading, -score, -content_id) for content_id, score in scores.items())
    return [Fused(-content_id, -score) for _, score, content_id in ordered]
