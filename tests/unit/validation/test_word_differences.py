"""Which words of two answers differ."""

from __future__ import annotations

import random

import pytest

from smallsight.validation.word_differences import word_differences


def shares(base, variant):
    return [(one.text, one.share) for one in word_differences(base, variant)]


def test_a_replaced_word_is_shown_once_for_each_answer():
    assert shares("A black cat sits.", "A grey cat sits.") == [
        ("A ", "same"),
        ("black ", "base only"),
        ("grey ", "variant only"),
        ("cat sits.", "same"),
    ]


def test_punctuation_is_not_part_of_a_word():
    assert shares("a cat", "a cat.") == [("a cat", "same"), (".", "variant only")]
    assert shares("don't", "don't go") == [("don't", "same"), ("go", "variant only")]


def test_scripts_without_spaces_differ_by_character():
    assert shares("赤い車", "青い車") == [("赤", "base only"), ("青", "variant only"), ("い車", "same")]


@pytest.mark.parametrize(("base", "variant"), [("", ""), (" ", "\n")])
def test_answers_without_words_have_no_words_of_one_only(base, variant):
    assert all(one.share == "same" for one in word_differences(base, variant))


def test_segments_put_together_are_the_answers():
    source = random.Random(1)
    pieces = ["cat", "Cat", "dog's", " ", "\n", ", ", "猫", "42%", "é", "🐈", "_", "…"]
    for _ in range(200):
        base, variant = ("".join(source.choices(pieces, k=source.randrange(12))) for _ in range(2))
        found = word_differences(base, variant)
        assert "".join(one.text for one in found if one.share != "variant only") == base
        theirs = "".join(one.text for one in found if one.share != "base only")
        assert "".join(theirs.split()) == "".join(variant.split())
