from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from smallsight.library.search.searcher import Searcher
from smallsight.library.search.sqlite.index import SqliteTextIndex
from unit.library.search.conftest import TOY_KEY, toy_embed


@pytest.fixture
def asked() -> list[str]:
    return []


@pytest.fixture
def counting(database, settings, asked) -> Searcher:
    def embed(texts: Sequence[str]) -> np.ndarray:
        asked.extend(texts)
        return toy_embed(texts)

    return Searcher(SqliteTextIndex(database, TOY_KEY), settings, embed)


def test_a_quick_search_looks_for_words_alone_and_says_so(small, counting, asked):
    held = small.add(ocr="friendly sharks")
    result = counting.search("friendly sharks", is_quick=True)
    assert [hit.content_id for hit in result.hits] == [held]
    assert result.hits[0].found_by == ("keyword",)
    assert result.is_quick
    assert asked == []


def test_the_complete_search_after_a_quick_one_is_as_without_it(small, database, settings, counting, asked):
    small.add(ocr="friendly sharks")
    small.add(ocr="friendly shark attack")
    counting.search("friendly sharks", is_quick=True)
    complete = counting.search("friendly sharks")
    fresh = Searcher(SqliteTextIndex(database, TOY_KEY), settings, toy_embed).search("friendly sharks")
    assert complete.hits == fresh.hits
    assert "semantic" in complete.hits[0].found_by
    assert not complete.is_quick
    again = counting.search("friendly sharks", is_quick=True)
    assert (again.hits, again.is_quick) == (fresh.hits, False)
    assert asked == ["friendly sharks"]


def test_a_quick_search_looks_for_meaning_where_words_find_nothing(small, counting, asked):
    small.add(ocr="friendly sharks")
    result = counting.search("zzzzz", is_quick=True)
    assert not result.is_quick
    assert asked == ["zzzzz"]


def test_a_quick_search_of_two_letters_is_complete(small, counting):
    small.add(ocr="an ox")
    assert not counting.search("ox", is_quick=True).is_quick
