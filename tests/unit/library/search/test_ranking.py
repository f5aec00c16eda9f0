from __future__ import annotations

import pytest

from smallsight.library.search.query import Unit
from smallsight.library.search.ranking import Tier, WantedUnit, match_texts


def columns(name="", folder="", tags="", description="", ocr=""):
    return (name, folder, tags, description, ocr)


def want(*words, corrections=(), literal=False):
    return [WantedUnit(Unit((word,), literal), tuple(corrections), 1.0) for word in words]


@pytest.mark.parametrize(
    ("ocr", "tier"),
    [
        ("big fish", Tier.EXACT),
        ("big fishes", Tier.PREFIX),
        ("big selfishness", Tier.SUBSTRING),
        ("big dish", Tier.TYPO),
        ("big bird", Tier.PARTIAL),
    ],
)
def test_the_worst_match_decides_the_tier(ocr, tier):
    match = match_texts(columns(ocr=ocr), want("big", "fish", corrections=["dish"]))
    assert match.tier is tier
    assert 4 - tier <= match.score < 5 - tier


def test_a_tag_counts_more_than_a_word_in_a_long_text():
    tagged = match_texts(columns(tags="fish"), want("fish"))
    written = match_texts(columns(ocr="a fish " + "and more words " * 20), want("fish"))
    assert tagged.score > written.score


def test_short_texts_and_words_in_order_count_more():
    long = match_texts(columns(ocr="hot dog " + "word " * 60), want("hot", "dog"))
    short = match_texts(columns(ocr="dog hot"), want("hot", "dog"))
    ordered = match_texts(columns(ocr="hot dog"), want("hot", "dog"))
    assert long.score < short.score < ordered.score


def test_a_quoted_word_matches_only_as_written():
    assert match_texts(columns(ocr="fishes"), want("fish", literal=True)).tier is Tier.PARTIAL
    assert match_texts(columns(ocr="fish"), want("fish", literal=True)).tier is Tier.EXACT


def test_a_phrase_does_not_reach_over_columns():
    unit = [WantedUnit(Unit(("hot", "dog")), (), 1.0)]
    assert match_texts(columns(description="hot", ocr="dog"), unit).tier is Tier.PARTIAL


def test_coverage_is_by_weight():
    wanted = [WantedUnit(Unit(("rare",)), (), 3.0), WantedUnit(Unit(("common",)), (), 1.0)]
    assert match_texts(columns(ocr="rare"), wanted).coverage == 0.75
    assert match_texts(columns(ocr="common"), wanted).coverage == 0.25
    assert match_texts(columns(ocr="neither"), wanted).coverage == 0
