"""Selects the excerpt of a text to show for a hit, and highlights the words of the query in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass

from smallsight.library.search.query import Unit
from smallsight.library.search.tokens import Token, tokenize

MAX_EXCERPT_CHARS = 160
_MAX_CHARS_LOOKED_AT = 4_000
_MAX_SPANS_IN_REACH = 256
_LEAD_CHARS = 40  # shown before the first highlighted word

_Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Excerpt:
    """At most 160 characters of a text, and spans in them that matched."""

    text: str
    highlights: tuple[tuple[int, int], ...]
    num_matched: int  # distinct words of the query in it


class Highlighter:
    """Finds the words of one query in original texts."""

    def __init__(self, units: Sequence[Unit], spellings: Mapping[str, Sequence[str]]) -> None:
        """``spellings`` maps the text of units to what was also looked for, one or several terms each."""
        self._finders = [_finder(unit, spellings.get(unit.text, ())) for unit in units]
        self._found: dict[str, list[tuple[int, int, int]]] = {}  # the same texts are asked about again
        self._needles = [unit.terms[0] for unit in units] + [
            spelling.split()[0] for unit in units for spelling in spellings.get(unit.text, ())
        ]

    def best_excerpt(self, texts: Iterable[str | None]) -> Excerpt:
        """Return the excerpt with the most words of the query; on a tie, of the earlier text."""
        best = Excerpt("", (), -1)
        for text in texts:
            if text is not None and text.strip():
                excerpt = self.excerpt(text)
                if excerpt.num_matched > best.num_matched:
                    best = excerpt
                if best.num_matched == len(self._finders):
                    break
        return best if best.num_matched >= 0 else Excerpt("", (), 0)

    def spans(self, text: str) -> tuple[tuple[int, int], ...]:
        """Return every span of a text that matches the query, in order and without overlaps."""
        return _merged([(start, end) for start, end, _ in self._matches(text[:_MAX_CHARS_LOOKED_AT])])

    def excerpt(self, text: str) -> Excerpt:
        """Return the part of the text that has the most distinct words of the query close together."""
        text = text[:_MAX_CHARS_LOOKED_AT]
        spans = self._matches(text)
        first = 0
        num_matched = 0
        for position, (start, _, _) in enumerate(spans):
            reach = start + MAX_EXCERPT_CHARS - _LEAD_CHARS
            near = spans[position : position + _MAX_SPANS_IN_REACH]
            inside = {number for _, end, number in near if end <= reach} | {spans[position][2]}
            if len(inside) > num_matched:
                first, num_matched = start, len(inside)
            if num_matched == len(self._finders):
                break
        begin, end = _window(text, first)
        shown = [(max(a, begin) - begin, min(b, end) - begin) for a, b, _ in spans if a < end and b > begin]
        return Excerpt(text[begin:end], _merged(shown), num_matched)

    def _matches(self, text: str) -> list[tuple[int, int, int]]:
        """Return (start, end, index of the unit) for every match of a unit in a text."""
        found = self._found.get(text)
        if found is None:
            found = self._found[text] = self._spans(tokenize(text)) if self._may_match(text) else []
        return found

    def _may_match(self, text: str) -> bool:
        """Rule out most texts without any word of the query, without tokenising them."""
        if not text.isascii() or "'" in text:
            return bool(self._needles)
        lowered = text.lower()
        return any(needle in lowered for needle in self._needles)

    def _spans(self, tokens: Sequence[Token]) -> list[tuple[int, int, int]]:
        """Return (start, end, index of the unit) for every match of a unit."""
        found = [
            (start, end, number) for number, find in enumerate(self._finders) for start, end in find(tokens)
        ]
        return sorted(found)


def _finder(unit: Unit, spellings: Sequence[str]) -> Callable[[Sequence[Token]], list[_Span]]:
    """Return a function that finds this unit among tokens, as leniently as the search did."""
    others = {spelling for spelling in spellings if " " not in spelling}
    phrases = [Unit(tuple(spelling.split()), is_literal=True) for spelling in spellings if " " in spelling]
    finders = [_finder_of_one(unit, others), *(_finder_of_one(phrase, frozenset()) for phrase in phrases)]
    return lambda tokens: [span for find in finders for span in find(tokens)]


def _finder_of_one(unit: Unit, others: Set[str]) -> Callable[[Sequence[Token]], list[_Span]]:
    *before, last = unit.terms

    def find_word(tokens: Sequence[Token]) -> list[_Span]:
        return [(start, end) for term, start, end in tokens if last in term or term in others]

    def find_literal(tokens: Sequence[Token]) -> list[_Span]:
        return [(start, end) for term, start, end in tokens if term == last]

    def find_phrase(tokens: Sequence[Token]) -> list[_Span]:
        spans = []
        for position in range(len(tokens) - len(before)):
            if tokens[position].term != before[0]:
                continue
            *run, final = tokens[position : position + len(unit.terms)]
            if all(token.term == term for token, term in zip(run, before, strict=True)) and (
                final.term == last or (final.term.startswith(last) and not unit.is_literal)
            ):
                spans.append((run[0].start, final.end))
        return [*spans, *((start, end) for term, start, end in tokens if term in others)]

    if before:
        return find_phrase
    return find_literal if unit.is_literal else find_word


def _window(text: str, first: int) -> tuple[int, int]:
    """Return the span to show around position first, cut between words where possible."""
    if len(text) <= MAX_EXCERPT_CHARS:
        return 0, len(text)
    begin = max(0, min(first - _LEAD_CHARS, len(text) - MAX_EXCERPT_CHARS))
    if begin > 0:
        gap = text.find(" ", begin, first)
        begin = gap + 1 if gap >= 0 else begin
    end = min(begin + MAX_EXCERPT_CHARS, len(text))
    if end < len(text):
        gap = text.rfind(" ", begin + MAX_EXCERPT_CHARS // 2, end)
        end = gap if gap >= 0 else end
    return begin, end


def _merged(spans: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return tuple(merged)
