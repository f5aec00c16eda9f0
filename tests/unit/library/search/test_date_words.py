"""Dates in searches: which moments a year, a month and a day hold, and how filters are parsed."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest

from smallsight.library.search.date_words import DateSpan, parse_span
from smallsight.library.search.kinds import Kind
from smallsight.library.search.query import FacetFilters, Query, State, parse_query

EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001
TODAY = date(2024, 3, 1)


def wall(text: str) -> float:
    return (datetime.fromisoformat(text) - EPOCH) / timedelta(seconds=1)


def span(first: str | None, end: str | None) -> DateSpan:
    return DateSpan(*(None if one is None else wall(one) for one in (first, end)))


def parse(text: str) -> Query:
    return parse_query(text, 1_000, TODAY)


@pytest.mark.parametrize(
    ("text", "first", "end"),
    [
        ("2023", "2023-01-01", "2024-01-01"),
        ("2023-05", "2023-05-01", "2023-06-01"),
        ("2023-12", "2023-12-01", "2024-01-01"),
        ("2024-02", "2024-02-01", "2024-03-01"),
        ("2023-5-3", "2023-05-03", "2023-05-04"),
        ("2023-12-31", "2023-12-31", "2024-01-01"),
        ("1953", "1953-01-01", "1954-01-01"),
        (" Today ", "2024-03-01", "2024-03-02"),
        ("yesterday", "2024-02-29", "2024-03-01"),
    ],
)
def test_a_date_is_a_span_up_to_the_next(text, first, end):
    assert parse_span(text, TODAY) == span(first, end)


@pytest.mark.parametrize(
    "text",
    [
        *("", "lunch", "23", "02023", "2023-13", "2023-00", "2023-02-29", "2023-05-03-01", "2023/05/03"),
        *("0000", "2023-", "-2023", "tomorrow", "２０２３", "2023-05-03T10:00"),
    ],
)
def test_what_is_no_date_is_none(text):
    assert parse_span(text, TODAY) is None


@pytest.mark.parametrize("text", ["9999", "9999-12", "9999-12-31", "0001", "0001-01-01"])
def test_the_first_and_the_last_year_do_not_fail(text):
    assert parse_span(text, TODAY).start_s < parse_span(text, TODAY).end_s


@pytest.mark.parametrize(
    ("text", "facets"),
    [
        ("before:2024", FacetFilters(spans=(span(None, "2024-01-01"),))),
        ("after:2023-05", FacetFilters(spans=(span("2023-05-01", None),))),
        (
            "after:2023-05 before:2023-08",
            FacetFilters(spans=(span("2023-05-01", None), span(None, "2023-08-01"))),
        ),
        ("year:2023", FacetFilters(any_span=(span("2023-01-01", "2024-01-01"),))),
        ("ON:yesterday", FacetFilters(any_span=(span("2024-02-29", "2024-03-01"),))),
        ("-on:2023-05", FacetFilters(excluded_spans=(span("2023-05-01", "2023-06-01"),))),
        ("-before:2024", FacetFilters(excluded_spans=(span(None, "2024-01-01"),))),
        ('camera:"Pixel 8"', FacetFilters(cameras=("pixel", "8"))),
        ("-camera:Pixel -camera:nikon", FacetFilters(excluded_cameras=("pixel", "nikon"))),
        ("kind:Photo kind:picture", FacetFilters(kinds=(Kind.PHOTO, Kind.PICTURE))),
        ("-kind:document", FacetFilters(excluded_kinds=(Kind.DOCUMENT,))),
        ("is:described", FacetFilters(states=((State.DESCRIBED, True),))),
        ("-is:described", FacetFilters(states=((State.DESCRIBED, False),))),
        ("is:undescribed", FacetFilters(states=((State.DESCRIBED, False),))),
        ("-is:untagged", FacetFilters(states=((State.TAGGED, True),))),
        ("has:text -has:text", FacetFilters(states=((State.TEXT, True), (State.TEXT, False)))),
    ],
)
def test_filters_of_facets(text, facets):
    assert parse(text) == Query(facets=facets)
    assert parse(text).is_filtered
    assert parse(text).is_narrowed


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("before:lunch", ("before", "lunch")),
        ("year:23", ("year", "23")),
        ("year:2023-05", ("year", "2023", "05")),
        ("on:2023-02-30", ("on", "2023", "02", "30")),
        ("kind:selfie", ("kind", "selfie")),
        ("is:nice", ("is", "nice")),
        ("has:tags", ("has", "tags")),
        ("after:", ("after",)),
        ('camera:"..."', ("camera",)),
    ],
)
def test_a_value_that_means_nothing_is_plain_words(text, terms):
    query = parse(text)
    assert query.units[0].terms == terms
    assert not query.facets


def test_filters_are_no_words_for_the_encoder():
    query = parse("dog year:2023 -kind:photo cat")
    assert (query.terms, query.text) == (("dog", "cat"), "dog cat")
    assert not parse("dog -cat tag:x").facets


def test_very_many_filters_are_cut():
    assert len(parse(" ".join(f"on:2023-01-{day:02}" for day in range(1, 32)) * 3).facets.any_span) <= 32
