from __future__ import annotations

from smallsight.library.search.fusion import fuse
from smallsight.library.search.ranking import Match, Tier


def match(tier, coverage=1.0):
    return Match(tier, 0.0, coverage, frozenset())


def ids(fused):
    return [one.content_id for one in fused]


def test_in_both_lists_is_better_than_in_one():
    matches = {1: match(Tier.PREFIX), 2: match(Tier.PREFIX)}
    assert ids(fuse([1, 2], matches, [(2, 0.4), (3, 0.35)])) == [2, 1, 3]


def test_a_vague_meaning_does_not_overtake_all_words_and_a_clear_one_may():
    matches = {number: match(Tier.EXACT) for number in range(1, 30)}
    keyword_ids = list(matches)
    assert ids(fuse(keyword_ids, matches, [(99, 0.45)]))[-1] == 99
    assert ids(fuse(keyword_ids, matches, [(99, 0.8)])).index(99) == 0


def test_a_match_of_some_words_counts_in_proportion():
    matches = {1: match(Tier.PARTIAL, 0.2)}
    assert ids(fuse([1], matches, [(2, 0.4), (3, 0.35)])) == [2, 3, 1]


def test_looks_are_a_third_list_that_never_goes_before_all_words_as_written():
    matches = {1: match(Tier.EXACT), 2: match(Tier.PREFIX)}
    assert ids(fuse([1, 2], matches, [(3, 0.4)], [4, 3, 2])) == [1, 3, 2, 4]
    assert ids(fuse((), {}, (), [7, 5])) == [7, 5]


def test_nothing_gives_nothing():
    assert fuse([], {}, []) == []
