from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from smallsight.errors import ArgumentError, InvalidTextError, NotInLibraryError
from smallsight.library.database import Database
from smallsight.library.edit_journal import MAX_EDITS, list_edits
from smallsight.library.edits import CONTENTS_PER_TURN, WordChange, edit_contents
from smallsight.library.library import Library
from smallsight.library.lost_words import attach_words, list_lost_words
from smallsight.library.schema import content, outcome, picture, refused_tag
from smallsight.library.search.searcher import Searcher
from smallsight.library.search.sqlite.index import SqliteTextIndex
from smallsight.library.texts import store_description, store_machine_tags
from smallsight.library.undo import redo, undo
from smallsight.library.version_keeping import DescriptionMaker
from smallsight.settings import Settings

Draw = Callable[..., Path]


@pytest.fixture
def ids(three_ids: list[int]) -> list[int]:
    return three_ids


@pytest.fixture
def found(database: Database, settings: Settings) -> Callable[[str], set[str]]:
    """Return the names of the pictures that a search by words finds."""
    searcher = Searcher(SqliteTextIndex(database), settings)
    return lambda words: {hit.path.name for hit in searcher.search(words).hits}


def described_by_machine(database: Database, content_id: int, text: str, model: str = "m") -> None:
    with database.writing() as connection:
        store_description(connection, content_id, text, DescriptionMaker(model), 1000)
        connection.execute(
            sa.text(
                "INSERT OR REPLACE INTO outcome (content_id, stage, key, status, seconds, finished_at_s)"
                " VALUES (:id, 'describe', :key, 'done', 1, 1)"
            ),
            {"id": content_id, "key": model},
        )


def everything(database: Database) -> list[list[tuple[object, ...]]]:
    """Return all that a person can change."""
    tags = "SELECT content_id, source, name FROM content_tag JOIN tag ON tag.id = tag_id ORDER BY 1, 3"
    texts = "SELECT id, ocr_text, ocr_source, description, description_source, description_model FROM content"
    with database.reading() as connection:
        return [
            [tuple(row) for row in connection.exec_driver_sql(statement)]
            for statement in (
                texts,
                tags,
                "SELECT * FROM refused_tag ORDER BY 1, 2",
                "SELECT * FROM succession ORDER BY 1, 2",
                "SELECT content_id, stage, key FROM outcome ORDER BY 1, 2",
            )
        ]


def test_several_pictures_are_one_edit(database: Database, library: Library, ids: list[int], found):
    report = edit_contents(database, ids[:2], WordChange(tags_added=("Cats",)))
    assert set(report.changed) == set(ids[:2])
    assert found("tag:cats") == {"a.png", "b.png"}
    (entry,) = list_edits(database)
    assert (entry.id, entry.summary, entry.num_contents) == (report.edit_id, "tagged Cats", 2)
    undo(database)
    assert found("tag:cats") == set()


def test_an_edit_that_changes_nothing_is_not_recorded(database: Database, ids: list[int]):
    edit_contents(database, ids, WordChange(tags_added=("x",)))
    again = edit_contents(database, ids, WordChange(tags_added=("X",), tags_removed=("y", "Z")))
    assert (again.edit_id, again.changed, again.tags_not_there) == (None, {}, ("y", "Z"))
    assert len(list_edits(database)) == 1


def test_a_tag_that_one_picture_had_is_not_missing(database: Database, ids: list[int]):
    edit_contents(database, ids[:1], WordChange(tags_added=("Café",)))
    assert edit_contents(database, ids, WordChange(tags_removed=("cafe",))).tags_not_there == ()


@pytest.mark.parametrize("name", ["", "  ", "\u200b"])
def test_an_empty_tag_is_refused_before_anything_is_stored(database: Database, ids: list[int], name: str):
    with pytest.raises(ArgumentError, match="empty"):
        edit_contents(database, ids, WordChange(description="x", tags_added=(name,)))
    with pytest.raises(InvalidTextError):
        edit_contents(database, ids, WordChange(tags_added=("\ud800",)))
    assert list_edits(database) == []


def test_undoing_everything_restores_everything(database: Database, library: Library, ids: list[int]):
    described_by_machine(database, ids[0], "a red square")
    with database.writing() as connection:
        store_machine_tags(connection, ids[0], ["square", "red"])
    states = [everything(database)]
    for change in (
        WordChange(description="mine", text="words", tags_added=("red", "new")),
        WordChange(description="", tags_removed=("square", "red")),
        WordChange(text=""),
    ):
        edit_contents(database, ids, change)
        states.append(everything(database))
    assert states[0] != states[1] != states[2]
    for state in reversed(states[:-1]):
        undo(database)
        assert everything(database) == state
    with pytest.raises(NotInLibraryError, match="nothing to undo"):
        undo(database)
    for state in states[1:]:
        redo(database)
        assert everything(database) == state
    with pytest.raises(NotInLibraryError, match="nothing to redo"):
        redo(database)


