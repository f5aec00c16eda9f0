from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from smallsight.library.search.index_terms import filter_column, folder_marks, folder_phrase, tag_mark


def stands_in(phrase, column):
    return f" {phrase} " in f" {column} "


def test_tags_that_differ_in_punctuation_differ():
    assert len({tag_mark(name) for name in ("c", "c++", "c#", "C--", "c ", "e")}) == 5
    assert tag_mark("Crème  Brûlée") == tag_mark("creme brulee")


def test_a_folder_is_found_by_one_part_or_a_run_of_parts_or_from_the_root():
    column = filter_column([], ["/srv/Me/Memes/2024 best"])
    for value in ("memes", "MEMES", "me/memes", "2024 best", "/srv", "/srv/me/", "srv/me/memes/2024 best"):
        assert stands_in(folder_phrase(value), column), value
    for value in ("meme", "2024", "/me", "srv/memes", "memes/me", "best"):
        assert not stands_in(folder_phrase(value), column), value


def test_a_run_of_parts_does_not_reach_from_one_path_to_the_next():
    column = filter_column([], ["/a/b", "/c/d"])
    assert not stands_in(folder_phrase("b/c"), column)


def test_paths_of_both_kinds_of_systems():
    assert folder_marks(r"C:\Users\me") == folder_marks("c:/users/ME")


@given(st.text(st.characters(exclude_categories=()), max_size=30))
def test_a_mark_is_one_word_of_the_index(name):
    mark = tag_mark(name)
    assert all(not character.isascii() or character.isalnum() for character in mark)
    assert not any(character.isspace() for character in mark)
