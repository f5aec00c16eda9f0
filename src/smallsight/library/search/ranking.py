"""Scores how well one content matches the words of a query; pure functions of normalised texts.

The kind of the worst match decides first: all words as written, then words as prefixes, then parts of
words, then corrected misspellings, then only some of the words. Within a kind a saturating count of the words
decides, weighted by field and rarity (BM25 over fields, with fixed average lengths).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from smallsight.library.search.index_terms import BOUNDARY
from smallsight.library.search.query import Unit

# name, folder, tags, description, ocr
_COLUMN_WEIGHTS = (3.0, 1.0, 4.0, 2.0, 2.0)
_USUAL_CHARS = (20.0, 20.0, 20.0, 120.0, 120.0)
_SATURATION, _LENGTH_SHARE = 1.2, 0.75
_IN_ORDER_BONUS = 1.25


class Tier(IntEnum):
    """The kind of the worst match among all words; better ones first."""

    EXACT = 0
    PREFIX = 1
    SUBSTRING = 2
    TYPO = 3
    PARTIAL = 4  # some words did not match at all


@dataclass(frozen=True, slots=True)
class WantedUnit:
    """A unit of the query, the corrections that may replace it, its weight, and other spellings of it."""

    unit: Unit
    corrections: tuple[str, ...]
    weight: float
    spellings: tuple[str, ...] = ()  # inflections, and with other spaces


@dataclass(frozen=True, slots=True)
class Match:
    """How one content matched; ``coverage`` is the share of the words found, 0 to 1, by weight.

    ``score`` is 4 to 5 for the first tier and one less for each further one.
    """

    tier: Tier
    score: float
    coverage: float
    kinds: frozenset[Tier]


def match_texts(columns: Sequence[str], wanted: Sequence[WantedUnit], written: str = "") -> Match:
    """Score the texts of one content, in the order name, folder, tags, description, OCR.

    ``written`` is the whole query, with the words that do not count: a text that holds it is ranked higher.
    """
    padded = [f" {column} " for column in columns]
    whole = BOUNDARY.join(padded)
    kinds: set[Tier] = set()
    found_weight = all_weight = score = 0.0
    for one in wanted:
        all_weight += one.weight
        found = _best_form(whole, one)
        if found is None:
            continue
        kind, form = found
        kinds.add(kind)
        found_weight += one.weight
        score += one.weight * _weight_in_columns(padded, form)
    is_partial = found_weight < all_weight
    tier = Tier.PARTIAL if is_partial or not kinds else max(kinds)
    in_order = written or " ".join(one.unit.text for one in wanted)
    if " " in in_order and tier <= Tier.PREFIX and in_order in whole:
        score *= _IN_ORDER_BONUS
    relative = score / all_weight if all_weight else 0.0
    coverage = found_weight / all_weight if all_weight else 0.0
    if tier is Tier.PARTIAL:  # the rarity of what is found counts more than its frequency
        relative = coverage + 0.1 * relative
    return Match(tier, (Tier.PARTIAL - tier) + relative / (1 + relative), coverage, frozenset(kinds))


def _best_form(whole: str, wanted: WantedUnit) -> tuple[Tier, str] | None:
    text = wanted.unit.text
    if text in whole:
        if f" {text} " in whole:
            return Tier.EXACT, f" {text} "
        if not wanted.unit.is_literal and f" {text}" in whole:
            return Tier.PREFIX, f" {text}"
    for spelling in wanted.spellings:
        if f" {spelling} " in whole:
            return Tier.PREFIX, f" {spelling} "
    if text in whole and not wanted.unit.is_literal and len(wanted.unit.terms) == 1:
        return Tier.SUBSTRING, text
    for correction in wanted.corrections:
        if f" {correction} " in whole:
            return Tier.TYPO, f" {correction} "
    return None


def _weight_in_columns(padded: Sequence[str], form: str) -> float:
    total = 0.0
    for text, weight, usual_chars in zip(padded, _COLUMN_WEIGHTS, _USUAL_CHARS, strict=True):
        if times := text.count(form):
            length = 1 - _LENGTH_SHARE + _LENGTH_SHARE * len(text) / usual_chars
            total += weight * times / (times + _SATURATION * length)
    return total
