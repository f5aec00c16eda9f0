"""Undoes and redoes edits by people, except for what a person has changed since."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from smallsight.library.database import Database
from smallsight.library.edit_journal import (
    JournalEntry,
    changes_after,
    edit_to_redo,
    edit_to_undo,
    keys_changed_later,
    mark,
)
from smallsight.library.edits import CONTENTS_PER_TURN, PAUSE_S
from smallsight.library.texts import renew_searchable
from smallsight.library.version_keeping import keep_current
from smallsight.library.word_state import put_back, read_states


@dataclass(slots=True)
class UndoReport:
    """An edit that was undone or redone: the keys restored and those kept, by content id.

    A key is one of ``word_state``. What is kept was changed by a person since.
    """

    entry: JournalEntry
    restored: dict[int, tuple[str, ...]] = field(default_factory=dict)
    kept: dict[int, tuple[str, ...]] = field(default_factory=dict)


def undo(database: Database, edit_id: int | None = None) -> UndoReport:
    """Undo the newest edit that is in force, or the one with this number; raises NotInLibraryError."""
    with database.writing() as connection:
        entry = edit_to_undo(connection, edit_id)
    return _reverse(database, entry, is_undo=True)


def redo(database: Database) -> UndoReport:
    """Make the edit again that was undone last; raises NotInLibraryError."""
    with database.writing() as connection:
        entry = edit_to_redo(connection)
    return _reverse(database, entry, is_undo=False)


def _reverse(database: Database, entry: JournalEntry, *, is_undo: bool) -> UndoReport:
    """Put the contents back in several short transactions; the last one marks the edit."""
    report = UndoReport(entry)
    after_id = 0
    while True:
        with database.writing() as connection:
            page = changes_after(connection, entry.id, after_id, CONTENTS_PER_TURN)
            later = keys_changed_later(connection, entry.id, page)
            states = read_states(connection, list(page))
            for content_id, changes in page.items():
                wanted = changes if is_undo else {key: (b, a) for key, (a, b) in changes.items()}
                restored, kept = put_back(
                    connection, content_id, states[content_id], wanted, later.get(content_id, set())
                )
                if restored:
                    report.restored[content_id] = tuple(restored)
                if kept:
                    report.kept[content_id] = tuple(kept)
            keep_current(connection, list(report.restored.keys() & page.keys()))
            renew_searchable(connection, [one for one in page if one in report.restored])
            if len(page) < CONTENTS_PER_TURN:
                mark(connection, entry.id, is_undone=is_undo)
                return report
        after_id = max(page)
        time.sleep(PAUSE_S)