def test_undo_renews_the_search_and_makes_vectors_due(database: Database, ids: list[int], found):
    edit_contents(database, ids[:1], WordChange(description="a lighthouse"))
    with database.reading() as connection:
        before = connection.execute(sa.select(content.c.text_version)).scalars().first()
    undo(database)
    assert found("lighthouse") == set()
    with database.reading() as connection:
        assert connection.execute(sa.select(content.c.text_version)).scalars().first() > before
    redo(database)
    assert found("lighthouse") == {"a.png"}


def test_what_a_later_edit_changed_is_kept(database: Database, library: Library, ids: list[int]):
    first = edit_contents(database, ids[:2], WordChange(description="one", tags_added=("t", "u")))
    edit_contents(database, ids[:1], WordChange(description="two", tags_removed=("t",)))
    report = undo(database, first.edit_id)
    assert report.kept == {ids[0]: ("description",)}
    assert library.details(ids[0]).description == "two"
    assert library.details(ids[0]).tags == ()
    assert (library.details(ids[1]).description, library.details(ids[1]).tags) == (None, ())
    assert redo(database).entry.id == first.edit_id
    assert library.details(ids[0]).description == "two"
    assert library.details(ids[0]).tags == ("u",)


def test_a_persons_words_return_although_a_machine_wrote_since(
    database: Database, library: Library, ids: list[int]
):
    library.edit(ids[0], description="mine")
    library.edit(ids[0], description="")
    described_by_machine(database, ids[0], "a machine's")
    assert undo(database).kept == {}
    assert library.details(ids[0]).description == "mine"


def test_a_new_edit_ends_the_undone_ones(database: Database, library: Library, ids: list[int]):
    library.edit(ids[0], tags_added=("one",))
    undo(database)
    library.edit(ids[0], tags_added=("two",))
    with pytest.raises(NotInLibraryError):
        redo(database)
    assert [entry.summary for entry in list_edits(database)] == ["tagged two"]


def test_the_newest_edits_are_kept(database: Database, library: Library, ids: list[int]):
    for number in range(MAX_EDITS + 3):
        library.edit(ids[0], tags_added=(f"t{number}",))
    entries = list_edits(database)
    assert len(entries) == MAX_EDITS
    with pytest.raises(NotInLibraryError, match="no edit 1 to undo"):
        undo(database, 1)
    assert undo(database, entries[-1].id).restored


def test_many_pictures_are_stored_in_several_turns(database: Database, library: Library, ids: list[int]):
    with database.writing() as connection:
        connection.execute(
            content.insert(),
            [{"sha256": f"{number:064x}", "size_bytes": 1} for number in range(2 * CONTENTS_PER_TURN)],
        )
        every = list(connection.execute(sa.select(content.c.id)).scalars())
    states, turns = everything(database), []
    report = edit_contents(database, every, WordChange(tags_added=("many",)), turns.append)
    assert turns == [CONTENTS_PER_TURN, CONTENTS_PER_TURN, len(ids)]
    assert len(report.changed) == len(every)
    assert len(undo(database).restored) == len(every)
    assert everything(database) == states


def test_editors_take_turns_and_lose_nothing(database: Database, library: Library, ids: list[int]):
    def add(content_id: int) -> None:
        for number in range(10):
            library.edit(content_id, tags_added=(f"t{number}",))

    threads = [threading.Thread(target=add, args=(content_id,)) for content_id in ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(len(library.details(content_id).tags) == 10 for content_id in ids)
    assert len(list_edits(database)) == 30


def test_attaching_lost_words_can_be_undone(database: Database, library: Library, ids: list[int]):
    library.edit(ids[0], description="lost words", tags_added=("t",))
    with database.writing() as connection:
        connection.execute(picture.update().where(picture.c.content_id == ids[0]).values(vanished_at_s=1.0))
    before = everything(database)
    attach_words(database, list_lost_words(database)[0].id, ids[1])
    assert library.details(ids[1]).description == "lost words"
    assert list_lost_words(database) == []
    undo(database)
    assert everything(database) == before
    assert len(list_lost_words(database)) == 1


def test_columns_that_this_version_does_not_know_survive(
    database: Database, library: Library, ids: list[int]
):
    """A journal of a later version is read; the columns that are there are restored."""
    library.edit(ids[0], tags_added=("t",))
    undo(database)
    with database.writing() as connection:
        connection.exec_driver_sql(
            """UPDATE edit_content SET changes = replace(changes, '"name"', '"later": 1, "name"')"""
        )
    redo(database)
    assert library.details(ids[0]).tags == ("t",)


def test_refusals_and_outcomes_are_restored_together(database: Database, library: Library, ids: list[int]):
    described_by_machine(database, ids[0], "one", "model-1")
    with database.writing() as connection:
        store_machine_tags(connection, ids[0], ["dog"])
    library.edit(ids[0], description="", tags_removed=("dog",))
    described_by_machine(database, ids[0], "two", "model-2")
    undo(database)
    details = library.details(ids[0])
    assert (details.description, details.description_model, details.machine_tags) == (
        "one",
        "model-1",
        ("dog",),
    )
    with database.reading() as connection:
        assert connection.execute(sa.select(outcome.c.key)).scalars().all() == ["model-1"]
        assert connection.execute(sa.select(refused_tag)).all() == []
