"""The entry point of search: runs keyword and vector search for what a person typed, and joins both."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from smallsight.errors import NotInLibraryError
from smallsight.library.search.excerpt import Highlighter
from smallsight.library.search.function_words import counted_units
from smallsight.library.search.fusion import fuse
from smallsight.library.search.hits import Finding, Hit, hits_of
from smallsight.library.search.keyword import MAX_FOUND, KeywordResult, search_keywords
from smallsight.library.search.query import Query, parse_query
from smallsight.library.search.ranking import Match, Tier
from smallsight.library.search.relevance import SUPPORT_BELOW, holding_quotes, told_apart, with_support
from smallsight.library.search.similar import Hashes, differing_bits
from smallsight.library.search.text_index import (
    NO_FILTERS,
    Condition,
    IndexView,
    Neighbour,
    TextIndex,
    WordForm,
)
from smallsight.library.search.tokens import tokenize
from smallsight.settings import Settings

_MAX_SEMANTIC = 100  # beyond these, similarity of meaning says little
_MAX_SELECTED = 20_000  # contents that pass a filter; if there are more, they are not all listed
_COUNTED_WITHOUT_WORDS = 1_000_000
_MAX_OFFSET, _MAX_LIMIT = 1_000_000_000, 10_000
_MAX_SIMILAR_BITS = 14  # of 64, for pictures to count as similar; near duplicates differ in a third of these


class Mode(StrEnum):
    """Which kinds of search are run."""

    FUSED = "fused"
    KEYWORD = "keyword"
    SEMANTIC = "semantic"


@dataclass(frozen=True, slots=True)
class SearchResult:
    """One page of hits.

    ``total`` is a lower bound: keyword search stops at about 1,000 pictures for each kind of match,
    semantic search at 100. Without ``has_descriptions`` no picture has a description. ``corrections`` maps
    words that were hardly found as written to the words that were also looked for.
    """

    hits: tuple[Hit, ...]
    total: int
    corrections: dict[str, list[str]]
    semantic_available: bool
    has_descriptions: bool
    elapsed_ms: float


@dataclass(frozen=True, slots=True)
class _Found:
    """The findings of one page, with the total and the corrections."""

    page: list[Finding]
    total: int
    corrections: dict[str, list[str]] = field(default_factory=dict)
    spellings: dict[str, list[str]] = field(default_factory=dict)


_NO_KEYWORDS = KeywordResult((), {}, {}, {})


class Searcher:
    """Searches one library; may be used from any thread.

    ``embed`` turns texts into unit vectors [N, D] of the embedder that made the vectors of the index; without
    it there is no semantic search, and a fused search is a keyword search.
    """

    def __init__(
        self,
        index: TextIndex,
        settings: Settings,
        embed: Callable[[Sequence[str]], np.ndarray] | None = None,
    ) -> None:
        self._index = index
        self._settings = settings
        self._embed = embed

    def search(
        self, text: str, *, mode: Mode = Mode.FUSED, limit: int | None = None, offset: int = 0
    ) -> SearchResult:
        """Find pictures; any text is a valid search.

        Without words it lists the newest pictures that pass the filters.
        """
        started_s = time.perf_counter()
        mode = Mode(mode)
        limit = self._settings.search.limit if limit is None else min(max(limit, 0), _MAX_LIMIT)
        query = parse_query(text, self._settings.limits.max_query_chars)
        with self._index.reading() as view:
            found = self._find(view, query, mode, min(max(offset, 0), _MAX_OFFSET), limit)
            highlighter = Highlighter(counted_units(query.units), found.spellings)
            hits = hits_of(view, found.page, highlighter, query.folders)
            has_descriptions = view.has_descriptions()
        return SearchResult(
            hits=tuple(hits),
            total=found.total,
            corrections=found.corrections,
            semantic_available=self._embed is not None,
            has_descriptions=has_descriptions,
            elapsed_ms=(time.perf_counter() - started_s) * 1000,
        )

    def find_all(self, text: str, *, mode: Mode = Mode.FUSED) -> list[int]:
        """Return the ids of all contents that a search finds, best first.

        Beyond the first thousand, contents that hold all words as written follow, newest first.
        """
        query = parse_query(text, self._settings.limits.max_query_chars)
        with self._index.reading() as view:
            found = self._find(view, query, Mode(mode), 0, _MAX_OFFSET)
            ids = [one.content_id for one in found.page]
            if query.units and mode is not Mode.SEMANTIC and len(ids) >= MAX_FOUND:
                groups = tuple((WordForm(unit.text),) for unit in counted_units(query.units))
                ids += view.newest(Condition(groups, query), _MAX_OFFSET)
        return list(dict.fromkeys(ids))

    def similar(self, content_id: int, *, limit: int | None = None) -> list[Hit]:
        """Return pictures that look like this one, then pictures whose texts mean something similar.

        Raises NotInLibraryError if there is no such content with a file.
        """
        limit = self._settings.search.limit if limit is None else min(max(limit, 0), _MAX_LIMIT)
        with self._index.reading() as view:
            if not view.passing([content_id], NO_FILTERS):
                raise NotInLibraryError(f"There is no picture with the id {content_id} in the library.")
            by_look = _by_look(view.hashes(), content_id)
            by_text = self._similar_in_text(view, content_id, limit)
            present = view.passing([*by_look, *by_text], NO_FILTERS)
            findings = [one for one in _joined_similar(by_look, by_text) if one.content_id in present][:limit]
            return hits_of(view, findings, Highlighter((), {}))

    def _find(self, view: IndexView, query: Query, mode: Mode, offset: int, limit: int) -> _Found:
        if not query.units:
            condition = Condition(query=query)
            ids = view.newest(condition, limit, offset)
            total = view.count(condition, _COUNTED_WITHOUT_WORDS)
            return _Found([Finding(content_id, 0.0) for content_id in ids], total)
        keywords = search_keywords(view, query) if mode is not Mode.SEMANTIC else _NO_KEYWORDS
        spelt = _with_corrections(query.text, keywords.corrections)
        semantic = self._find_meaning(view, query, spelt) if mode is not Mode.KEYWORD else []
        if mode is Mode.FUSED and self._embed is not None:
            keywords = with_support(keywords, {one.content_id for one in semantic})
        semantic = told_apart(view, query, semantic, keywords, self._settings.search.min_similarity)
        scored = _scored(mode, keywords, semantic)
        nearest = {one.content_id: one for one in semantic}
        page = []
        for content_id, score in scored[offset : offset + limit]:
            near = nearest.get(content_id)
            found_by = _found_by(keywords.matches.get(content_id), is_near=near is not None)
            page.append(_finding(content_id, score, found_by, near))
        return _Found(page, len(scored), keywords.corrections, keywords.spellings)

    def _find_meaning(self, view: IndexView, query: Query, text: str) -> list[Neighbour]:
        """Return at most 100 contents that pass the filters and whose texts mean something similar to text.

        A filter that few contents pass is applied before similarities are compared; any other is cheaper to
        apply to the most similar contents, taking more until enough are left.
        """
        if self._embed is None:
            return []
        query_D = np.asarray(self._embed([text]), dtype=np.float32)[0]
        least = self._settings.search.min_similarity - SUPPORT_BELOW
        among = None
        num_asked = _MAX_SEMANTIC + _MAX_SEMANTIC // 4  # some may have lost their files since
        condition = Condition(query=query)
        if (query.tags or query.folders) and view.count(condition, _MAX_SELECTED) < _MAX_SELECTED:
            among = condition
        elif query.is_filtered:
            num_asked *= 6
        while True:
            near = view.neighbours(query_D, num_asked, min_similarity=least, among=among)
            passing = view.passing([one.content_id for one in near], query)
            kept = [one for one in near if one.content_id in passing]
            if len(kept) >= _MAX_SEMANTIC or len(near) < num_asked:
                return holding_quotes(view, query, kept[:_MAX_SEMANTIC])
            num_asked *= 4

    def _similar_in_text(self, view: IndexView, content_id: int, limit: int) -> dict[int, Neighbour]:
        """Return the contents nearest to any chunk of this one."""
        best: dict[int, Neighbour] = {}
        least = self._settings.search.min_similarity
        for vector_D in view.vectors_of(content_id):
            for one in view.neighbours(vector_D, limit + 1, min_similarity=least):
                known = best.get(one.content_id)
                if known is None or one.similarity > known.similarity:
                    best[one.content_id] = one
        best.pop(content_id, None)
        return best


def _scored(mode: Mode, keywords: KeywordResult, semantic: Sequence[Neighbour]) -> list[tuple[int, float]]:
    """Return (content id, score), best first."""
    if mode is Mode.KEYWORD:
        return [(content_id, keywords.matches[content_id].score) for content_id in keywords.ids]
    pairs = [(one.content_id, one.similarity) for one in semantic]
    if mode is Mode.SEMANTIC:
        return pairs
    return [(one.content_id, one.score) for one in fuse(keywords.ids, keywords.matches, pairs)]


def _with_corrections(text: str, corrections: dict[str, list[str]]) -> str:
    """Return text with its words corrected, because encoders misinterpret misspelt words."""
    pieces, end = [], 0
    for token in tokenize(text):
        if token.term in corrections:
            pieces += [text[end : token.start], corrections[token.term][0]]
            end = token.end
    return "".join([*pieces, text[end:]])


def _found_by(match: Match | None, *, is_near: bool) -> tuple[str, ...]:
    kinds = match.kinds if match is not None else frozenset[Tier]()
    names = {
        "keyword": bool(kinds & {Tier.EXACT, Tier.PREFIX}),
        "substring": Tier.SUBSTRING in kinds,
        "typo": Tier.TYPO in kinds,
        "semantic": is_near,
    }
    return tuple(name for name, is_so in names.items() if is_so)


def _finding(content_id: int, score: float, found_by: tuple[str, ...], near: Neighbour | None) -> Finding:
    if near is None:
        return Finding(content_id, score, found_by)
    return Finding(content_id, score, found_by, near.similarity, near.chunk_id)


def _by_look(hashes: Hashes, content_id: int) -> dict[int, float]:
    """Return the share of hash bits that agree, for the contents that look like this one, closest first."""
    rows = np.flatnonzero(hashes.content_ids_N == content_id)
    if not len(rows):
        return {}
    bits_N = differing_bits(hashes, int(rows[0]))
    near = np.flatnonzero((bits_N <= _MAX_SIMILAR_BITS) & (hashes.content_ids_N != content_id))
    near = near[np.argsort(bits_N[near], kind="stable")][:_MAX_LIMIT]
    return {int(hashes.content_ids_N[row]): 1 - int(bits_N[row]) / 64 for row in near.tolist()}


def _joined_similar(by_look: dict[int, float], by_text: dict[int, Neighbour]) -> list[Finding]:
    """Put pictures that look alike first, closest first, then those with similar texts."""
    findings = []
    for content_id in by_look.keys() | by_text.keys():
        look, near = by_look.get(content_id), by_text.get(content_id)
        names = (("similar_picture", look), ("similar_text", near))
        score = 1 + look if look is not None else 0.0 if near is None else near.similarity
        found_by = tuple(name for name, value in names if value is not None)
        findings.append(_finding(content_id, score, found_by, near))
    return sorted(findings, key=lambda finding: (-finding.score, finding.content_id))
