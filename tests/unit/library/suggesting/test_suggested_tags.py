"""Suggested tags of a library: what is suggested, and that decisions are edits which harm nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from smallsight.library.database import Database
from smallsight.library.edits import WordChange, edit_contents
from smallsight.library.library import Library
from smallsight.library.picture_embedding import store_frame_vectors, store_picture_vector
from smallsight.library.schema import content, content_tag, picture
from smallsight.library.suggesting.suggested_pictures import suggested_pictures
from smallsight.library.suggesting.suggested_tags import (
    MAX_FOR_ONE,
    SuggestedTag,
    VocabularyVectors,
    accept_suggestions,
    count_vectors,
    has_vectors,
    reject_suggestions,
    suggest_tags,
)
from smallsight.library.suggesting.vocabulary import parse_vocabulary
from smallsight.library.undo import redo, undo

KEY = "toy-looks"
THINGS = parse_vocabulary("owl\ncat\nTree\nsnow\n", "it").things


def axis(*weights: float) -> np.ndarray:
    vector = np.array(weights, np.float32)
    return vector / np.linalg.norm(vector)


@pytest.fixture
def vocabulary() -> VocabularyVectors:
    return VocabularyVectors(THINGS, np.eye(4, dtype=np.float32), KEY, 20.0, 0.1)


@pytest.fixture
def ids(database: Database, three_ids: list[int]) -> list[int]:
    """An owl in a tree, a cat, and a picture of nothing that the vocabulary has."""
    shown = (axis(1, 0, 1, 0), axis(0, 1, 0, 0), axis(-1, -1, -1, -1))
    with database.writing() as connection:
        for content_id, vector_D in zip(three_ids, shown, strict=True):
            store_picture_vector(connection, content_id, vector_D, KEY)
    return three_ids


@pytest.fixture
def suggest(database: Database, vocabulary: VocabularyVectors) -> Callable[..., list[tuple[int, str]]]:
    def run(min_score: float = 0.5, content_ids: list[int] | None = None) -> list[tuple[int, str]]:
        found = suggest_tags(database, vocabulary, min_score, content_ids)
        assert all(0 < one.score <= 1 for one in found)
        return [(one.content_id, one.tag) for one in found]

    return run


def tags_of(database: Database, content_id: int) -> dict[str, tuple[str, str | None]]:
    with database.reading() as connection:
        rows = connection.execute(sa.select(content_tag).where(content_tag.c.content_id == content_id))
        found = {row.tag_id: (row.source, row.suggested_by) for row in rows}
        names = connection.execute(sa.text("SELECT id, name FROM tag"))
        return {row.name: found[row.id] for row in names if row.id in found}


def test_pictures_get_what_stands_out_in_them(suggest, ids, database: Database):
    owl, cat, _ = ids
    assert suggest() == [(owl, "owl"), (owl, "Tree"), (cat, "cat")]
    assert suggest(content_ids=[cat]) == [(cat, "cat")]
    assert suggest(content_ids=[]) == []
    assert suggest(0.85) == [(cat, "cat")]
    assert suggest(0.0) == suggest()  # what is less similar than the model asks for is never suggested
    assert (has_vectors(database, KEY), has_vectors(database, "other")) == (True, False)
    assert (count_vectors(database, KEY), count_vectors(database, "other")) == (3, 0)


def test_a_picture_without_a_file_gets_nothing(suggest, ids, database: Database):
    with database.writing() as connection:
        connection.execute(picture.update().where(picture.c.content_id == ids[0]).values(vanished_at_s=1.0))
    assert {content_id for content_id, _ in suggest()} == {ids[1]}
    assert ids[0] not in suggested_pictures(database, ids)


def test_at_most_twelve_are_suggested_for_one(database: Database, ids):
    things = parse_vocabulary("\n".join(f"thing {number}" for number in range(30)), "it").things
    vectors = np.tile(axis(0, 1, 0, 0), (30, 1))
    found = suggest_tags(database, VocabularyVectors(things, vectors, KEY, 20.0, 0.1), 0.0, [ids[1]])
    assert len(found) == MAX_FOR_ONE


def test_what_was_accepted_is_a_persons_tag_with_its_source_and_can_be_undone(
    suggest, ids, database: Database, vocabulary: VocabularyVectors
):
    found = suggest_tags(database, vocabulary, 0.5)
    report = accept_suggestions(database, found, "SigLIP")
    assert set(report.changed) == {ids[0], ids[1]}
    assert tags_of(database, ids[0]) == {"owl": ("human", "SigLIP"), "Tree": ("human", "SigLIP")}
    details = Library(database).details(ids[0])
    assert (set(details.tags), details.machine_tags) == ({"owl", "Tree"}, ())
    assert details.tag_origins["owl"] == "suggested by SigLIP"
    assert suggest() == []
    assert undo(database).entry.summary == "suggested by SigLIP: tagged owl, Tree, cat"
    assert tags_of(database, ids[0]) == {}
    assert len(suggest()) == 3
    redo(database)
    assert tags_of(database, ids[1]) == {"cat": ("human", "SigLIP")}


def test_a_persons_own_tag_is_neither_suggested_nor_changed(suggest, ids, database: Database):
    edit_contents(database, [ids[0]], WordChange(tags_added=("OWL",)))
    assert suggest() == [(ids[0], "Tree"), (ids[1], "cat")]
    report = accept_suggestions(database, [SuggestedTag(ids[0], "owl", 0.9)], "SigLIP")
    assert (report.edit_id, report.changed) == (None, {})
    assert reject_suggestions(database, [SuggestedTag(ids[0], "owl", 0.9)]).edit_id is None
    assert tags_of(database, ids[0]) == {"OWL": ("human", None)}


def test_what_was_rejected_does_not_come_back_until_that_is_undone(suggest, ids, database: Database):
    rejected = SuggestedTag(ids[0], "owl", 0.9)
    assert set(reject_suggestions(database, [rejected]).changed) == {ids[0]}
    assert suggest() == [(ids[0], "Tree"), (ids[1], "cat")]
    assert accept_suggestions(database, [rejected], "SigLIP").edit_id is None  # of an older page
    undo(database)
    assert (ids[0], "owl") in suggest()


def test_a_tag_that_a_person_removed_is_not_suggested(suggest, ids, database: Database):
    edit_contents(database, [ids[1]], WordChange(tags_added=("cat",)))
    edit_contents(database, [ids[1]], WordChange(tags_removed=("cat",)))
    assert suggest() == [(ids[0], "owl"), (ids[0], "Tree")]
    edit_contents(database, [ids[1]], WordChange(tags_added=("cat",)))  # changed their mind
    assert tags_of(database, ids[1]) == {"cat": ("human", None)}


def test_contents_with_the_same_pixels_are_tagged_together(ids, database: Database):
    with database.writing() as connection:
        same = content.update().where(content.c.id.in_(ids[:2])).values(pixels_sha256="a" * 64)
        connection.execute(same)
    accept_suggestions(database, [SuggestedTag(ids[0], "snow", 0.9)], "SigLIP")
    assert [set(tags_of(database, one)) for one in ids] == [{"snow"}, {"snow"}, set()]
    undo(database)
    assert [set(tags_of(database, one)) for one in ids] == [set(), set(), set()]


def test_what_is_shown_of_a_picture_is_its_first_file(ids, database: Database, pictures: Path):
    shown = suggested_pictures(database, ids)
    assert set(shown) == set(ids)
    assert all(one.path.parent == pictures and len(one.sha256) == 64 for one in shown.values())


def test_a_video_is_suggested_what_any_of_its_frames_shows_and_counts_once(database: Database, ids, suggest):
    frames = [(1.0, axis(0, 1, 0, 0)), (2.0, axis(0, 1, 0, 0)), (3.0, axis(0, 0, 0, 1))]
    with database.writing() as connection:
        store_frame_vectors(connection, ids[2], frames, KEY)
    assert suggest(0.6) == [
        (ids[0], "owl"),
        (ids[0], "Tree"),
        (ids[1], "cat"),
        (ids[2], "cat"),
        (ids[2], "snow"),
    ]
    assert suggest(0.6, [ids[2]]) == [(ids[2], "cat"), (ids[2], "snow")]
    assert count_vectors(database, KEY) == 3
