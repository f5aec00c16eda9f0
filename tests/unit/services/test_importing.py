"""Whole files into an open library: one bad file among good ones, being stopped, and finding by meaning."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
import sqlalchemy as sa

from runner_place import Place, texts_with_vectors
from smallsight.errors import ArgumentError
from smallsight.library.importing import DESCRIPTIONS_PER_TURN, ImportedState
from smallsight.library.schema import content
from smallsight.services.importing import CaptionImporter

NUM_PICTURES = 2 * DESCRIPTIONS_PER_TURN + 5


@pytest.fixture
def hashes(embedding_place: Place) -> Sequence[str]:
    """The hashes of some contents, without files."""
    made = [f"{number:064x}" for number in range(NUM_PICTURES)]
    with embedding_place.database.writing() as connection:
        connection.execute(content.insert(), [{"sha256": one, "size_bytes": 1} for one in made])
    return made


def write(path: Path, hashes: Sequence[str], words: str = "a cat") -> Path:
    rows = [{"sha256": one, "model": "far", "caption": f"{words} {n}"} for n, one in enumerate(hashes)]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="ascii")
    return path


def importer(place: Place) -> CaptionImporter:
    return CaptionImporter(place.application, place.settings)


def num_described(place: Place) -> int:
    statement = sa.select(sa.func.count()).where(content.c.description.is_not(None))
    with place.database.reading() as connection:
        return int(connection.execute(statement).scalar_one())


def test_a_file_that_cannot_be_used_is_reported_and_the_others_are_imported(
    embedding_place: Place, hashes: Sequence[str], tmp_path: Path
):
    pytest.importorskip("pyarrow")
    damaged = tmp_path / "a.parquet"
    damaged.write_bytes(b"PAR1")
    good = write(tmp_path / "b.jsonl", hashes[:3])
    report = importer(embedding_place).run([damaged, good])
    assert [(path, error.code) for path, error in report.damaged] == [(damaged, "corrupt_picture")]
    assert (report.rows, report.states) == (3, {ImportedState.STORED: 3})


def test_a_file_of_an_unknown_kind_is_refused_before_anything_is_stored(
    embedding_place: Place, hashes: Sequence[str], tmp_path: Path
):
    with pytest.raises(ArgumentError):
        importer(embedding_place).run([write(tmp_path / "a.jsonl", hashes), tmp_path / "b.csv"])
    assert num_described(embedding_place) == 0


def test_a_stopped_import_keeps_what_it_stored_and_the_next_one_does_the_rest(
    embedding_place: Place, hashes: Sequence[str], tmp_path: Path
):
    file = write(tmp_path / "a.jsonl", hashes)
    seen: list[tuple[int, float]] = []
    with pytest.raises(KeyboardInterrupt):
        importer(embedding_place).run([file], lambda *done: seen.append(done), lambda: True)
    assert [rows for rows, _ in seen] == [DESCRIPTIONS_PER_TURN]
    assert num_described(embedding_place) == DESCRIPTIONS_PER_TURN
    report = importer(embedding_place).run([file], lambda *done: seen.append(done))
    assert report.states == {
        ImportedState.KNOWN: DESCRIPTIONS_PER_TURN,
        ImportedState.STORED: NUM_PICTURES - DESCRIPTIONS_PER_TURN,
    }
    assert seen[-1] == (NUM_PICTURES, 1.0)


def test_what_was_imported_is_embedded(embedding_place: Place, tmp_path: Path):
    place = embedding_place
    (content_id,) = place.add(["a.png"], are_looked_at=True)
    with place.database.reading() as connection:
        sha256 = str(connection.execute(sa.select(content.c.sha256)).scalar_one())
    importing = importer(place)
    importing.run([write(tmp_path / "a.jsonl", [sha256], "a purple hippopotamus")])
    done: list[int] = []
    importing.embed(done.append)
    assert done == [1]
    assert place.descriptions() == {content_id: "a purple hippopotamus 0"}
    assert "a purple hippopotamus 0" in texts_with_vectors(place)
