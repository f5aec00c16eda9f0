"""Reads records from the database in batches, so that memory does not grow with the library."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from smallsight.library.database import Database
from smallsight.library.exporting.record import ExportedFile, ExportedLine, ExportedTag, PictureRecord
from smallsight.library.ledger import OutcomeStatus
from smallsight.library.local_time import iso_text
from smallsight.library.schema import content, content_tag, facet, folder, outcome, picture, tag, text_line

__all__ = ["count_records", "read_all", "read_some"]

_PER_BATCH = 500
_PRESENT = picture.c.vanished_at_s.is_(None)


def count_records(database: Database) -> int:
    """Return how many records ``read_all`` yields at most."""
    has_file = sa.exists().where(picture.c.content_id == content.c.id, _PRESENT)
    with database.reading() as connection:
        contents = connection.execute(
            sa.select(sa.func.count()).select_from(content).where(has_file)
        ).scalar_one()
        unread = connection.execute(
            sa.select(sa.func.count()).select_from(picture).where(_PRESENT, picture.c.content_id.is_(None))
        ).scalar_one()
    return int(contents) + int(unread)


def read_all(database: Database) -> Iterator[PictureRecord]:
    """Yield every content that has a file, then every file that could not be read.

    Each batch is one consistent state; the library may change between two.
    """
    has_file = sa.exists().where(picture.c.content_id == content.c.id, _PRESENT)
    last = 0
    while ids := _next_ids(
        database, sa.select(content.c.id).where(content.c.id > last, has_file), content.c.id
    ):
        yield from _read_batch(database, ids)
        last = ids[-1]
    yield from _read_unread(database)


def read_some(database: Database, content_ids: Sequence[int]) -> Iterator[PictureRecord]:
    """Yield these contents in order, without those that have no file any more."""
    for start in range(0, len(content_ids), _PER_BATCH):
        yield from _read_batch(database, content_ids[start : start + _PER_BATCH])


def _next_ids(database: Database, query: sa.Select[Any], by: sa.Column[int]) -> list[int]:
    with database.reading() as connection:
        return list(connection.execute(query.order_by(by).limit(_PER_BATCH)).scalars())


def _read_unread(database: Database) -> Iterator[PictureRecord]:
    last = 0
    while True:
        query = (
            sa.select(picture, folder.c.path.label("root"))
            .join(folder)
            .where(picture.c.id > last, _PRESENT, picture.c.content_id.is_(None))
        )
        with database.reading() as connection:
            rows = connection.execute(query.order_by(picture.c.id).limit(_PER_BATCH)).all()
        if not rows:
            return
        for row in rows:
            problems = () if row.error is None else (row.error,)
            yield PictureRecord((ExportedFile(Path(row.root), row.path),), row.size_bytes, problems=problems)
        last = rows[-1].id


def _read_batch(database: Database, ids: Sequence[int]) -> list[PictureRecord]:
    with database.reading() as connection:
        rows = {
            row.id: row
            for row in connection.execute(
                sa.select(content, facet.c.date_wall_s, facet.c.kind)
                .outerjoin(facet, facet.c.content_id == content.c.id)
                .where(content.c.id.in_(ids))
            )
        }
        files = _files(connection, ids)
        lines = _lines(connection, ids)
        tags = _tags(connection, ids)
        problems, indexed_at_s = _outcomes(connection, ids)
    return [
        PictureRecord(
            files=tuple(files[one]),
            size_bytes=row.size_bytes,
            sha256=row.sha256,
            format=row.format,
            width_px=row.width_px,
            height_px=row.height_px,
            num_frames=row.num_frames,
            text=row.ocr_text,
            text_by=row.ocr_source,
            lines=tuple(lines[one]),
            description=row.description,
            description_by=row.description_source,
            description_model=row.description_model,
            description_origin=row.description_origin,
            tags=tuple(tags[one]),
            problems=tuple(dict.fromkeys(problems[one])),
            indexed_at_s=indexed_at_s.get(one),
            taken=None if row.date_wall_s is None else iso_text(row.date_wall_s, row.taken_offset_min),
            date_origin=row.taken_origin,
            camera=row.camera,
            kind=row.kind,
            place=None if row.latitude is None else (row.latitude, row.longitude),
        )
        for one in ids
        if (row := rows.get(one)) is not None and files[one]
    ]


def _files(connection: sa.Connection, ids: Sequence[int]) -> dict[int, list[ExportedFile]]:
    found: dict[int, list[ExportedFile]] = defaultdict(list)
    for row in connection.execute(
        sa.select(picture.c.content_id, folder.c.path, picture.c.path.label("below"))
        .join(folder)
        .where(picture.c.content_id.in_(ids), _PRESENT)
        .order_by(picture.c.id)
    ):
        found[row.content_id].append(ExportedFile(Path(row.path), row.below))
    return found


def _lines(connection: sa.Connection, ids: Sequence[int]) -> dict[int, list[ExportedLine]]:
    found: dict[int, list[ExportedLine]] = defaultdict(list)
    for row in connection.execute(
        sa.select(text_line)
        .where(text_line.c.content_id.in_(ids), text_line.c.text != "")
        .order_by(text_line.c.content_id, text_line.c.position)
    ):
        found[row.content_id].append(ExportedLine(row.text, row.confidence, json.loads(row.box)))
    return found


def _tags(connection: sa.Connection, ids: Sequence[int]) -> dict[int, list[ExportedTag]]:
    found: dict[int, list[ExportedTag]] = defaultdict(list)
    for row in connection.execute(
        sa.select(content_tag.c.content_id, tag.c.name, content_tag.c.source, content_tag.c.origin)
        .join(tag)
        .where(content_tag.c.content_id.in_(ids))
        .order_by(tag.c.folded)
    ):
        found[row.content_id].append(ExportedTag(row.name, row.source, row.origin))
    return found


def _outcomes(connection: sa.Connection, ids: Sequence[int]) -> tuple[dict[int, list[str]], dict[int, float]]:
    """Return the errors of contents, and when the last stage of each ended."""
    problems: dict[int, list[str]] = defaultdict(list)
    ended_at_s: dict[int, float] = {}
    for row in connection.execute(
        sa.select(outcome).where(outcome.c.content_id.in_(ids)).order_by(outcome.c.finished_at_s)
    ):
        if row.status == OutcomeStatus.FAILED and row.error:
            problems[row.content_id].append(row.error)
        ended_at_s[row.content_id] = row.finished_at_s
    return problems, ended_at_s
