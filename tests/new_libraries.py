"""New libraries of this process are copies of one that the real steps have made.

Thirteen steps take a twentieth of a second of processor time, and many hundreds of tests begin with a new
library. One of an older version is migrated as ever, and so is every library of a process that a test starts.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import pytest
import sqlalchemy as sa
from sqlalchemy.pool import StaticPool

from smallsight.library.database import raw_cursor
from smallsight.library.migrations import upgrade as steps

_all_steps = steps.upgrade


@cache
def _empty_library() -> sqlite3.Connection:
    """Return an empty library in memory."""
    driver = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    engine = sa.create_engine("sqlite://", creator=lambda: driver, poolclass=StaticPool)
    with engine.connect() as connection:
        _all_steps(connection, None)
    return driver


def _upgrade(connection: sa.Connection, current: str | None) -> None:
    """Do what ``upgrade`` does."""
    target = raw_cursor(connection).connection
    is_new = current is None and not target.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if not is_new:
        _all_steps(connection, current)
        return
    connection.rollback()
    _empty_library().backup(target)


@contextmanager
def copied_libraries() -> Iterator[None]:
    """Copy a library wherever one would be made from nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(steps, "upgrade", _upgrade)
        yield
