from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallsight.library.search.tokens import normalise, search_form, tokenize


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Straße ŁÓDŹ Ærø", "strasse lodz aero"),
        ("Crème Brûlée", "creme brulee"),
        ("ΆΛΦΑ ς", "αλφα σ"),
        ("Ёлка и Йод, їжак", "елка и йод, їжак"),
        ("ｆｕｌｌ １２３ ﬁsh", "full 123 fish"),
        ("العَرَبِيَّة", "العربيه"),
        ("  a\t\nb\x00c\ud800  ", "a bc"),
        ("İstanbul ISTANBUL", "istanbul istanbul"),
        ("z̸̡̢͓͔a̵͔͕l̷g̷o", "zalgo"),
    ],
)
def test_normalise_drops_what_does_not_count(text, expected):
    assert normalise(text) == expected


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("IMG_1234-final.JPG", "img 1234 final jpg"),
        ("Don't panic, it’s Spider-Man!", "dont panic its spider man"),
        ("L'amour qu'il", "l amour qu il"),
        ("東京タワーへ", "东 京 タ ワ ー へ"),
        ("ﾊﾟﾝ", "パ ン"),
        ("안녕 세계", "안녕 세계"),
        ("हिन्दी ภาษาไทย", "हिन्दी ภาษาไทย"),
        ("ok👍🏽👨‍👩‍👧 🇫🇷 ❤️", "ok 👍 👨 👩 👧 🇫 🇷 ❤"),
        ("1️⃣ ㈱ ½", "1 株 1 2"),
        ("a AND b* NEAR(c)", "a and b near c"),
        ("", ""),
        (" \ud800\x00\ue000 ", ""),
    ],
)
def test_terms_of_many_scripts(text, terms):
    assert search_form(text) == terms
    assert [token.term for token in tokenize(text)] == terms.split()


def test_spans_point_into_the_original_text():
    text = "Ｆｉｓｈ, don't cry über 犬 😀!"
    assert [text[token.start : token.end] for token in tokenize(text)] == [
        *["Ｆｉｓｈ", "don't", "cry", "über", "犬", "😀"]
    ]


def test_han_and_kana_stand_alone_and_hangul_does_not():
    assert [len(tokenize(2 * character)) for character in "犬あアｱ々ー"] == [2] * 6
    assert [len(tokenize(2 * character)) for character in "안a1"] == [1] * 3


ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=60)


@given(ANY_TEXT)
def test_terms_are_stable_and_safe_for_the_index(text):
    tokens = tokenize(text)
    for token in tokens:
        assert 0 <= token.start < token.end <= len(text)
        assert search_form(token.term) == token.term, "a term must stay the same when it is searched for"
        for character in token.term:
            assert character.isalnum() if character.isascii() else not character.isspace()
            assert unicodedata.category(character) not in {"Cc", "Cs", "Co"}
    assert [token.start for token in tokens] == sorted(token.start for token in tokens)
    assert search_form(text).split() == [token.term for token in tokens]


@given(ANY_TEXT)
def test_normalise_is_idempotent_and_blind_to_case(text):
    once = normalise(text)
    assert normalise(once) == once
    assert "  " not in once
    assert once == once.strip()


@given(st.text(st.characters(max_codepoint=0x24F, categories=["L", "N", "Z", "P"]), max_size=40))
def test_case_does_not_matter(text):
    assert search_form(text.upper().lower()) == search_form(text.lower())
