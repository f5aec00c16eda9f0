"""A picture within the search that a person came from: its neighbours, and the words to highlight in it."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from smallsight.library.search.excerpt import Highlighter
from smallsight.library.search.function_words import counted_units
from smallsight.library.search.query import parse_query
from smallsight.services.application import Application
from smallsight.web.gallery_pages import find
from smallsight.web.gallery_search import GallerySearch
from smallsight.web.parts import WebParts
from smallsight.web.tiles import segments

_MAX_LINES = 600
_NARROW, _WIDE = frozenset("iljtfrI1.,:;'!|()[] "), frozenset("mwMW@%")

_Point: TypeAlias = tuple[float, float]


@dataclass(frozen=True, slots=True)
class ShownLine:
    """A line of text in the picture, as drawn over it, in pixels of the picture; ``angle`` is in degrees.

    ``points`` is the polygon of the line, ``marks`` are those of the words that the search matched. The text
    begins at ``x`` and ``y``, with the given length and height.
    """

    text: str
    points: str
    marks: tuple[str, ...]
    x: float
    y: float
    angle: float
    length: float
    height: float


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The addresses of the pictures before and after this one in the search; None at its ends."""

    previous: str | None
    following: str | None
    position: int | None
    total: int


def neighbours(parts: WebParts, search: GallerySearch, content_id: int, position: int | None) -> Neighbours:
    """Find the neighbours of the picture at a position, which may have moved by one or two since."""
    if position is None:
        return Neighbours(None, None, None, 0)
    start = max(0, position - 3)
    found = find(parts, search, start, 7)
    ids = [hit.content_id for hit in found.hits]
    if content_id not in ids:
        return Neighbours(None, None, None, found.total)
    place = ids.index(content_id)

    def address(index: int) -> str | None:
        if not 0 <= index < len(ids):
            return None
        return search.picture_url(ids[index], start + index)

    return Neighbours(address(place - 1), address(place + 1), start + place, found.total)


def lines_of(application: Application, content_id: int, size: tuple[int, int], words: str) -> list[ShownLine]:
    """Return the lines of text in a picture of a size, with the words of a search marked."""
    with application.database.cursor() as cursor:
        rows = cursor.execute(
            "SELECT text, box FROM text_line WHERE content_id = ? ORDER BY position LIMIT ?",
            (content_id, _MAX_LINES),
        ).fetchall()
    highlighter = _highlighter(application, words)
    width, height = size
    return [
        _line(text, [(x * width, y * height) for x, y in json.loads(box)], highlighter)
        for text, box in rows
        if text
    ]


def marked_segments(application: Application, text: str, words: str) -> list[tuple[str, bool]]:
    """Return a whole text in segments, each with whether the words of a search match it."""
    return list(segments(text, _highlighter(application, words).spans(text)))


def _highlighter(application: Application, words: str) -> Highlighter:
    query = parse_query(words, application.settings.limits.max_query_chars)
    return Highlighter(counted_units(query.units), {})


def _line(text: str, corners: Sequence[_Point], highlighter: Highlighter) -> ShownLine:
    upper_left, upper_right, _, lower_left = corners
    length, height = math.dist(upper_left, upper_right), math.dist(upper_left, lower_left)
    whole = _width(text)
    lift = 0.2  # letters stand this share of the line's height above its lower edge
    x, y = _between(lower_left, upper_left, lift)
    return ShownLine(
        text,
        _points(corners),
        tuple(
            _points(_part(corners, _width(text[:begin]) / whole, _width(text[:end]) / whole))
            for begin, end in highlighter.spans(text)
        ),
        round(x, 1),
        round(y, 1),
        round(math.degrees(math.atan2(upper_right[1] - upper_left[1], upper_right[0] - upper_left[0])), 2),
        round(length, 1),
        round(height, 1),
    )


def _width(text: str) -> float:
    """Return about how wide a text is in most fonts, in letters of usual width."""
    return sum(0.55 if one in _NARROW else 1.4 if one in _WIDE else 1.0 for one in text)


def _part(corners: Sequence[_Point], begin: float, end: float) -> list[_Point]:
    """Return the corners of a part of a line, given as shares of its length."""
    upper_left, upper_right, lower_right, lower_left = corners
    return [
        _between(upper_left, upper_right, begin),
        _between(upper_left, upper_right, end),
        _between(lower_left, lower_right, end),
        _between(lower_left, lower_right, begin),
    ]


def _between(start: _Point, end: _Point, share: float) -> _Point:
    return start[0] + (end[0] - start[0]) * share, start[1] + (end[1] - start[1]) * share


def _points(corners: Sequence[_Point]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)
