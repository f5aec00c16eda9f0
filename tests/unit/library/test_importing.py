"""Descriptions of other machines: what they replace, what is kept beside them, and what is noted."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from smallsight.library.database import Database
from smallsight.library.description_versions import versions_of
from smallsight.library.edits import WordChange, edit_contents
from smallsight.library.file_words import apply_file_words, store_metadata
from smallsight.library.importing import ImportedDescription, ImportedState, store_imported
from smallsight.library.schema import content, outcome
from smallsight.library.stages.describe import DESCRIBE
from smallsight.library.texts import store_description
from smallsight.library.version_keeping import DescriptionMaker
from smallsight.media.metadata.words import FileWords, Sourced

FAR = DescriptionMaker("far", "int8", "What is it?")
NEAR = DescriptionMaker("near", "int4")


def hash_of(database: Database, content_id: int) -> str:
    with database.reading() as connection:
        return str(connection.execute(sa.select(content.c.sha256).where(content.c.id == content_id)).scalar())


def row_of(database: Database, content_id: int) -> sa.Row[tuple[str | None, str | None, str | None, int]]:
    columns = (content.c.description, content.c.description_source, content.c.description_model)
    with database.reading() as connection:
        return connection.execute(
            sa.select(*columns, content.c.text_version).where(content.c.id == content_id)
        ).one()


def key_of(database: Database, content_id: int) -> str | None:
    with database.reading() as connection:
        of = outcome.c
        return connection.execute(
            sa.select(of.key).where(of.content_id == content_id, of.stage == DESCRIBE)
        ).scalar()


def take_in(
    database: Database,
    content_id: int,
    text: str = "a far cat",
    key: str | None = "imported:1",
    *,
    replaces: bool = False,
) -> ImportedState:
    one = ImportedDescription(hash_of(database, content_id), text, FAR, key)
    ((state, _),) = store_imported(database, [one], replaces=replaces)
    return state


def test_a_description_is_stored_with_model_precision_and_prompt_and_found(
    database: Database, three_ids: list[int]
):
    before = row_of(database, three_ids[0]).text_version
    assert take_in(database, three_ids[0]) is ImportedState.STORED
    assert row_of(database, three_ids[0])[:3] == ("a far cat", "machine", "far")
    assert row_of(database, three_ids[0]).text_version == before + 1
    (version,) = versions_of(database, three_ids[0])
    assert (version.model, version.precision, version.prompt) == ("far", "int8", "What is it?")
    with database.cursor() as cursor:
        words = "SELECT count(*) FROM search_index WHERE search_index MATCH 'far'"
        assert cursor.execute(words).fetchone()[0] == 1


def test_the_same_description_changes_nothing_the_second_time(database: Database, three_ids: list[int]):
    take_in(database, three_ids[0])
    before = row_of(database, three_ids[0])
    assert take_in(database, three_ids[0]) is ImportedState.KNOWN
    assert row_of(database, three_ids[0]) == before
    assert len(versions_of(database, three_ids[0])) == 1


@pytest.mark.parametrize("replaces", [False, True])
def test_a_persons_words_and_those_of_a_file_stay_in_force(
    database: Database, three_ids: list[int], replaces: bool
):
    edit_contents(database, [three_ids[0]], WordChange(description="mine"))
    with database.writing() as connection:
        store_metadata(connection, three_ids[1], FileWords(caption=Sourced("of the file", "xmp")))
        apply_file_words(connection, [three_ids[1]])
    for content_id, words in ((three_ids[0], "mine"), (three_ids[1], "of the file")):
        assert take_in(database, content_id, replaces=replaces) is ImportedState.KEPT_HUMAN
        assert row_of(database, content_id).description == words
        assert versions_of(database, content_id)[0].text == "a far cat"
        assert take_in(database, content_id, replaces=replaces) is ImportedState.KNOWN
        assert key_of(database, content_id) is None


def test_another_models_description_is_replaced_only_on_request(database: Database, three_ids: list[int]):
    with database.writing() as connection:
        store_description(connection, three_ids[0], "a near cat", NEAR, 1000)
    assert take_in(database, three_ids[0]) is ImportedState.KEPT_MACHINE
    assert row_of(database, three_ids[0]).description == "a near cat"
    assert take_in(database, three_ids[0], replaces=True) is ImportedState.STORED
    assert row_of(database, three_ids[0])[:3] == ("a far cat", "machine", "far")
    assert {one.text for one in versions_of(database, three_ids[0])} == {"a near cat", "a far cat"}


def test_the_request_is_noted_unless_it_is_unknown_or_this_library_has_done_the_work(
    database: Database, three_ids: list[int]
):
    take_in(database, three_ids[0])
    take_in(database, three_ids[1], key=None)
    assert (key_of(database, three_ids[0]), key_of(database, three_ids[1])) == ("imported:1", None)
    take_in(database, three_ids[0], "another", "imported:2", replaces=True)
    assert key_of(database, three_ids[0]) == "imported:1"


def test_a_person_who_empties_an_imported_description_makes_the_work_due(
    database: Database, three_ids: list[int]
):
    take_in(database, three_ids[0])
    edit_contents(database, [three_ids[0]], WordChange(description=""))
    assert key_of(database, three_ids[0]) is None


def test_hashes_that_are_not_in_the_library_store_nothing(database: Database, three_ids: list[int]):
    strange = ImportedDescription("0" * 64, "a far cat", FAR, None)
    before = database.version()
    assert store_imported(database, [strange], replaces=True) == [(ImportedState.NOT_HERE, None)]
    assert database.version() == before
    known = ImportedDescription(hash_of(database, three_ids[0]), "a far cat", FAR, None)
    states = [state for state, _ in store_imported(database, [strange, known, known], replaces=False)]
    assert states == [ImportedState.NOT_HERE, ImportedState.STORED, ImportedState.KNOWN]
