"""Edit distances between texts, and the error rate from them."""

from __future__ import annotations

import random

import pytest

from smallsight.validation.character_errors import character_error_rate, levenshtein_distance


def recursive_distance(first, second, known):
    """Compute the distance by its definition."""
    if not first or not second:
        return len(first) + len(second)
    if (first, second) not in known:
        known[first, second] = min(
            recursive_distance(first[1:], second, known) + 1,
            recursive_distance(first, second[1:], known) + 1,
            recursive_distance(first[1:], second[1:], known) + (first[0] != second[0]),
        )
    return known[first, second]


def test_the_distance_is_that_of_its_definition():
    source = random.Random(0)
    for _ in range(300):
        first, second = ("".join(source.choices("abc", k=source.randrange(9))) for _ in range(2))
        assert levenshtein_distance(first, second) == recursive_distance(first, second, {}), (first, second)


@pytest.mark.parametrize(
    ("reference", "text", "rate"),
    [
        ("EXIT", "EXIT", 0.0),
        ("EXIT", "EX1T", 0.25),
        ("EXIT", "", 1.0),
        ("", "", 0.0),
        ("", "EXIT", 1.0),
        ("a", "abcd", 3.0),
        ("two  lines\nhere", "two lines here", 0.0),
        ("出口", "入口", 0.5),
        ("🐈a", "🐕a", 0.5),
    ],
)
def test_the_error_rate_counts_edits_per_character_of_the_reference(reference, text, rate):
    assert character_error_rate(reference, text) == rate
