from __future__ import annotations

import threading

import numpy as np
import pytest

from smallsight.library.search.sqlite import vectors as vectors_module
from smallsight.library.search.sqlite.kept_products import KeptProducts

QUERY_D, OTHER_D = np.array([1, 2], np.float32), np.array([2, 1], np.float32)


class Computing:
    """Counts how often products are computed; each waits until it may end."""

    def __init__(self, value: float, *, may_end: bool = True) -> None:
        self.value, self.times, self.may_end = value, 0, threading.Event()
        if may_end:
            self.may_end.set()

    def __call__(self) -> np.ndarray:
        assert self.may_end.wait(30)
        self.times += 1
        return np.full(3, self.value, np.float32)


def test_what_was_begun_is_computed_once_and_waited_for():
    kept, state, compute = KeptProducts(), object(), Computing(1, may_end=False)
    kept.begin(state, QUERY_D, compute)
    kept.begin(state, QUERY_D, compute)
    compute.may_end.set()
    assert kept.get(state, QUERY_D, compute).tolist() == [1, 1, 1]
    kept.begin(state, QUERY_D, compute)
    assert kept.get(state, QUERY_D.copy(), compute).tolist() == [1, 1, 1]
    assert compute.times == 1


def test_another_query_or_state_is_computed_although_something_else_is_in_progress():
    kept, state, begun, compute = KeptProducts(), object(), Computing(1, may_end=False), Computing(2)
    kept.begin(state, QUERY_D, begun)
    kept.begin(state, OTHER_D, compute)
    assert compute.times == 0  # one at a time in the background
    assert kept.get(state, OTHER_D, compute).tolist() == [2, 2, 2]
    assert kept.get(object(), OTHER_D, compute).tolist() == [2, 2, 2]
    assert compute.times == 2
    begun.may_end.set()


def test_a_failure_in_the_background_is_raised_where_products_are_asked_for():
    def fail() -> np.ndarray:
        raise MemoryError

    kept, state = KeptProducts(), object()
    kept.begin(state, QUERY_D, fail)
    with pytest.raises(MemoryError):
        kept.get(state, QUERY_D, Computing(1))
    assert kept.get(state, QUERY_D, Computing(1)).tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("text", "is_begun"),
    [
        ("hot dog", True),
        ('"hot dog" -cat', True),
        ("hot unknownword", False),  # may be corrected, and then another text is looked for
        ("hot dog tag:food", False),  # only vectors of the contents that pass are multiplied
        ("do", False),
    ],
)
def test_a_search_by_words_and_meaning_begins_with_the_products(
    small, searcher, found, monkeypatch, text, is_begun
):
    small.add(ocr="hot dog do", tags=["food"])
    small.add(ocr="hot dogs")
    small.add(ocr="cat")
    expected = found(searcher, text)
    begun = []
    plain = KeptProducts.begin

    def begin(self, state, query_D, compute):
        begun.append(query_D)
        plain(self, state, query_D, compute)

    monkeypatch.setattr(KeptProducts, "begin", begin)
    monkeypatch.setattr(vectors_module, "_MIN_VECTORS_EXPECTED", 1)
    small.add(ocr="nothing of the kind")  # so that no list is remembered
    assert found(searcher, text) == expected
    assert len(begun) == is_begun
