from __future__ import annotations

import random

import pytest

from smallsight.library.database import raw_cursor
from smallsight.library.search.sqlite.vocabulary import corrections, terms_containing


@pytest.fixture
def ask(small, database):
    """Fill a library with these texts and call a function of the vocabulary."""

    def ask_one(function, texts, *arguments):
        for text in texts:
            small.add(ocr=text)
        with database.reading() as connection:
            return function(raw_cursor(connection), *arguments)

    return ask_one


def test_parts_of_words(ask):
    texts = ["selfishness starfish fisher", "ob lobster xob blob", "안녕하세요"]
    assert ask(terms_containing, texts, "fish") == ["starfish", "selfishness"]
    assert sorted(ask(terms_containing, [], "ob")) == ["blob", "lobster", "xob"]
    assert ask(terms_containing, [], "녕") == ["안녕하세요"]
    assert ask(terms_containing, [], "zz") == []


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("frendly", ["friendly"]),
        ("freindly", ["friendly"]),
        ("friendlyy", ["friendly"]),
        ("form", []),  # too short to tell a mistake from another word
        ("hsark", ["shark"]),
        ("sharc", ["shark"]),
        ("teh", []),  # too short
        ("shakr1", []),  # not a word
        ("embarasing", ["embarrassing"]),
        ("mebarrassign", ["embarrassing"]),  # both ends
        ("сбоакк", []),  # two edits in six letters
        ("сабака", ["собака"]),
    ],
)
def test_misspelt_words(ask, word, expected):
    texts = ["friendly shark from the", "embarrassing собака", "friendliness"]
    assert ask(corrections, texts, word, 0) == expected


def test_the_more_frequent_word_comes_first_and_fewer_edits_before_that(ask):
    texts = ["stork", "storm", "storm", "telephone telephoned telephoned telephoned"]
    assert ask(corrections, texts, "storx", 0) == ["storm", "stork"]
    assert ask(corrections, [], "telephome", 0) == ["telephone"]


def test_a_word_that_some_hold_is_corrected_only_to_much_more_frequent_ones(ask):
    texts = ["frend", *["friend"] * 6, *["trend"] * 5]
    assert ask(corrections, texts, "frend", 1) == ["friend"]


def test_no_single_edit_is_missed(ask):
    rng = random.Random(1)
    words = ["".join(rng.choice("abcdefgh") for _ in range(rng.randint(5, 9))) for _ in range(60)]
    assert ask(corrections, [" ".join(words)], "zzzz", 0) == []
    for word in words:
        for place in range(len(word)):
            for misspelt in (
                word[:place] + "x" + word[place + 1 :],
                word[:place] + "x" + word[place:],
                word[:place] + word[place + 1 :],
                word[:place] + word[place + 1 : place + 2] + word[place] + word[place + 2 :],
            ):
                if len(misspelt) >= 5 and misspelt not in words:
                    assert word in ask(corrections, [], misspelt, 0), (word, misspelt)
