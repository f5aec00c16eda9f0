"""Parses what a person typed: words, phrases, minus words and filters. Never raises."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import TypeVar

from smallsight.library.search.date_words import DateSpan, parse_span
from smallsight.library.search.kinds import Kind
from smallsight.library.search.tokens import normalise, search_form, tokenize

MAX_UNITS = 32
_QUOTES = str.maketrans(dict.fromkeys("“”„‟«»＂", '"'))
_INVALID = re.compile("[\0\ud800-\udfff]")
_PIECE = re.compile(
    r"(?P<sign>[+-])?(?:(?P<field>tag|folder|before|after|on|year|camera|kind|is|has):)?"
    r'(?:"(?P<quoted>[^"]*)"|(?P<bare>\S+))',
    re.IGNORECASE,
)
_Value = TypeVar("_Value")


class State(StrEnum):
    """What can be true of a picture."""

    DESCRIBED = "is_described"
    TEXT = "has_text"
    TAGGED = "is_tagged"


_STATES = {
    ("is", "described"): (State.DESCRIBED, True),
    ("is", "undescribed"): (State.DESCRIBED, False),
    ("is", "tagged"): (State.TAGGED, True),
    ("is", "untagged"): (State.TAGGED, False),
    ("has", "text"): (State.TEXT, True),
}
_YEAR = re.compile(r"\s*\d{4}\s*")


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
class FacetFilters:
    """What is asked of a picture besides its words, tags and folders.

    ``spans`` all hold its date, and so does one of ``any_span``; it is of one of ``kinds``. ``cameras`` are
    words in search form. ``states`` are described, text and tagged, or not.
    """

    spans: tuple[DateSpan, ...] = ()
    any_span: tuple[DateSpan, ...] = ()
    excluded_spans: tuple[DateSpan, ...] = ()
    kinds: tuple[Kind, ...] = ()
    excluded_kinds: tuple[Kind, ...] = ()
    cameras: tuple[str, ...] = ()
    excluded_cameras: tuple[str, ...] = ()
    states: tuple[tuple[State, bool], ...] = ()

    def __bool__(self) -> bool:
        """Return whether anything is asked."""
        return self != _NO_FACETS


_NO_FACETS = FacetFilters()


@dataclass(frozen=True, slots=True)
class Query:
    """A parsed search; all terms are normalised, values of tags and folders are as typed.

    ``text`` is the query as written, without minus words and filters. ``plus`` and ``minus`` are the words
    with a sign in a search by a picture, as written: they change what the pictures should look like.
    """

    units: tuple[Unit, ...] = ()
    excluded: tuple[Unit, ...] = ()
    tags: tuple[str, ...] = ()
    excluded_tags: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    excluded_folders: tuple[str, ...] = ()
    facets: FacetFilters = _NO_FACETS
    text: str = ""
    plus: tuple[str, ...] = ()
    minus: tuple[str, ...] = ()

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
        """Whether it has filters or minus words."""
        return self.is_narrowed or bool(self.excluded or self.excluded_tags or self.excluded_folders)

    @property
    def is_narrowed(self) -> bool:
        """Whether it has filters that only few contents may pass."""
        return bool(self.tags or self.folders or self.facets)


def parse_query(
    text: str, max_chars: int, today: date | None = None, *, is_by_picture: bool = False
) -> Query:
    """Parse words, "quoted phrases", -minus words and filters, each of which may have a minus too.

    Filters are tag:NAME, folder:NAME, before:DATE, after:DATE, on:DATE, year:YEAR, camera:WORDS, kind:KIND,
    is:described, is:undescribed, is:tagged, is:untagged and has:text. Anything else is plain words. Only the
    first max_chars characters and the first 32 distinct units or filters of a kind count. ``today`` is by
    default this machine's date. A plus before a word means nothing, except in a search by a picture.
    """
    units: list[Unit] = []
    excluded: list[Unit] = []
    filters = _Filters(date.today() if today is None else today)  # noqa: DTZ011 - of this machine
    words: list[str] = []
    signed: dict[str, list[str]] = {"+": [], "-": []}
    for piece in _PIECE.finditer(_INVALID.sub(" ", text[:max_chars]).translate(_QUOTES)):
        is_minus = piece["sign"] == "-"
        value = piece["quoted"] if piece["quoted"] is not None else piece["bare"]
        if piece["field"] and filters.add(piece["field"].lower(), value, is_minus=is_minus):
            continue
        written = f"{piece['field']}:{value}" if piece["field"] else value
        terms = tuple(search_form(written).split())
        if not terms:
            continue
        if is_by_picture and piece["sign"]:
            signed[piece["sign"]].append(_readable(written))
            if not is_minus:
                continue
        (excluded if is_minus else units).append(Unit(terms, piece["quoted"] is not None))
        if not is_minus:
            words.append(_readable(written))
    return Query(
        units=_distinct(units),
        excluded=_distinct(excluded),
        tags=_distinct(filters.names["tag", False]),
        excluded_tags=_distinct(filters.names["tag", True]),
        folders=_distinct(filters.names["folder", False]),
        excluded_folders=_distinct(filters.names["folder", True]),
        facets=filters.facets(),
        text=" ".join(words),
        plus=_distinct(signed["+"]),
        minus=_distinct(signed["-"]),
    )


def with_signed(words: str, plus: Sequence[str], minus: Sequence[str]) -> str:
    """Return the text of a search by a picture for these words, with those to be added and taken away."""
    signed = [("+", one) for one in plus] + [("-", one) for one in minus]
    quoted = [f'{sign}"{_one_quotable(one)}"' for sign, one in signed if one.strip()]
    return " ".join([words, *quoted]) if words else " ".join(quoted)


def _one_quotable(text: str) -> str:
    return text.translate(_QUOTES).replace('"', " ").strip()


@dataclass(slots=True)
class _Filters:
    """Collects the filters of a query."""

    today: date
    names: dict[tuple[str, bool], list[str]] = field(default_factory=lambda: defaultdict(list))
    spans: dict[str, list[DateSpan]] = field(default_factory=lambda: defaultdict(list))
    kinds: dict[bool, list[Kind]] = field(default_factory=lambda: defaultdict(list))
    cameras: dict[bool, list[str]] = field(default_factory=lambda: defaultdict(list))
    states: list[tuple[State, bool]] = field(default_factory=list)

    def add(self, name: str, value: str, *, is_minus: bool) -> bool:
        """Add a filter; return False if its value means nothing, so that it is plain words."""
        match name:
            case "tag" | "folder" if normalise(value):
                self.names[name, is_minus].append(value)
            case "before" | "after" | "on" | "year":
                return self._add_date(name, value, is_minus=is_minus)
            case "camera" if words := search_form(value).split():
                # Without one of several words it is another camera; -camera:"pixel 8" keeps a Pixel 7.
                self.cameras[is_minus].extend([" ".join(words)] if is_minus else words)
            case "kind" if (kind := normalise(value)) in list(Kind):
                self.kinds[is_minus].append(Kind(kind))
            case "is" | "has" if (state := _STATES.get((name, normalise(value)))) is not None:
                self.states.append((state[0], state[1] != is_minus))
            case _:
                return False
        return True

    def _add_date(self, name: str, value: str, *, is_minus: bool) -> bool:
        span = parse_span(value, self.today)
        if span is None or (name == "year" and _YEAR.fullmatch(value) is None):
            return False
        if name == "before":
            span = DateSpan(end_s=span.start_s)
        elif name == "after":
            span = DateSpan(start_s=span.start_s)
        self.spans["excluded" if is_minus else "any" if name in ("on", "year") else "all"].append(span)
        return True

    def facets(self) -> FacetFilters:
        """Return the filters besides those of tags and folders."""
        return FacetFilters(
            spans=_distinct(self.spans["all"]),
            any_span=_distinct(self.spans["any"]),
            excluded_spans=_distinct(self.spans["excluded"]),
            kinds=_distinct(self.kinds[False]),
            excluded_kinds=_distinct(self.kinds[True]),
            cameras=_distinct(self.cameras[False]),
            excluded_cameras=_distinct(self.cameras[True]),
            states=_distinct(self.states),
        )


def _readable(text: str) -> str:
    """Trim a piece to its first and last term, so that encoders see no characters outside words."""
    tokens = tokenize(text)
    return text[tokens[0].start : tokens[-1].end]


def _distinct(values: list[_Value]) -> tuple[_Value, ...]:
    return tuple(dict.fromkeys(values))[:MAX_UNITS]
