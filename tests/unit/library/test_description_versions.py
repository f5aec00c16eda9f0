"""Every description that a content has had is kept once, whoever wrote it, and can be restored."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command

from smallsight.errors import NotInLibraryError
from smallsight.library.database import Database
from smallsight.library.description_versions import VersionSource, restore, versions_of
from smallsight.library.edits import WordChange, edit_contents
from smallsight.library.file_words import apply_file_words, store_metadata
from smallsight.library.kinship import copy_words
from smallsight.library.library import Library
from smallsight.library.migrations.upgrade import _config
from smallsight.library.schema import content
from smallsight.library.texts import store_description
from smallsight.library.undo import redo, undo
from smallsight.library.version_keeping import MAX_VERSIONS, DescriptionMaker
from smallsight.media.metadata.words import FileWords, Sourced
from smallsight.settings import Settings

Draw = Callable[..., Path]
TINY = DescriptionMaker("tiny", "int8", "Describe it.")


def machine_says(database: Database, content_id: int, text: str, maker: DescriptionMaker = TINY) -> bool:
    with database.writing() as connection:
        return store_description(connection, content_id, text, maker, 1000)


def person_says(database: Database, content_id: int, text: str) -> None:
    edit_contents(database, [content_id], WordChange(description=text))


def history(database: Database, content_id: int) -> list[tuple[str, str, bool]]:
    return [(one.text, str(one.source), one.is_current) for one in versions_of(database, content_id)]


def test_a_machines_version_has_its_model_precision_prompt_and_time(database: Database, three_ids: list[int]):
    machine_says(database, three_ids[0], "a cat")
    (version,) = versions_of(database, three_ids[0])
    assert (version.model, version.precision, version.prompt, version.is_current) == (
        *("tiny", "int8", "Describe it."),
        True,
    )
    assert version.made_at_s is not None
    assert versions_of(database, three_ids[1]) == []


def test_the_same_answer_is_kept_once_and_of_another_precision_again(
    database: Database, three_ids: list[int]
):
    for maker in (TINY, TINY, DescriptionMaker("tiny", "int4", "Describe it."), TINY):
        machine_says(database, three_ids[0], "a cat", maker)
    assert [one.precision for one in versions_of(database, three_ids[0])] == ["int4", "int8"]
    assert [one.is_current for one in versions_of(database, three_ids[0])] == [True, False]


def test_edits_removal_undo_and_redo_keep_every_version(database: Database, three_ids: list[int]):
    one = three_ids[0]
    machine_says(database, one, "a cat")
    person_says(database, one, "my cat")
    person_says(database, one, "")
    assert history(database, one) == [("my cat", "human", False), ("a cat", "machine", False)]
    undo(database)
    undo(database)
    assert history(database, one) == [("my cat", "human", False), ("a cat", "machine", True)]
    redo(database)
    assert history(database, one) == [("my cat", "human", True), ("a cat", "machine", False)]


def test_a_machine_only_offers_its_text_where_a_person_has_written(database: Database, three_ids: list[int]):
    one = three_ids[0]
    person_says(database, one, "my cat")
    assert not machine_says(database, one, "a dog")
    assert history(database, one) == [("a dog", "machine", False), ("my cat", "human", True)]


def test_the_caption_of_a_file_is_a_version_with_its_origin(database: Database, three_ids: list[int]):
    one = three_ids[0]
    machine_says(database, one, "a cat")
    with database.writing() as connection:
        store_metadata(connection, one, FileWords(caption=Sourced("Tom", "iptc:caption")))
        apply_file_words(connection, [one])
    newest = versions_of(database, one)[0]
    assert (newest.source, newest.origin, newest.is_current) == (VersionSource.FILE, "iptc:caption", True)


def test_inherited_words_are_a_version_of_the_heir(database: Database, three_ids: list[int]):
    person_says(database, three_ids[0], "my cat")
    with database.writing() as connection:
        copy_words(connection, three_ids[0], three_ids[1])
    assert history(database, three_ids[1]) == [("my cat", "human", True)]


def test_a_restored_version_is_the_persons_and_can_be_undone(
    database: Database, library: Library, three_ids: list[int]
):
    one = three_ids[0]
    machine_says(database, one, "a cat")
    machine_says(database, one, "a dog", DescriptionMaker("large"))
    old = versions_of(database, one)[1]
    assert restore(database, one, old.id).edit_id is not None
    assert library.details(one).description_source == "human"
    assert not machine_says(database, one, "a bird")
    assert library.details(one).description == "a cat"
    undo(database)
    details = library.details(one)
    assert (details.description, details.description_model) == ("a dog", "large")


def test_only_a_version_of_the_same_content_is_restored(database: Database, three_ids: list[int]):
    machine_says(database, three_ids[0], "a cat")
    (version,) = versions_of(database, three_ids[0])
    with pytest.raises(NotInLibraryError, match=f"no version {version.id}"):
        restore(database, three_ids[1], version.id)


def test_the_oldest_versions_go_but_never_the_one_in_force(database: Database, three_ids: list[int]):
    one = three_ids[0]
    person_says(database, one, "mine")
    for number in range(MAX_VERSIONS + 5):
        machine_says(database, one, f"offer {number}")
    found = versions_of(database, one)
    assert len(found) == MAX_VERSIONS + 1
    assert (found[0].text, found[-1].text) == (f"offer {MAX_VERSIONS + 4}", "mine")


def test_a_library_of_before_begins_its_history_with_what_it_says(settings: Settings):
    path = settings.database_path
    path.parent.mkdir(parents=True)
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0006")
        connection.commit()
    engine.dispose()
    with closing(sqlite3.connect(path)) as old:
        rows = [
            (1, "a cat", "machine", "tiny", None),
            (2, "mine", "human", None, None),
            (3, "Tom", "human", None, "xmp:title"),
            (4, None, None, None, None),
        ]
        for number, text, source, model, origin in rows:
            old.execute(
                "INSERT INTO content (id, sha256, size_bytes, description, description_source,"
                " description_model, description_origin) VALUES (?, ?, 1, ?, ?, ?, ?)",
                (number, f"{number:064x}", text, source, model, origin),
            )
        old.execute(
            "INSERT INTO outcome (content_id, stage, key, status, seconds, finished_at_s)"
            " VALUES (1, 'describe', 'k', 'done', 1, 77)"
        )
        old.commit()
    with Database.open_for_writing(path) as database:
        found = [(*history(database, number), versions_of(database, number)) for number in (1, 2, 3)]
        assert [one[0] for one in found] == [
            ("a cat", "machine", True),
            ("mine", "human", True),
            ("Tom", "file", True),
        ]
        assert [one[1][0].made_at_s for one in found] == [77, None, None]
        with database.reading() as connection:
            assert connection.execute(sa.select(sa.func.count()).select_from(content)).scalar() == 4
        assert versions_of(database, 4) == []
