"""Pictures found by what they show, with a model that need not be one: trigrams stand for what is seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from smallsight.errors import NotEmbeddedError
from smallsight.library.database import Database
from smallsight.library.picture_embedding import store_frame_vectors, store_picture_vector
from smallsight.library.search.look_scale import LookScale
from smallsight.library.search.query import parse_query
from smallsight.library.search.searcher import Mode, Searcher
from smallsight.library.search.sqlite.index import SqliteTextIndex
from smallsight.library.search.text_index import IndexView
from smallsight.settings import Settings

from .conftest import TOY_KEY, SmallLibrary, toy_embed

OTHERS = ("forest", "zebra", "kitchen", "gloves", "trumpet", "rivet", "mug", "pylon")


@dataclass(frozen=True)
class ToyWords:
    key: str = "toy-looks"
    min_similarity: float = 0.5

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        return toy_embed(texts)

    def scale(self, _: IndexView) -> LookScale | None:
        return None


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
def show_many(small: SmallLibrary, database: Database):
    """Add pictures that show something, with the same facts."""

    def add(shown: Sequence[str], **facts) -> list[int]:
        ids = [small.add(**facts) for _ in shown]
        with database.writing() as connection:
            for content_id, vector_D in zip(ids, toy_embed(shown), strict=True):
                store_picture_vector(connection, content_id, vector_D, "toy-looks")
        return ids

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


def test_filters_apply_before_ranking_even_if_they_leave_three_of_a_thousand(show_many, by_looks: Searcher):
    owl, *_ = show_many(["owl on a branch"] * 700 + [f"bicycle {number}" for number in range(297)])
    tagged = show_many(["owl on some branch"] * 3, tags=["mine"])
    for words, expected in (("tag:mine", tagged), ("tag:mine -nothing", tagged), ("kind:photo", [])):
        for result in (by_looks.similar(owl, words=words), by_looks.search(f"owl on a branch {words}")):
            assert sorted(found(result)) == [(one, ("looks_like",)) for one in expected]


def test_minus_words_alone_leave_out_what_holds_them_also_in_a_long_list(
    show_many, small, by_looks: Searcher
):
    owl, *_ = show_many(["owl on a branch"] * 110 + ["bicycle"] * 40, description="people", chunks=())
    kept = show_many(["owl on some branch"] * 2)
    assert sorted(hit.content_id for hit in by_looks.similar(owl, words="-people").hits) == kept
    assert len(by_looks.similar(owl, limit=1000).hits) == 109 + 2


def test_plus_and_minus_words_change_the_look_that_is_looked_for(show_many, by_looks: Searcher):
    beach, *_ = show_many(["beach"] + [f"{one} {number}" for one in OTHERS for number in range(8)])
    [plain, sunset, people, both] = show_many(
        ["beach", "beach sunset", "beach people", "beach people sunset"]
    )

    def first(words: str) -> int:
        return by_looks.similar(beach, words=words).hits[0].content_id

    assert first("") == plain
    assert first("+sunset") == sunset
    assert first("+people +sunset") == both
    assert first('+"people sunset"') == both
    order = [hit.content_id for hit in by_looks.similar(beach, words="+sunset -people").hits]
    assert order[:2] == [sunset, plain]
    assert both not in order[:3]
    assert people not in order[:3]


def test_added_words_that_texts_hold_bring_pictures_further_up_and_say_so(show_many, by_looks: Searcher):
    beach, *_ = show_many(["beach"] + [f"{one} {number}" for one in OTHERS for number in range(8)])
    plain = show_many(["beach sunset"] * 3)
    [written] = show_many(["beach sunset"], description="a sunset")
    [elsewhere] = show_many(["zyxwv"], description="sunset sunset")
    hits = dict(found(by_looks.similar(beach, words="+sunset")))
    assert next(iter(hits)) == written
    assert set(hits[written]) == {"looks_like", "keyword", "semantic"}
    assert {hits[one] for one in plain} == {("looks_like",)}
    assert elsewhere not in hits, "words add to a look, and do not replace it"


def test_words_cannot_be_added_where_nothing_is_embedded(small, show_many, database, settings):
    searcher = Searcher(SqliteTextIndex(database, TOY_KEY), settings, toy_embed, ToyWords)
    without = Searcher(SqliteTextIndex(database, TOY_KEY), settings, toy_embed, lambda: None)
    other = Searcher(SqliteTextIndex(database, TOY_KEY), settings, toy_embed, lambda: ToyWords("newer"))
    one = small.add(description="a beach")
    two = small.add(description="a beach with people")
    with pytest.raises(NotEmbeddedError, match="No picture of the library is embedded"):
        searcher.similar(one, words="+sunset")
    assert found(searcher.similar(one)) == [(two, ("similar_text",))]
    assert found(searcher.similar(one, words="-people")) == []
    [three] = show_many(["beach"])
    with pytest.raises(NotEmbeddedError, match="This picture is not embedded"):
        searcher.similar(one, words="+sunset")
    with pytest.raises(NotEmbeddedError, match="cannot be used"):
        without.similar(three, words="+sunset")
    with pytest.raises(NotEmbeddedError, match="another model"):
        other.similar(three, words="+sunset")


def test_a_plus_means_nothing_in_a_search_without_a_picture(small, show_many, by_looks: Searcher):
    written = small.add(description="an owl at 49")
    [shown] = show_many(["owl"])
    for text in ("owl", "+owl", '+"owl"'):
        assert {one for one, _ in found(by_looks.search(text))} == {written, shown}


def show_frames(database: Database, content_id: int, *shown: str) -> None:
    """Add a frame for each second."""
    frames = [(float(second), vector_D) for second, vector_D in enumerate(toy_embed(shown))]
    with database.writing() as connection:
        store_frame_vectors(connection, content_id, frames, "toy-looks")


def test_a_content_with_frames_is_one_hit_at_the_time_of_its_best_frame(show, database, by_looks: Searcher):
    film = show("a quiet kitchen")
    show_frames(database, film, "a quiet kitchen", "owl in flight", "owl on a branch", "owl on a twig")
    picture = show("owl on a branch")
    result = by_looks.search("owl on a branch")
    assert [(hit.content_id, hit.found_at_s) for hit in result.hits] == [(film, 2.0), (picture, None)]
    assert result.total == 2
    similar = by_looks.similar(picture)
    assert [(hit.content_id, hit.found_at_s) for hit in similar.hits] == [(film, 2.0)]


def test_many_frames_do_not_crowd_out_pictures(show_many, database, by_looks: Searcher):
    films = show_many(["a quiet kitchen"] * 8)
    for film in films:
        show_frames(database, film, *["owl on a branch"] * 40)
    pictures = show_many(["owl on branches"] * 30)
    found_ids = [hit.content_id for hit in by_looks.search("owl on a branch", limit=100).hits]
    assert sorted(found_ids) == sorted(films + pictures)
    assert set(found_ids[:8]) == set(films)


def test_new_vectors_replace_those_of_frames_only_when_the_model_changes(show, database):
    film = show("a quiet kitchen")
    show_frames(database, film, "owl", "cat")
    for key, expected in (("toy-looks", 3), ("other-looks", 1)):
        with database.writing() as connection:
            store_picture_vector(connection, film, toy_embed(["owl"])[0], key)
        with database.cursor() as cursor:
            assert cursor.execute("SELECT count(*) FROM picture_vector").fetchone()[0] == expected


def test_vectors_are_counted_behind_a_filter(show, small, database):
    film = show("a quiet kitchen", tags=["film"])
    show_frames(database, film, "owl", "cat")
    show("owl")
    with SqliteTextIndex(database, TOY_KEY).reading() as view:
        assert view.count_looks("toy-looks") == 4
        assert view.count_looks("toy-looks", parse_query("tag:film", 100)) == 3
        assert view.count_looks("toy-looks", parse_query("kind:video", 100)) == 0
        assert view.count_looks("others") == 0
