from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from smallsight.library.search.edit_distance import edit_distances


def plain_distance(one, other):
    """The same measure, written the slow and obvious way."""
    table = [[max(i, j) if 0 in (i, j) else 0 for j in range(len(other) + 1)] for i in range(len(one) + 1)]
    for i in range(1, len(one) + 1):
        for j in range(1, len(other) + 1):
            best = min(
                table[i - 1][j] + 1, table[i][j - 1] + 1, table[i - 1][j - 1] + (one[i - 1] != other[j - 1])
            )
            if i > 1 and j > 1 and one[i - 1] == other[j - 2] and one[i - 2] == other[j - 1]:
                best = min(best, table[i - 2][j - 2] + 1)
            table[i][j] = best
    return table[-1][-1]


def test_known_distances():
    others = ["friendly", "frendly", "freindly", "friendless", "fiend", "", "friendlyfriendly"]
    assert edit_distances("friendly", others, 2).tolist() == [0, 1, 1, 3, 3, 3, 3]


WORDS = st.text("abсю😀", max_size=9)


@given(WORDS.filter(bool), st.lists(WORDS, min_size=1, max_size=8), st.integers(1, 3))
def test_agrees_with_the_plain_definition(word, others, max_distance):
    expected = [min(plain_distance(word, other), max_distance + 1) for other in others]
    assert edit_distances(word, others, max_distance).tolist() == expected
