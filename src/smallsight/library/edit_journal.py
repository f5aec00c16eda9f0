"""The journal of edits by people: what each changed about which content; the newest ones can be undone.

An edit may be stored in several transactions. What is recorded by then can be undone.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass

import sqlalchemy as sa

from smallsight.errors import NotInLibraryError
from smallsight.library.database import Database
from smallsight.library.schema import edit, edit_content
from smallsight.library.word_state import Changes, changed_keys

MAX_EDITS = 50

current_editor: ContextVar[str] = ContextVar("current_editor", default="")
"""The person whose edits are recorded in this context; empty where nobody has a name."""


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One edit: its number, when it was made (seconds since the epoch), and how many contents it changed."""

    id: int
    made_at_s: float
    summary: str
    num_contents: int
    is_undone: bool


def record(
    connection: sa.Connection, edit_id: int | None, summary: str, changes: Mapping[int, Changes]
) -> int:
    """Store what an edit changed, by content id, and return its number.

    A new edit (``edit_id`` None) ends the undone ones, which can no longer be redone, and the oldest.
    """
    if edit_id is None:
        connection.execute(edit.delete().where(edit.c.undone_order.is_not(None)))
        editor = current_editor.get()
        named = f"{summary}, by {editor}" if editor else summary
        row = connection.execute(edit.insert().values(made_at_s=time.time(), summary=named))
        edit_id = int((row.inserted_primary_key or (0,))[0])
        newest = sa.select(edit.c.id).order_by(edit.c.id.desc()).limit(MAX_EDITS)
        connection.execute(edit.delete().where(edit.c.id.not_in(newest)))
    rows = [
        {"edit_id": edit_id, "content_id": content_id, "changes": json.dumps(one, ensure_ascii=False)}
        for content_id, one in changes.items()
    ]
    if rows:
        connection.execute(edit_content.insert(), rows)
    return edit_id


def list_edits(database: Database) -> list[JournalEntry]:
    """Return the edits that can be undone or redone, newest first."""
    with database.reading() as connection:
        return _entries(connection, edit.c.id.is_not(None))


def edit_to_undo(connection: sa.Connection, edit_id: int | None) -> JournalEntry:
    """Return the newest edit in force, or the one with this number; raises NotInLibraryError."""
    entries = _entries(connection, edit.c.undone_order.is_(None))
    if edit_id is not None:
        entries = [one for one in entries if one.id == edit_id]
    if not entries:
        what = "There is nothing to undo" if edit_id is None else f"There is no edit {edit_id} to undo"
        raise NotInLibraryError(
            f"{what}.", hint=f"`smallsight undo --list` lists the last {MAX_EDITS} edits that were made."
        )
    return entries[0]


def edit_to_redo(connection: sa.Connection) -> JournalEntry:
    """Return the edit that was undone last; raises NotInLibraryError."""
    last = sa.select(sa.func.max(edit.c.undone_order)).scalar_subquery()
    entries = _entries(connection, edit.c.undone_order == last)
    if not entries:
        raise NotInLibraryError(
            "There is nothing to redo.",
            hint="a new edit makes the undone ones final; `smallsight undo` undoes it.",
        )
    return entries[0]


def mark(connection: sa.Connection, edit_id: int, *, is_undone: bool) -> None:
    """Record that an edit was undone, or done again."""
    order = sa.select(sa.func.coalesce(sa.func.max(edit.c.undone_order), 0) + 1).scalar_subquery()
    connection.execute(
        edit.update().where(edit.c.id == edit_id).values(undone_order=order if is_undone else None)
    )


def changes_after(
    connection: sa.Connection, edit_id: int, after_content_id: int, limit: int
) -> dict[int, Changes]:
    """Return a page of what an edit changed, by content id in ascending order."""
    rows = connection.execute(
        sa.select(edit_content.c.content_id, edit_content.c.changes)
        .where(edit_content.c.edit_id == edit_id, edit_content.c.content_id > after_content_id)
        .order_by(edit_content.c.content_id)
        .limit(limit)
    )
    return {row.content_id: _parsed(row.changes) for row in rows}


def keys_changed_later(
    connection: sa.Connection, edit_id: int, content_ids: Iterable[int]
) -> dict[int, set[str]]:
    """Return the keys that later edits in force changed, by content id."""
    rows = connection.execute(
        sa.select(edit_content.c.content_id, edit_content.c.changes)
        .join(edit)
        .where(
            edit.c.id > edit_id,
            edit.c.undone_order.is_(None),
            edit_content.c.content_id.in_(list(content_ids)),
        )
    )
    found: dict[int, set[str]] = {}
    for row in rows:
        found.setdefault(row.content_id, set()).update(changed_keys(_parsed(row.changes)))
    return found


def _parsed(changes: str) -> Changes:
    return {key: (before, after) for key, (before, after) in json.loads(changes).items()}


def _entries(connection: sa.Connection, condition: sa.ColumnElement[bool]) -> list[JournalEntry]:
    counted = sa.select(sa.func.count()).where(edit_content.c.edit_id == edit.c.id).scalar_subquery()
    rows = connection.execute(
        sa.select(edit, counted.label("number")).where(condition).order_by(edit.c.id.desc())
    )
    return [
        JournalEntry(row.id, row.made_at_s, row.summary, row.number, row.undone_order is not None)
        for row in rows
    ]
