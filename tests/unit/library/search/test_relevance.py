from __future__ import annotations

import numpy as np
import pytest

from smallsight.library.search.searcher import Mode, Searcher
from smallsight.library.search.sqlite.index import SqliteTextIndex
from smallsight.library.search.word_list import WordList

SIMILAR = 0.36


@pytest.fixture
def library(small, database, settings):
    """24 pictures with texts of one letter each; a query is SIMILAR to the first and to no other."""
    ids = [small.add(ocr=letter * 5, chunks=[letter * 5]) for letter in "abcdefghijklmnopqrstuvwx"]
    vectors_ND = np.eye(25, 64, dtype=np.float32)
    with database.writing() as connection:
        for content_id, vector_D in zip(ids, vectors_ND, strict=False):
            connection.exec_driver_sql(
                "UPDATE chunk SET vector = ? WHERE content_id = ?",
                (vector_D.astype("<f2").tobytes(), content_id),
            )

    def searcher(similarity):
        query_D = similarity * vectors_ND[0] + np.sqrt(1 - similarity**2) * np.eye(1, 64, 60)[0]
        index = SqliteTextIndex(database, "toy", WordList(lambda: ["weather", "forecast"]))
        return Searcher(index, settings, lambda texts: np.stack([query_D] * len(texts)))

    return ids, searcher


def test_a_similar_meaning_is_found_alone_but_not_for_gibberish(library, found):
    ids, searcher = library
    for mode in (Mode.FUSED, Mode.SEMANTIC):
        assert found(searcher(SIMILAR), "weather forecast", mode=mode) == [ids[0]]
        assert found(searcher(SIMILAR), "asdkjhqwe", mode=mode) == []
        assert found(searcher(0.5), "asdkjhqwe", mode=mode) == [ids[0]]
        assert found(searcher(0.28), "weather forecast", mode=mode) == []


def test_a_quote_that_nothing_holds_finds_nothing(library, found):
    _, searcher = library
    for mode in Mode:
        assert found(searcher(0.9), '"weather forecast"', mode=mode) == []
        assert found(searcher(0.9), '"weather"', mode=mode) == []


def test_one_of_several_words_needs_a_similar_meaning(small, library, found):
    ids, searcher = library
    small.add(ocr="snow until noon", chunks=[])
    assert found(searcher(0.0), "snow leopard") == []
    assert len(found(searcher(0.0), "snow leopard", mode=Mode.KEYWORD)) == 1
    assert found(searcher(0.28), "aaaaa leopard") == [ids[0]]
