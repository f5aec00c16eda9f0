from __future__ import annotations

import random

import pytest

from smallsight.library.search import filtered
from smallsight.library.search import searcher as searcher_module
from smallsight.library.search.query import parse_query
from smallsight.library.search.searcher import Mode

TEXTS = ["food folder:memes", "food tag:cat -sea", "food -dog", "food kind:picture"]


def test_filters_find_the_same_whether_few_or_many_contents_pass(
    small, database, settings, make_searcher, found, monkeypatch
):
    monkeypatch.setattr(searcher_module, "_MAX_SEMANTIC", 4)
    rng = random.Random(3)
    for number in range(50):
        words = ["food", *rng.choices("foods hot dog sea seafood table".split(), k=2)]
        folder, tags = rng.choice(["memes", "photos"]), rng.sample(["cat", "sea"], rng.choice([0, 1, 2]))
        small.add(f"{folder}/{number}.png", ocr=" ".join(words), tags=tags)
    listed, asked = make_searcher(database, settings), make_searcher(database, settings)
    for text in TEXTS:
        for mode in (Mode.SEMANTIC, Mode.FUSED):
            expected = found(listed, text, mode=mode, limit=1_000)
            assert len(expected) >= 4
            with monkeypatch.context() as patch:
                patch.setattr(filtered, "_MAX_SELECTED", 0)  # the nearest are asked for, more and more
                assert found(asked, text, mode=mode, limit=1_000) == expected


@pytest.mark.parametrize(("newest_id", "most"), [(50, 20_000), (1_000_000, 100_000)])
def test_up_to_a_tenth_of_a_large_library_is_listed(newest_id, most):
    class View:
        def newest_id(self):
            return newest_id

        def count(self, condition, limit):
            return min(limit, most - 1) if condition.query.tags == ("few",) else limit

    few, many = (parse_query(f"tag:{name}", 100) for name in ("few", "many"))
    assert filtered.selected(View(), few) is not None
    assert filtered.selected(View(), many) is None
