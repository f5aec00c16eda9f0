"""Stores descriptions that another machine has written, for contents with the same bytes.

What a person or a file says stays in force; the machine's answer is then only kept as a version. Storing the
same description again changes nothing, so that an interrupted import is simply repeated.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from smallsight.library.database import Database
from smallsight.library.ledger import OutcomeStatus
from smallsight.library.schema import content, outcome
from smallsight.library.stages.describe import DESCRIBE
from smallsight.library.texts import renew_searchable, store_description
from smallsight.library.version_keeping import DescriptionMaker, keep_answer

__all__ = ["DESCRIPTIONS_PER_TURN", "ImportedDescription", "ImportedState", "store_imported"]

DESCRIPTIONS_PER_TURN = 64


@dataclass(frozen=True, slots=True)
class ImportedDescription:
    """A description of the content with this hash.

    ``key`` says how it was asked for, as ``imported_key`` returns it; None if that is unknown.
    """

    sha256: str
    text: str
    maker: DescriptionMaker
    key: str | None


class ImportedState(StrEnum):
    """What has become of an imported description."""

    STORED = "stored"
    KEPT_HUMAN = "kept_beside_a_persons"  # as a version
    KEPT_MACHINE = "kept_beside_another"  # as a version
    KNOWN = "known"
    NOT_HERE = "not_in_library"


@dataclass(frozen=True, slots=True)
class _Before:
    """What a content says before an import."""

    id: int
    description: str | None
    source: str | None
    model: str | None


def store_imported(
    database: Database, descriptions: Sequence[ImportedDescription], *, replaces: bool
) -> list[tuple[ImportedState, int | None]]:
    """Store descriptions in one transaction; return the state of each, and the content that it changed.

    With ``replaces`` it also replaces what a machine has written.
    """
    hashes = {one.sha256 for one in descriptions}
    with database.reading() as connection:  # most rows of a shard may be about other pictures
        known = set(
            connection.execute(sa.select(content.c.sha256).where(content.c.sha256.in_(hashes))).scalars()
        )
    if not known:
        return [(ImportedState.NOT_HERE, None) for _ in descriptions]
    with database.writing() as connection:
        states = [_store(connection, one, replaces=replaces) for one in descriptions]
        if changed := sorted({content_id for _, content_id in states if content_id is not None}):
            renew_searchable(connection, changed)
    return states


def _store(
    connection: sa.Connection, one: ImportedDescription, *, replaces: bool
) -> tuple[ImportedState, int | None]:
    before = _before(connection, one.sha256)
    if before is None:
        return ImportedState.NOT_HERE, None
    is_other = before.description is not None and (before.description, before.model) != (
        one.text,
        one.maker.model,
    )
    if before.source == "human" or (is_other and not replaces):
        is_new = keep_answer(connection, before.id, one.text, one.maker)
        kept = ImportedState.KEPT_HUMAN if before.source == "human" else ImportedState.KEPT_MACHINE
        return (kept if is_new else ImportedState.KNOWN), None
    has_changed = store_description(connection, before.id, one.text, one.maker, len(one.text))
    if one.key is not None:
        _note_outcome(connection, before.id, one.key)
    if before.description is not None and not is_other:
        return ImportedState.KNOWN, None
    return ImportedState.STORED, before.id if has_changed else None


def _before(connection: sa.Connection, sha256: str) -> _Before | None:
    columns = (content.c.id, content.c.description, content.c.description_source, content.c.description_model)
    row = connection.execute(sa.select(*columns).where(content.c.sha256 == sha256)).one_or_none()
    return None if row is None else _Before(*row)


def _note_outcome(connection: sa.Connection, content_id: int, key: str) -> None:
    """Note that a content has been described, so that an index run with the same request leaves it alone.

    If this library has described it too, that stays noted: its next run has nothing to do either.
    """
    values = {
        "key": key,
        "status": OutcomeStatus.DONE,
        "error_code": None,
        "error": None,
        "seconds": 0.0,
        "finished_at_s": time.time(),
    }
    statement = insert(outcome).values(content_id=content_id, stage=DESCRIBE, **values)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["content_id", "stage"],
            set_=values,
            where=outcome.c.status != OutcomeStatus.DONE,
        )
    )
