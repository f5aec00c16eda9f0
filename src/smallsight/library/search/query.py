"""Parses what a person typed: words, phrases, minus words and filters. Never raises."""

from __future__ import annotations

import re
from dataclasses import dataclass

from smallsight.library.search.tokens import normalise, search_form, tokenize

MAX_UNITS = 32
_QUOTES = str.maketrans(dict.fromkeys("“”„‟«»＂", '"'))
_INVALID = re.compile("[\0\ud800-\udfff]")
_PIECE = re.compile(
    r'(?P<minus>-)?(?:(?P<field>tag|folder):)?(?:"(?P<quoted>[^"]*)"|(?P<bare>\S+))', re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Unit:
    """Terms that must be adjacent: one word, or several.

    ``is_literal`` is set if it was quoted: then no prefix, part of a word or misspelling matches.
    """

    terms: tuple[str, ...]
    is_literal: bool = False

    @property
    def text(self) -> str:
        """The terms as they are stored in the index."""
        return " ".join(self.terms)


@dataclass(frozen=True, slots=True)
class Query:
    """A parsed search; all terms are normalised, filter values are as typed.

    ``text`` is the query as written, without minus words and filters.
    """

    units: tuple[Unit, ...] = ()
    excluded: tuple[Unit, ...] = ()
    tags: tuple[str, ...] = ()
    excluded_tags: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    excluded_folders: tuple[str, ...] = ()
    text: str = ""

    @property
    def terms(self) -> tuple[str, ...]:
        """The units of one word."""
        return tuple(unit.terms[0] for unit in self.units if len(unit.terms) == 1)

    @property
    def phrases(self) -> tuple[tuple[str, ...], ...]:
        """The units of several words."""
        return tuple(unit.terms for unit in self.units if len(unit.terms) > 1)

    @property
    def quoted(self) -> tuple[Unit, ...]:
        """The units that were quoted."""
        return tuple(unit for unit in self.units if unit.is_literal)

    @property
    def is_filtered(self) -> bool:
        """Whether it has tags, folders or minus words."""
        return any(
            (self.excluded, self.tags, self.excluded_tags, self.folders, self.excluded_folders),
        )


def parse_query(text: str, max_chars: int) -> Query:
    """Parse words, "quoted phrases", -minus words, tag:NAME, folder:NAME, -tag:NAME and -folder:NAME.

    Anything else is plain words. Only the first max_chars characters and the first 32 distinct units of a
    kind count.
    """
    units: list[Unit] = []
    excluded: list[Unit] = []
    filters: dict[tuple[str, bool], list[str]] = {}
    words: list[str] = []
    for piece in _PIECE.finditer(_INVALID.sub(" ", text[:max_chars]).translate(_QUOTES)):
        is_minus = piece["minus"] is not None
        value = piece["quoted"] if piece["quoted"] is not None else piece["bare"]
        if piece["field"] and normalise(value):
            filters.setdefault((piece["field"].lower(), is_minus), []).append(value)
            continue
        written = f"{piece['field']}:{value}" if piece["field"] else value
        terms = tuple(search_form(written).split())
        if not terms:
            continue
        (excluded if is_minus else units).append(Unit(terms, piece["quoted"] is not None))
        if not is_minus:
            words.append(_readable(written))
    return Query(
        units=_distinct_units(units),
        excluded=_distinct_units(excluded),
        tags=_distinct(filters.get(("tag", False), [])),
        excluded_tags=_distinct(filters.get(("tag", True), [])),
        folders=_distinct(filters.get(("folder", False), [])),
        excluded_folders=_distinct(filters.get(("folder", True), [])),
        text=" ".join(words),
    )


def _readable(text: str) -> str:
    """Trim a piece to its first and last term, so that encoders see no characters outside words."""
    tokens = tokenize(text)
    return text[tokens[0].start : tokens[-1].end]


def _distinct(values: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))[:MAX_UNITS]


def _distinct_units(units: list[Unit]) -> tuple[Unit, ...]:
    return tuple(dict.fromkeys(units))[:MAX_UNITS]
