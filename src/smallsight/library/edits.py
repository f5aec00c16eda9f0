"""Edits by people: words of any number of pictures at once, recorded so that they can be undone.

Many pictures are edited in several short transactions, so that an index run and other editors go on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa

from smallsight.errors import ArgumentError, InvalidTextError
from smallsight.library.database import Database
from smallsight.library.edit_journal import record
from smallsight.library.file_words import refuse_caption
from smallsight.library.kinship import twins_of
from smallsight.library.schema import content, outcome
from smallsight.library.search.tokens import normalise
from smallsight.library.stages.describe import DESCRIBE
from smallsight.library.stages.read import READ
from smallsight.library.texts import add_tags_to, remove_tags_from, renew_searchable
from smallsight.library.version_keeping import keep_current
from smallsight.library.word_state import TAG, Changes, WordRows, differences, read_states, text_columns
from smallsight.policy.valid_text import is_valid_text

CONTENTS_PER_TURN = 32
PAUSE_S = 0.012  # longer than the longest wait of a process that wants to write, so that it gets its turn
_MAX_SUMMARY_CHARS = 60

Advance = Callable[[int], None]
_Write = Callable[[sa.Connection, Sequence[int]], object]


@dataclass(frozen=True, slots=True)
class WordChange:
    """What to change about pictures.

    None leaves a text as it is; an empty one lets a machine write it again.
    """

    description: str | None = None
    text: str | None = None
    tags_added: tuple[str, ...] = ()
    tags_removed: tuple[str, ...] = ()

    def check(self) -> None:
        """Raise InvalidTextError for text that is not Unicode, and ArgumentError for an empty tag."""
        for what, text in (("The description", self.description), ("The text", self.text)):
            if text is not None and not is_valid_text(text):
                raise InvalidTextError.of(what)
        for name in (*self.tags_added, *self.tags_removed):
            folded_tag(name)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is to be changed."""
        return self == WordChange()

    @property
    def has_text(self) -> bool:
        """Whether it sets or removes a description or a text, which rarely fits several pictures."""
        return self.description is not None or self.text is not None

    @property
    def summary(self) -> str:
        """The change in a few words."""
        parts = []
        if self.description is not None:
            parts.append("description written" if self.description.strip() else "description removed")
        if self.text is not None:
            parts.append("text corrected" if self.text.strip() else "text to be read again")
        if self.tags_added:
            parts.append(f"tagged {in_few_words(self.tags_added)}")
        if self.tags_removed:
            parts.append(f"untagged {in_few_words(self.tags_removed)}")
        return "; ".join(parts)


@dataclass(slots=True)
class EditReport:
    """What an edit did: its number, or None if nothing changed, and the changes by content id.

    The contents include those with the same pixels as a requested one. ``tags_not_there`` were to be removed,
    and no requested content had them.
    """

    edit_id: int | None = None
    changed: dict[int, Changes] = field(default_factory=dict)
    tags_not_there: tuple[str, ...] = ()


def folded_tag(name: str) -> str:
    """Return how a tag is compared; raises ArgumentError if nothing of it is left, InvalidTextError."""
    if not is_valid_text(name):
        raise InvalidTextError.of("A tag")
    folded = normalise(name).strip()
    if not folded:
        raise ArgumentError(
            f"A tag cannot be empty: {name!r}.", hint="give it at least one letter, digit or sign."
        )
    return folded


def in_few_words(names: Sequence[str]) -> str:
    """Return names as a short list."""
    listed = ", ".join(names)
    return listed if len(listed) <= _MAX_SUMMARY_CHARS else f"{listed[: _MAX_SUMMARY_CHARS - 1]}…"


def edit_contents(
    database: Database,
    content_ids: Sequence[int],
    change: WordChange,
    advance: Advance | None = None,
    *,
    summary: str | None = None,
) -> EditReport:
    """Apply a person's change to contents, and to all others with the same pixels.

    ``summary`` is recorded instead of the one of the change.
    Raises what ``WordChange.check`` raises, before anything is stored.
    """
    change.check()
    missing = dict.fromkeys(change.tags_removed)

    def write(connection: sa.Connection, ids: Sequence[int]) -> None:
        _apply(connection, ids, change)

    def note_tags(states: dict[int, WordRows]) -> None:
        for name in list(missing):
            if any(f"{TAG} {folded_tag(name)}" in state for state in states.values()):
                del missing[name]

    report = change_contents(
        database,
        content_ids,
        summary or change.summary,
        write,
        before=note_tags,
        with_twins=True,
        advance=advance,
    )
    report.tags_not_there = tuple(missing)
    return report


def change_contents(
    database: Database,
    content_ids: Sequence[int],
    summary: str,
    write: _Write,
    *,
    before: Callable[[dict[int, WordRows]], None] | None = None,
    with_twins: bool = False,
    advance: Advance | None = None,
    per_turn: int = CONTENTS_PER_TURN,
) -> EditReport:
    """Call ``write`` with some contents at a time and record what it changed as one edit.

    ``before`` receives the states of the requested contents before they are changed.
    """
    report = EditReport()
    for start in range(0, len(content_ids), per_turn):
        if start:
            time.sleep(PAUSE_S)
        requested = list(content_ids[start : start + per_turn])
        with database.writing() as connection:
            ids = _with_twins(connection, requested) if with_twins else requested
            states = read_states(connection, ids)
            if before is not None:
                before({content_id: states[content_id] for content_id in requested if content_id in states})
            write(connection, ids)
            after = read_states(connection, ids)
            changes = {
                content_id: one
                for content_id in states
                if (one := differences(states[content_id], after[content_id]))
            }
            if changes:
                report.edit_id = record(connection, report.edit_id, summary, changes)
                for first in range(0, len(changes), CONTENTS_PER_TURN):
                    renew_searchable(connection, list(changes)[first : first + CONTENTS_PER_TURN])
        for content_id, one in changes.items():
            report.changed.setdefault(content_id, {}).update(one)
        if advance is not None:
            advance(len(requested))
    return report


def _with_twins(connection: sa.Connection, content_ids: Sequence[int]) -> list[int]:
    return [*content_ids, *twins_of(connection, *content_ids)]


def _apply(connection: sa.Connection, content_ids: Sequence[int], change: WordChange) -> None:
    values: dict[str, str | None] = {}
    reopened = []
    if change.description is not None:
        words = change.description.strip() or None
        values |= text_columns("description")
        values |= {"description": words, "description_source": words and "human"}
        reopened += [] if words else [DESCRIBE]
    if change.text is not None:
        words = change.text.strip() or None
        values |= text_columns("text")
        values |= {"ocr_text": words, "ocr_source": words and "human"}
        reopened += [] if words else [READ]
    if values:
        connection.execute(content.update().where(content.c.id.in_(content_ids)).values(**values))
    if change.description is not None:
        keep_current(connection, content_ids)
    if DESCRIBE in reopened:
        for content_id in content_ids:
            refuse_caption(connection, content_id)
    if reopened:
        connection.execute(
            outcome.delete().where(outcome.c.content_id.in_(content_ids), outcome.c.stage.in_(reopened))
        )
    add_tags_to(connection, content_ids, change.tags_added)
    remove_tags_from(connection, content_ids, change.tags_removed)
