"""What validations have found out about models, as the library keeps it; reads it, without SQLAlchemy.

Writing is in ``validation_keeping``.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from smallsight.errors import LibraryDamagedError
from smallsight.library.emptied import refuse_emptied
from smallsight.library.readers import connect_read_only
from smallsight.policy.log import get_logger

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class StoredValidation:
    """One validation of one model, without its pictures.

    ``verdict`` is a value of ``Verdict``, ``machine`` names processor and instruction sets. ``summary`` holds
    the means over pictures as in the JSON file of the result; sizes and speeds are None where they could not
    be measured.
    """

    model: str
    base: str
    version: str
    machine: str
    picture_set: str
    measured_at_s: float
    verdict: str
    is_decided: bool
    reasons: tuple[str, ...]
    summary: dict[str, Any]
    scheme: str | None = None
    precision: str | None = None
    key: str | None = None
    weights_bytes: int | None = None
    loaded_bytes: int | None = None
    peak_bytes: int | None = None
    first_token_s: float | None = None
    tokens_per_s: float | None = None
    pictures_per_min: float | None = None


COLUMNS = tuple(field.name for field in fields(StoredValidation))


def stored_validations(path: Path, version: str, machine: str) -> tuple[StoredValidation, ...]:
    """Return the validations by this version on this machine, the oldest first.

    There are none without a library, in a library that an older version has made, and in one that cannot be
    read, which other commands report.
    """
    if not path.is_file():
        return ()
    try:
        refuse_emptied(path)
        with closing(connect_read_only(path)) as connection:
            return tuple(_rows(connection, version, machine))
    except (sqlite3.Error, LibraryDamagedError, ValueError, TypeError) as error:
        log.info("validations_not_read", reason=str(error))
        return ()


def _rows(connection: sqlite3.Connection, version: str, machine: str) -> Iterator[StoredValidation]:
    query = f"""SELECT {", ".join(COLUMNS)} FROM validation WHERE version = ? AND machine = ?
                ORDER BY measured_at_s, id"""  # noqa: S608 - names of this file
    for row in connection.execute(query, (version, machine)):
        values = dict(zip(COLUMNS, row, strict=True))
        values["is_decided"] = bool(values["is_decided"])
        values["reasons"] = tuple(json.loads(values["reasons"]))
        values["summary"] = json.loads(values["summary"])
        yield StoredValidation(**values)
