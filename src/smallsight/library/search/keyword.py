"""Keyword search: which contents hold the words of a query, best first.

Looks for all words as written and, only while that finds too little, for words as prefixes and in other
spellings, parts of words, corrected misspellings and misreadings, and finally some of the words. Words
without content (the, of) do not count, unless the query has no others.
Each step is complete up to the newest ``MAX_FOUND`` contents. Up to 250 of them, and 100 that have the
words as name or tag, are read and ranked; the rest follow in the order of their step, newest first. Nothing
here depends on the requested page, so that the pages of one search are consistent.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from smallsight.library.search.function_words import counted_units
from smallsight.library.search.lost_spaces import spellings_without_spaces
from smallsight.library.search.query import Query, Unit
from smallsight.library.search.ranking import Match, Tier, WantedUnit, match_texts
from smallsight.library.search.text_index import Condition, IndexView, WordForm
from smallsight.library.search.word_forms import (
    inflections,
    joined_spellings,
    parted_spellings,
    parts_of,
)

MAX_FOUND = 1_000
_PLENTY = 200  # contents found, by all words or by one, from which weaker kinds of match are not tried
_FEW = 10  # with fewer, contents that hold only some of the words are offered too
_MAX_RANKED, _MAX_RANKED_BY_NAME = 250, 100
_MAX_PARTIAL = 100
_MAX_COUNTED = 5_000  # beyond that a word is just common
_MAX_EXPANDED = 8  # units of a query that are looked for inside words and as misspellings
_RARE_ENOUGH_TO_CORRECT = 2


@dataclass(frozen=True, slots=True)
class KeywordResult:
    """Content ids, best first, how each of them matched, and what else was looked for.

    ``corrections`` are of words that may be misspelt; ``spellings`` maps the text of units to all other terms
    and phrases that were looked for, these too.
    """

    ids: tuple[int, ...]
    matches: dict[int, Match]
    corrections: dict[str, list[str]]
    spellings: dict[str, list[str]]


def search_keywords(view: IndexView, query: Query) -> KeywordResult:
    """Find the contents that hold the words of a query, which must have at least one."""
    return _KeywordSearch(view, query).run()


class _KeywordSearch:
    def __init__(self, view: IndexView, query: Query) -> None:
        self._view = view
        self._query = query
        self._units = counted_units(query.units)
        self._found: dict[int, Tier] = {}
        self._by_name: list[int] = []
        self._corrections: dict[str, list[str]] = {}
        self._slips: dict[str, list[str]] = {}
        self._spellings: dict[Unit, list[str]] = {}
        self._counts: dict[Unit, int] = {}  # contents that hold the unit as written, for several units
        self._forms: dict[Unit, list[WordForm]] = {}  # what a unit is looked for as

    def run(self) -> KeywordResult:
        self._look_for_all(Tier.EXACT, [[WordForm(unit.text)] for unit in self._units])
        if len(self._found) > _MAX_RANKED:
            self._look_in_names()
        if len(self._units) > 1:
            self._counts = {
                unit: self._num_with_any([WordForm(unit.text)], _MAX_COUNTED) for unit in self._units
            }
        if len(self._found) < _PLENTY:
            self._look_for_weaker_matches()
        return self._ranked()

    def _look_for_all(self, tier: Tier, groups: Sequence[Sequence[WordForm]]) -> None:
        limit = _MAX_PARTIAL if tier is Tier.PARTIAL else MAX_FOUND
        condition = Condition(tuple(tuple(dict.fromkeys(group)) for group in groups), self._query)
        for content_id in self._view.newest(condition, limit):
            self._found.setdefault(content_id, tier)

    def _look_in_names(self) -> None:
        """Among many contents, include those that have the words in their name or as a tag."""
        groups = tuple((WordForm(unit.text),) for unit in self._units)
        condition = Condition(groups, self._query, in_names=True)
        self._by_name = self._view.newest(condition, _MAX_RANKED_BY_NAME)

    def _look_for_weaker_matches(self) -> None:
        """Look for prefixes, parts of words, misspellings, and some of the words, in this order.

        A word that is common as written does not match longer ones, unless it is the last one, which may be
        half typed.
        """
        self._forms = {
            unit: [_as_prefix(unit) if self._counts.get(unit, 0) < _PLENTY else WordForm(unit.text)]
            for unit in self._units
        }
        for unit in self._units[:_MAX_EXPANDED]:
            self._spellings[unit] = _other_spellings(self._view, unit)
            self._forms[unit] += map(WordForm, self._spellings[unit])
        last = self._units[-1]
        self._look_for_all(Tier.PREFIX, [*self._all_forms()[:-1], [_as_prefix(last), *self._forms[last]]])
        if len(self._found) >= _PLENTY:
            return
        rare = [unit for unit in self._units if self._is_rare(unit)][:_MAX_EXPANDED]
        if self._add_parts(rare):
            self._look_for_all(Tier.SUBSTRING, self._all_forms())
        if len(self._found) < _PLENTY and self._add_corrections(rare) + self._add_slips(rare):
            self._look_for_all(Tier.TYPO, self._all_forms())
        if len(self._units) > 1 and len(self._found) < _FEW:
            self._look_for_some_words()

    def _is_rare(self, unit: Unit) -> bool:
        """Return whether few contents hold this word or a word that starts with it.

        One or two letters are part of a great many words, so they count as rare only if nothing holds them.
        """
        few = _PLENTY if len(unit.text) >= 3 else 1
        if len(unit.terms) > 1 or unit.is_literal or self._counts.get(unit, 0) >= few:
            return False
        return self._num_holding(unit, few) < few

    def _num_holding(self, unit: Unit, limit: int) -> int:
        """Count the contents that hold any form of this unit looked for so far, up to limit."""
        if len(self._units) == 1 and not self._query.is_filtered:
            return min(len(self._found), limit)
        return self._num_with_any(self._forms[unit], limit)

    def _num_with_any(self, forms: Sequence[WordForm], limit: int) -> int:
        return self._view.count(Condition((tuple(forms),)), limit)

    def _all_forms(self) -> list[list[WordForm]]:
        return [self._forms[unit] for unit in self._units]

    def _add_parts(self, units: Sequence[Unit]) -> bool:
        num_added = 0
        for unit in units:
            containing = self._view.terms_containing(unit.text)
            self._forms[unit] += map(WordForm, containing)
            num_added += len(containing)
        return num_added > 0

    def _add_corrections(self, units: Sequence[Unit]) -> bool:
        for unit in units:
            held_by = self._num_holding(unit, _RARE_ENOUGH_TO_CORRECT + 1)
            if held_by <= _RARE_ENOUGH_TO_CORRECT and (likely := self._view.corrections(unit.text, held_by)):
                self._corrections[unit.text] = likely
                self._forms[unit] += map(WordForm, likely)
        return bool(self._corrections)

    def _add_slips(self, units: Sequence[Unit]) -> bool:
        for unit in units:
            if unit.text in self._corrections:
                continue
            held_by = self._num_with_any([WordForm(unit.text)], _PLENTY)
            if likely := self._view.slips(unit.text, held_by):
                self._slips[unit.text] = likely
                self._forms[unit] += map(WordForm, likely)
        return bool(self._slips)

    def _look_for_some_words(self) -> None:
        """Drop words, common ones first, until enough is found; the most common are not used alone.

        What was quoted is never dropped.
        """
        quoted = list(self._query.quoted)
        held_by = {unit: self._counts[unit] or self._num_holding(unit, _PLENTY) for unit in self._units}
        rarest = sorted((unit for unit in self._units if held_by[unit]), key=lambda unit: held_by[unit])
        choices = [rarest[:size] for size in (8, 6, 4, 3, 2) if size <= len(rarest)]
        if 3 <= len(rarest) <= 6:
            choices += [[other for other in rarest if other is not unit] for unit in rarest]
        choices += [[unit] for unit in rarest if held_by[unit] < _MAX_COUNTED or unit is rarest[0]]
        for choice in choices:
            if len(self._found) >= _MAX_PARTIAL:
                return
            kept = [*(unit for unit in quoted if unit not in choice), *choice]
            self._look_for_all(Tier.PARTIAL, [self._forms[unit] for unit in kept])

    def _ranked(self) -> KeywordResult:
        read = [*dict.fromkeys([*list(self._found)[:_MAX_RANKED], *self._by_name])]
        wanted = self._weighted_units()
        written = " ".join(unit.text for unit in self._query.units)
        matches = {
            content_id: match_texts(texts, wanted, written)
            for content_id, texts in self._view.texts(read).items()
        }
        unread = {tier: Match(tier, float(Tier.PARTIAL - tier), 1.0, frozenset({tier})) for tier in Tier}
        for content_id, tier in self._found.items():
            if content_id not in matches:
                matches[content_id] = unread[tier]
        ids = sorted(matches, key=lambda content_id: (-matches[content_id].score, -content_id))
        spellings = {
            unit.text: [*self._spellings.get(unit, ()), *self._replacements(unit)] for unit in self._units
        }
        return KeywordResult(tuple(ids), matches, self._corrections, spellings)

    def _replacements(self, unit: Unit) -> list[str]:
        return [*self._corrections.get(unit.text, ()), *self._slips.get(unit.text, ())]

    def _weighted_units(self) -> list[WantedUnit]:
        num_contents = self._view.newest_id() if self._counts else 0
        return [
            WantedUnit(
                unit,
                tuple(self._replacements(unit)),
                _rarity(self._counts[unit], num_contents) if self._counts else 1.0,
                tuple(self._spellings.get(unit, ())),
            )
            for unit in self._units
        ]


def _other_spellings(view: IndexView, unit: Unit) -> list[str]:
    """Return the inflections of a word, or its spellings with other spaces, that the library has."""
    if unit.is_literal:
        return spellings_without_spaces(view, unit) if len(unit.terms) > 1 else []
    if len(unit.terms) > 1:
        return joined_spellings(unit.terms)
    word = unit.terms[0]
    inflected, parts = inflections(word), parts_of(word)
    if not inflected and not parts:
        return []
    known = view.known_terms([*inflected, *sorted(parts)])
    return [*(form for form in inflected if form in known), *parted_spellings(word, known)]


def _as_prefix(unit: Unit) -> WordForm:
    return WordForm(unit.text, goes_on=not unit.is_literal)


def _rarity(num_holding: int, num_contents: int) -> float:
    others = max(num_contents - num_holding, 0)
    return math.log(1 + (others + 0.5) / (num_holding + 0.5))
