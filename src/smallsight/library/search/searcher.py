"""The entry point of search: runs keyword and vector search for what a person typed, and joins both."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

from smallsight.errors import NotInLibraryError
from smallsight.library.search.excerpt import Highlighter
from smallsight.library.search.filtered import nearest_passing
from smallsight.library.search.function_words import counted_units
from smallsight.library.search.fusion import fuse
from smallsight.library.search.hits import Finding, Hit, hits_of
from smallsight.library.search.keyword import MAX_FOUND, KeywordResult, search_keywords
from smallsight.library.search.looks import OpenPictureWords, looks_like_words
from smallsight.library.search.query import Query, parse_query
from smallsight.library.search.ranking import Match, Tier
from smallsight.library.search.relevance import SUPPORT_BELOW, holding_quotes, told_apart, with_support
from smallsight.library.search.text_index import (
    NO_FILTERS,
    Among,
    Condition,
    IndexView,
    Neighbour,
    Sort,
    TextIndex,
    WordForm,
)
from smallsight.library.search.tokens import tokenize
from smallsight.library_settings import LibrarySettings
from smallsight.policy.recently_used import RecentlyUsed

if TYPE_CHECKING:
    import numpy as np

    from smallsight.library.search.likeness import Likeness

    _Vectors: TypeAlias = dict[str, np.ndarray]  # float32 [D] of texts

_MIN_MEANT_CHARS = 3  # one or two letters are the beginning of a word, and mean nothing yet
_MAX_SEMANTIC = 100  # beyond these, similarity of meaning says little
_COUNTED_WITHOUT_WORDS = 1_000_000
_BYTES_PER_RANKED, _KEPT_BYTES = 400, 8 * 1024 * 1024  # about, for the lists of the last searches
_MAX_OFFSET, _MAX_LIMIT = 1_000_000_000, 10_000


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
    is_quick: bool = False  # what has a similar meaning was not looked for


@dataclass(frozen=True, slots=True)
class _Found:
    """The findings of one page, with the total and the corrections."""

    page: list[Finding]
    total: int
    corrections: dict[str, list[str]] = field(default_factory=dict)
    spellings: dict[str, list[str]] = field(default_factory=dict)
    is_quick: bool = False


@dataclass(frozen=True, slots=True)
class _Ranked:
    """All (content id, score) that words find, in their order, and how they were found."""

    scored: Sequence[tuple[int, float]]
    keywords: KeywordResult
    nearest: dict[int, Neighbour]
    looks: dict[int, Neighbour]
    is_quick: bool

    @property
    def num_bytes(self) -> int:
        return _BYTES_PER_RANKED * (1 + len(self.scored))


_NO_KEYWORDS = KeywordResult((), {}, {}, {})
_NOTHING = _Found([], 0)


class Searcher:
    """Searches one library; may be used from any thread.

    ``embed`` turns texts into unit vectors [N, D] of the embedder that made the vectors of the index; without
    it there is no semantic search, and a fused search is a keyword search. ``open_words`` returns the model
    that made the pictures' vectors; without it pictures are not found by what they show.
    """

    def __init__(
        self,
        index: TextIndex,
        settings: LibrarySettings,
        embed: Callable[[Sequence[str]], np.ndarray] | None = None,
        open_words: OpenPictureWords | None = None,
    ) -> None:
        self._open_words = open_words
        self._index = index
        self._settings = settings
        self._embed = embed
        self._lists = RecentlyUsed[tuple[int, Query, Mode, Sort, bool], _Ranked](
            _KEPT_BYTES, lambda one: one.num_bytes
        )

    def search(
        self,
        text: str,
        *,
        mode: Mode = Mode.FUSED,
        limit: int | None = None,
        offset: int = 0,
        sort: Sort = Sort.RELEVANCE,
        is_quick: bool = False,
    ) -> SearchResult:
        """Find pictures; any text is a valid search.

        An order other than relevance sorts what the words find. Without words all pictures that pass the
        filters are listed, the newest first where relevance is asked for. A quick search looks for meaning
        only where words find nothing, which takes half of the time; ``is_quick`` of the result says so.
        """
        started_s = time.perf_counter()
        mode = Mode(mode)
        limit = self._settings.search.limit if limit is None else min(max(limit, 0), _MAX_LIMIT)
        query = parse_query(text, self._settings.limits.max_query_chars)
        with self._index.reading() as view:
            start = min(max(offset, 0), _MAX_OFFSET)
            found = self._find(view, query, mode, start, limit, Sort(sort), is_quick=is_quick)
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
            is_quick=found.is_quick,
        )

    def find_all(self, text: str, *, mode: Mode = Mode.FUSED, sort: Sort = Sort.RELEVANCE) -> list[int]:
        """Return the ids of all contents that a search finds, best first or in another order.

        Beyond the first thousand, contents that hold all words as written follow, the last indexed first.
        """
        query = parse_query(text, self._settings.limits.max_query_chars)
        with self._index.reading() as view:
            found = self._find(view, query, Mode(mode), 0, _MAX_OFFSET, sort)
            ids = [one.content_id for one in found.page]
            if query.units and mode is not Mode.SEMANTIC and len(ids) >= MAX_FOUND:
                groups = tuple((WordForm(unit.text),) for unit in counted_units(query.units))
                ids += view.newest(Condition(groups, query), _MAX_OFFSET)
                if sort is not Sort.RELEVANCE:
                    return view.sorted_among(ids, sort)
        return list(dict.fromkeys(ids))

    def similar(
        self,
        content_id: int,
        *,
        words: str = "",
        limit: int | None = None,
        sort: Sort = Sort.RELEVANCE,
    ) -> SearchResult:
        """Return pictures that look like this one, then pictures whose texts mean something similar.

        Words with a plus or a minus change what they should look like; without a sign, they keep only those
        pictures that they find. Raises NotInLibraryError if there is no such content with a file, and
        NotEmbeddedError where a plus has no effect, because there are no vectors of pictures.
        """
        with self._index.reading() as view:
            if not view.passing([content_id], NO_FILTERS):
                raise NotInLibraryError(f"There is no picture with the id {content_id} in the library.")
            from smallsight.library.search.likeness import likeness_of  # noqa: PLC0415 - imports numpy

            return self._similar(view, likeness_of(view, content_id), words, limit, sort)

    def similar_to(
        self,
        likeness: Likeness,
        *,
        words: str = "",
        limit: int | None = None,
        sort: Sort = Sort.RELEVANCE,
    ) -> SearchResult:
        """Return what ``similar`` does for a picture that need not be in the library."""
        with self._index.reading() as view:
            return self._similar(view, likeness, words, limit, sort)

    def _similar(
        self, view: IndexView, likeness: Likeness, words: str, limit: int | None, sort: Sort
    ) -> SearchResult:
        from smallsight.library.search.likeness import AlikeSearch, most_alike  # noqa: PLC0415 - imports numpy
        from smallsight.library.search.look_arithmetic import with_words  # noqa: PLC0415 - imports numpy

        started_s = time.perf_counter()
        limit = self._settings.search.limit if limit is None else min(max(limit, 0), _MAX_LIMIT)
        query = parse_query(words, self._settings.limits.max_query_chars, is_by_picture=True)
        likeness = with_words(view, likeness, query, self._open_words)
        found = self._find(view, query, Mode.FUSED, 0, _MAX_LIMIT, Sort.RELEVANCE) if query.units else None
        wanted = AlikeSearch(
            query,
            only=None if found is None else frozenset(one.content_id for one in found.page),
            supporting=self._supporting(view, query),
            min_similarity=self._settings.search.min_similarity,
            limit=max(limit, _MAX_SEMANTIC),
        )
        alike = most_alike(view, likeness, wanted)
        if sort is not Sort.RELEVANCE:
            by_id = {one.content_id: one for one in alike}
            alike = [by_id[content_id] for content_id in view.sorted_among(list(by_id), sort)]
        highlighter = Highlighter(counted_units(query.units), {} if found is None else found.spellings)
        return SearchResult(
            hits=tuple(hits_of(view, alike[:limit], highlighter, query.folders)),
            total=len(alike),
            corrections={} if found is None else found.corrections,
            semantic_available=self._embed is not None,
            has_descriptions=view.has_descriptions(),
            elapsed_ms=(time.perf_counter() - started_s) * 1000,
        )

    def _supporting(self, view: IndexView, query: Query) -> dict[int, tuple[str, ...]]:
        """Return the contents that the words with a plus find by texts, best first, and how."""
        if not query.plus:
            return {}
        added = parse_query(" ".join(query.plus), self._settings.limits.max_query_chars)
        asked = replace(query, units=added.units, text=added.text, plus=(), minus=())
        keywords = search_keywords(view, asked)
        semantic = self._find_meaning(view, asked, asked.text, {})
        semantic = told_apart(view, asked, semantic, keywords, self._settings.search.min_similarity)
        near = {one.content_id for one in semantic}
        scored = _scored(Mode.FUSED, with_support(keywords, near), semantic, ())
        return {
            one: _found_by(keywords.matches.get(one), is_near=one in near, looks_like=False)
            for one, _ in scored
        }

    def _find(
        self,
        view: IndexView,
        query: Query,
        mode: Mode,
        offset: int,
        limit: int,
        sort: Sort,
        *,
        is_quick: bool = False,
    ) -> _Found:
        if not query.units:
            condition = Condition(query=query)
            order = Sort.NEWEST if sort is Sort.RELEVANCE else sort
            ids = view.listed(condition, order, limit, offset)
            total = view.count(condition, _COUNTED_WITHOUT_WORDS)
            return _Found([Finding(content_id, 0.0) for content_id in ids], total)
        ranked = self._ranked(view, query, mode, sort, is_quick=is_quick)
        page = []
        for content_id, score in ranked.scored[offset : offset + limit]:
            near, look = ranked.nearest.get(content_id), ranked.looks.get(content_id)
            match = ranked.keywords.matches.get(content_id)
            found_by = _found_by(match, is_near=near is not None, looks_like=look is not None)
            page.append(_finding(content_id, score, found_by, near, look))
        keywords = ranked.keywords
        return _Found(page, len(ranked.scored), keywords.corrections, keywords.spellings, ranked.is_quick)

    def _ranked(self, view: IndexView, query: Query, mode: Mode, sort: Sort, *, is_quick: bool) -> _Ranked:
        """Return what the words find, kept for other pages of the search until the library changes."""
        key = view.version, query, mode, sort
        ranked = self._lists.find((*key, False))  # the complete one is as good for a quick search
        quick = self._lists.find((*key, True)) if ranked is None else None
        ranked = quick if ranked is None and is_quick else ranked
        if ranked is None:
            embedded = self._expect_meaning(view, query) if mode is Mode.FUSED and not is_quick else {}
            if quick is not None:
                keywords = quick.keywords
            else:
                keywords = _NO_KEYWORDS if mode is Mode.SEMANTIC else search_keywords(view, query)
            ranked = self._rank(view, query, mode, sort, keywords, embedded, is_quick=is_quick)
            self._lists.remember((*key, ranked.is_quick), ranked)
        return ranked

    def _rank(
        self,
        view: IndexView,
        query: Query,
        mode: Mode,
        sort: Sort,
        keywords: KeywordResult,
        embedded: _Vectors,
        *,
        is_quick: bool,
    ) -> _Ranked:
        spelt = _with_corrections(query.text, keywords.corrections)
        joins = mode is Mode.FUSED and self._embed is not None
        is_quick = is_quick and joins and _is_meant(spelt) and bool(with_support(keywords, ()).ids)
        looks_for_meaning = mode is not Mode.KEYWORD and not is_quick
        semantic = self._find_meaning(view, query, spelt, embedded) if looks_for_meaning else []
        shown = with_support(keywords, {one.content_id for one in semantic}) if joins else keywords
        semantic = told_apart(view, query, semantic, shown, self._settings.search.min_similarity)
        looks = looks_like_words(view, query, spelt, self._open_words) if looks_for_meaning else []
        scored = _scored(mode, shown, semantic, [one.content_id for one in looks])
        if sort is not Sort.RELEVANCE:
            scores = dict(scored)
            scored = [(one, scores[one]) for one in view.sorted_among(list(scores), sort)]
        near, like = ({one.content_id: one for one in found} for found in (semantic, looks))
        return _Ranked(scored, keywords, near, like, is_quick)

    def _expect_meaning(self, view: IndexView, query: Query) -> _Vectors:
        """Begin with the meaning of words that will hardly be corrected, while words are looked for."""
        if self._embed is None or query.is_narrowed or not _is_meant(query.text):
            return {}
        words = {term for unit in query.units for term in unit.terms if len(term) > 1}
        if len(view.known_terms(sorted(words))) < len(words):
            return {}
        query_D = self._embed([query.text])[0].astype("float32")
        view.expect(query_D)
        return {query.text: query_D}

    def _find_meaning(self, view: IndexView, query: Query, text: str, embedded: _Vectors) -> list[Neighbour]:
        """Return at most 100 contents that pass the filters and whose texts mean something similar."""
        if self._embed is None or not _is_meant(text):
            return []
        query_D = embedded[text] if text in embedded else self._embed([text])[0].astype("float32")
        least = self._settings.search.min_similarity - SUPPORT_BELOW

        def find(num_asked: int, among: Among | None) -> list[Neighbour]:
            return view.neighbours(query_D, num_asked, min_similarity=least, among=among)

        return holding_quotes(view, query, nearest_passing(view, query, _MAX_SEMANTIC, find))


def _is_meant(text: str) -> bool:
    return not text.isascii() or len(text.strip()) >= _MIN_MEANT_CHARS


def _scored(
    mode: Mode, keywords: KeywordResult, semantic: Sequence[Neighbour], look_ids: Sequence[int]
) -> Sequence[tuple[int, float]]:
    """Return (content id, score), best first."""
    if mode is Mode.KEYWORD:
        return [(content_id, keywords.matches[content_id].score) for content_id in keywords.ids]
    pairs = [(one.content_id, one.similarity) for one in semantic]
    if mode is Mode.SEMANTIC:
        return fuse((), {}, pairs, look_ids) if look_ids else pairs
    return fuse(keywords.ids, keywords.matches, pairs, look_ids)


def _with_corrections(text: str, corrections: dict[str, list[str]]) -> str:
    """Return text with its words corrected, because encoders misinterpret misspelt words."""
    pieces, end = [], 0
    for token in tokenize(text):
        if token.term in corrections:
            pieces += [text[end : token.start], corrections[token.term][0]]
            end = token.end
    return "".join([*pieces, text[end:]])


def _found_by(match: Match | None, *, is_near: bool, looks_like: bool) -> tuple[str, ...]:
    kinds = match.kinds if match is not None else frozenset[Tier]()
    names = {
        "keyword": bool(kinds & {Tier.EXACT, Tier.PREFIX}),
        "substring": Tier.SUBSTRING in kinds,
        "typo": Tier.TYPO in kinds,
        "semantic": is_near,
        "looks_like": looks_like,
    }
    return tuple(name for name, is_so in names.items() if is_so)


def _finding(
    content_id: int, score: float, found_by: tuple[str, ...], near: Neighbour | None, look: Neighbour | None
) -> Finding:
    look_id = None if look is None else look.chunk_id
    if near is None:
        similarity = None if look is None else look.similarity
        return Finding(content_id, score, found_by, similarity, look_id=look_id)
    return Finding(content_id, score, found_by, near.similarity, near.chunk_id, look_id)
