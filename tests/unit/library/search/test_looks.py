"""Pictures found by what they show, with a model that need not be one: trigrams stand for what is seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from smallsight.library.database import Database
from smallsight.library.picture_embedding import store_picture_vector
from smallsight.library.search.searcher import Mode, Searcher
from smallsight.library.search.sqlite.index import SqliteTextIndex
from smallsight.settings import Settings

from .conftest import TOY_KEY, SmallLibrary, toy_embed


@dataclass(frozen=True)
class ToyWords:
    key: str = "toy-looks"
    min_similarity: float = 0.5

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        return toy_embed(texts)


@pytest.fixture
def show(small: SmallLibrary, database: Database):
    """Add a picture that shows something, under a model's key."""

    def add(shown: str, key: str = "toy-looks", **facts) -> int:
        content_id = small.add(**facts)
        with database.writing() as connection:
            store_picture_vector(connection, content_id, toy_embed([shown])[0], key)
        return content_id

    return add


@pytest.fixture
def by_looks(database: Database, settings: Settings) -> Searcher:
    index = SqliteTextIndex(database, TOY_KEY)
    return Searcher(index, settings, toy_embed, ToyWords)


def found(result) -> list[tuple[int, tuple[str, ...]]]:
    return [(hit.content_id, hit.found_by) for hit in result.hits]


def test_a_picture_without_any_words_is_found_by_what_it_shows(show, by_looks: Searcher):
    owl = show("an owl on a branch")
    show("a red bicycle")
    assert found(by_looks.search("owl on a branch")) == [(owl, ("looks_like",))]
    assert by_looks.search("owl on a branch", mode=Mode.KEYWORD).hits == ()
    assert found(by_looks.search("owl on a branch", mode=Mode.SEMANTIC)) == [(owl, ("looks_like",))]
    assert by_looks.search("quantum chromodynamics").hits == ()


def test_each_hit_says_which_lists_it_is_from_and_words_as_written_go_first(show, small, by_looks: Searcher):
    shown = show("owl on a branch")
    both = show("owl on a branch", description="owl on a branch")
    written = small.add(description="an owl on a branch of a tree that stands in the garden")
    hits = dict(found(by_looks.search("owl on a branch")))
    assert hits[shown] == ("looks_like",)
    assert set(hits[both]) == {"keyword", "semantic", "looks_like"}
    assert "keyword" in hits[written]
    assert list(hits) == [both, written, shown]


def test_a_filter_applies_before_pictures_are_compared(show, by_looks: Searcher):
    for _ in range(160):
        show("owl on a branch")
    tagged = show("owl on some branch", tags=["mine"])
    assert found(by_looks.search("owl on a branch tag:mine")) == [(tagged, ("looks_like",))]
    assert len(by_looks.search("owl on a branch", limit=1000).hits) == 100


def test_vectors_of_another_model_and_replaced_ones_are_not_compared(show, database, by_looks: Searcher):
    other = show("owl on a branch", "another-model")
    changed = show("owl on a branch")
    assert found(by_looks.search("owl on a branch")) == [(changed, ("looks_like",))]
    with database.writing() as connection:
        store_picture_vector(connection, changed, toy_embed(["a red bicycle"])[0], "toy-looks")
        store_picture_vector(connection, other, toy_embed(["owl on a branch"])[0], "toy-looks")
    assert found(by_looks.search("owl on a branch")) == [(other, ("looks_like",))]


def test_the_model_is_not_opened_for_a_library_without_vectors(small, database, settings: Settings):
    def refuse() -> ToyWords:
        raise AssertionError("opened")

    small.add(description="an owl")
    searcher = Searcher(SqliteTextIndex(database, TOY_KEY), settings, toy_embed, refuse)
    assert len(searcher.search("owl").hits) == 1


def test_pictures_like_a_picture_are_joined_with_those_of_similar_texts(show, small, by_looks: Searcher):
    owl = show("owl on a branch", description="night")
    like = show("owl on the branch")
    show("a red bicycle 1234 5678")
    text = small.add(description="night")
    hits = found(by_looks.similar(owl))
    assert hits[:2] == [(like, ("looks_like",)), (text, ("similar_text",))]
