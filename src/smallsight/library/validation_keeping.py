"""Stores what a validation has found out, beside an index run that may be in progress."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import sqlalchemy as sa

from smallsight.library.database import Database
from smallsight.library.schema import validation
from smallsight.library.validations import StoredValidation

_MAX_KEPT = 20  # of one model


def keep_validation(path: Path, found: StoredValidation) -> None:
    """Store a validation in the library at path, which is created if there is none.

    The oldest ones of a model that has many are forgotten. Raises LibraryBusyError, LibraryDamagedError or
    StorageError.
    """
    values = asdict(found) | {
        "reasons": json.dumps(found.reasons, ensure_ascii=False),
        "summary": json.dumps(found.summary, ensure_ascii=False),
    }
    with Database.open_for_writing(path) as database, database.writing() as connection:
        connection.execute(validation.insert().values(**values))
        newest = (
            sa.select(validation.c.id)
            .where(validation.c.model == found.model)
            .order_by(validation.c.measured_at_s.desc(), validation.c.id.desc())
            .limit(_MAX_KEPT)
        )
        connection.execute(
            validation.delete().where(
                validation.c.model == found.model, validation.c.id.not_in(newest.scalar_subquery())
            )
        )
