from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from smallsight.errors import ArgumentError, NotInLibraryError
from smallsight.library.database import Database
from smallsight.library.library import Library
from smallsight.library.schema import content
from smallsight.library.search.searcher import Searcher
from smallsight.library.search.sqlite.index import SqliteTextIndex
from smallsight.library.tag_colours import colour_tag, tag_colours
from smallsight.library.tags import find_tag, list_tags, merge_tags, remove_tag, rename_tag
from smallsight.library.texts import store_machine_tags
from smallsight.library.undo import redo, undo
from smallsight.settings import Settings

Draw = Callable[..., Path]


@pytest.fixture
def ids(database: Database, library: Library, three_ids: list[int]) -> list[int]:
    """Three pictures: a and b have the tag Cat, b also kitten, and a machine gave c the tag cat."""
    a, b, c = three_ids
    library.edit(a, tags_added=("Cat",))
    library.edit(b, tags_added=("Cat", "kitten"))
    by_machine(database, c, "cat")
    return [a, b, c]


def by_machine(database: Database, content_id: int, *names: str) -> None:
    with database.writing() as connection:
        store_machine_tags(connection, content_id, names)


def tags_of(library: Library, ids: list[int]) -> list[tuple[str, ...]]:
    return [library.details(content_id).tags for content_id in ids]


def test_tags_are_listed_with_counts(database: Database, ids: list[int]):
    assert [
        (one.name, one.num_pictures, one.num_by_person, one.num_by_machine) for one in list_tags(database)
    ] == [
        ("Cat", 3, 2, 1),
        ("kitten", 1, 1, 0),
    ]
    assert find_tag(database, "CÁT") == "Cat"
    assert find_tag(database, "dog") is None


def test_a_renamed_tag_is_found_by_its_new_name_only(
    database: Database, library: Library, ids: list[int], settings: Settings
):
    report = rename_tag(database, "cat", "Felis catus")
    assert len(report.changed) == 3
    assert tags_of(library, ids) == [("Felis catus",), ("Felis catus", "kitten"), ("Felis catus",)]
    searcher = Searcher(SqliteTextIndex(database), settings)
    assert len(searcher.search('tag:"felis catus"').hits) == 3
    assert searcher.search("tag:cat").hits == ()
    undo(database)
    assert tags_of(library, ids) == [("Cat",), ("Cat", "kitten"), ("Cat",)]
    assert library.details(ids[2]).machine_tags == ("Cat",)


def test_no_machine_brings_a_renamed_tag_back(database: Database, library: Library, ids: list[int]):
    library.edit(ids[0], tags_removed=("cat",))
    rename_tag(database, "cat", "feline")
    for content_id in ids:
        by_machine(database, content_id, "cat", "feline")
    assert tags_of(library, ids) == [(), ("feline", "kitten"), ("feline",)]


def test_capitals_of_a_tag_can_be_changed_and_restored(database: Database, library: Library, ids: list[int]):
    with database.reading() as connection:
        before = connection.execute(sa.select(sa.func.sum(content.c.text_version))).scalar_one()
    rename_tag(database, "cat", "CAT")
    assert tags_of(library, ids) == [("CAT",), ("CAT", "kitten"), ("CAT",)]
    assert library.details(ids[2]).machine_tags == ("CAT",)
    with database.reading() as connection:
        assert connection.execute(sa.select(sa.func.sum(content.c.text_version))).scalar_one() == before + 3
    undo(database)
    assert tags_of(library, ids) == [("Cat",), ("Cat", "kitten"), ("Cat",)]
    assert rename_tag(database, "cat", "Cat").edit_id is None


def test_an_edit_before_a_new_spelling_can_still_be_undone(
    database: Database, library: Library, ids: list[int]
):
    first = library.details(ids[0]).tags
    rename_tag(database, "cat", "CAT")
    undo(database, 1)  # which tagged the first picture
    assert (first, tags_of(library, ids)) == (("Cat",), [(), ("CAT", "kitten"), ("CAT",)])


def test_tags_are_merged_and_parted_again(database: Database, library: Library, ids: list[int]):
    merge_tags(database, ["kitten", "cat"], "Pets")
    assert tags_of(library, ids) == [("Pets",), ("Pets",), ("Pets",)]
    undo(database)
    assert tags_of(library, ids) == [("Cat",), ("Cat", "kitten"), ("Cat",)]
    merge_tags(database, ["kitten"], "CAT")
    assert tags_of(library, ids) == [("Cat",), ("Cat",), ("Cat",)]


def test_undo_and_redo_of_a_new_name_keep_the_colour(database: Database, ids: list[int]):
    colour_tag(database, "cat", "#112233")
    rename_tag(database, "cat", "feline")
    assert tag_colours(database) == {"feline": "#112233"}
    undo(database)
    assert tag_colours(database) == {"cat": "#112233"}
    redo(database)
    assert tag_colours(database) == {"feline": "#112233"}
    colour_tag(database, "feline", None)
    remove_tag(database, "feline")
    undo(database)
    assert tag_colours(database) == {}


def test_a_removed_tag_does_not_come_back(database: Database, library: Library, ids: list[int]):
    remove_tag(database, "CAT")
    by_machine(database, ids[2], "cat", "sofa")
    assert tags_of(library, ids) == [(), ("kitten",), ("sofa",)]


def test_what_cannot_be_done_is_a_sentence(database: Database, ids: list[int]):
    for call in (
        lambda: rename_tag(database, "dog", "hound"),
        lambda: merge_tags(database, ["cat", "dog"], "pets"),
        lambda: remove_tag(database, "dog"),
    ):
        with pytest.raises(NotInLibraryError, match="No picture has the tag 'dog'"):
            call()
    with pytest.raises(ArgumentError, match="into itself"):
        merge_tags(database, ["CAT"], "cat")
    with pytest.raises(ArgumentError, match="empty"):
        rename_tag(database, "cat", " ")
    assert len(list_tags(database)) == 2
