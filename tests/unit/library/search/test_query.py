from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallsight.library.search.query import MAX_UNITS, Unit, parse_query, with_signed


def parse(text):
    return parse_query(text, 1_000)


def test_words_phrases_minus_words_and_filters():
    query = parse(
        'Happy "Hot Dog" -cat -"grumpy cat" tag:Animals tag:"two words" folder:memes/2024 -tag:x -folder:y'
    )
    assert query.units == (Unit(("happy",)), Unit(("hot", "dog"), is_literal=True))
    assert query.terms == ("happy",)
    assert query.phrases == (("hot", "dog"),)
    assert [unit.terms for unit in query.excluded] == [("cat",), ("grumpy", "cat")]
    assert query.tags == ("Animals", "two words")
    assert query.folders == ("memes/2024",)
    assert query.excluded_tags == ("x",)
    assert query.excluded_folders == ("y",)
    assert query.text == "Happy Hot Dog"
    assert query.is_filtered


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("spider-man", [("spider", "man")]),
        ("犬と猫", [("犬", "と", "猫")]),
        ("foo:bar http://x", [("foo", "bar"), ("http", "x")]),
        ("tag: cat", [("tag",), ("cat",)]),
        ('tag:"" cat', [("tag",), ("cat",)]),
        ('"open quote', [("open",), ("quote",)]),
        ("- -- cat - dog", [("cat",), ("dog",)]),
        ("cat CAT cát", [("cat",)]),
        ("AND OR NOT NEAR(x", [("and",), ("or",), ("not",), ("near", "x")]),
        ("“smart quotes” «et»", [("smart", "quotes"), ("et",)]),
        ("TAG:", [("tag",)]),
        ("", []),
        ("!!! \x00 \ud800", []),
    ],
)
def test_whatever_else_is_plain_words(text, units):
    query = parse(text)
    assert [unit.terms for unit in query.units] == units
    assert not query.is_filtered


def test_field_names_may_be_in_capitals():
    assert parse("TAG:x Folder:y").tags == ("x",)
    assert parse("TAG:x Folder:y").folders == ("y",)


def test_bounds():
    assert parse_query("cat dog", 5).terms == ("cat", "d")
    assert len(parse(" ".join(f"w{number}" for number in range(100))).units) == MAX_UNITS


@given(st.text(st.characters(exclude_categories=()), max_size=200))
def test_never_raises_and_text_can_be_encoded(text):
    query = parse(text)
    query.text.encode()
    assert all(unit.terms for unit in (*query.units, *query.excluded))
    assert bool(query.text) == bool(query.units)


@pytest.mark.parametrize(
    ("text", "plus", "minus", "rest"),
    [
        ("+sunset -people", ("sunset",), ("people",), ""),
        ('+"golden hour" beach -"many people"', ("golden hour",), ("many people",), "beach"),
        ("+Größe! + ++ +… -", ("Größe",), (), ""),
        ("C++ a+b -x-y", (), ("x-y",), "C++ a+b"),
        ("+tag:cats -tag:dogs -year:2023 +before:lunch", ("before:lunch",), (), ""),
        ("+sunset +sunset -sunset", ("sunset",), ("sunset",), ""),
    ],
)
def test_in_a_search_by_a_picture_signs_change_what_it_looks_like(text, plus, minus, rest):
    query = parse_query(text, 1000, is_by_picture=True)
    assert (query.plus, query.minus, query.text) == (plus, minus, rest)
    plain = parse_query(text, 1000)
    assert (plain.plus, plain.minus) == ((), ())
    assert query.excluded == plain.excluded, "a minus leaves out what holds the word, with a picture too"
    assert (query.tags, query.excluded_tags) == (plain.tags, plain.excluded_tags)


@given(st.lists(st.text()), st.lists(st.text()))
def test_typed_words_become_one_query_whatever_is_in_them(plus, minus):
    query = parse_query(with_signed("beach", plus, minus), 10_000, is_by_picture=True)
    assert query.text == "beach"
    assert len(query.plus) <= len(plus)
    assert len(query.minus) <= len(minus)
