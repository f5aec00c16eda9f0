"""What went wrong with one content, in sentences: failed work, and text in it that was not read."""

from __future__ import annotations

import sqlalchemy as sa

from smallsight.library.ledger import OutcomeStatus
from smallsight.library.schema import outcome, text_line

__all__ = ["problems_of"]


def problems_of(connection: sa.Connection, content_id: int, text_source: str | None) -> tuple[str, ...]:
    """Return the problems of a content; text that a person has corrected has none."""
    failed = sa.select(outcome.c.error).where(
        outcome.c.content_id == content_id, outcome.c.status == OutcomeStatus.FAILED
    )
    problems = tuple(connection.execute(failed.distinct()).scalars())
    unread = text_line.select().where(text_line.c.content_id == content_id, text_line.c.text == "")
    num_unread = connection.execute(sa.select(sa.func.count()).select_from(unread.subquery())).scalar_one()
    if not num_unread or text_source != "machine":
        return problems
    lines = "1 line of text is" if num_unread == 1 else f"{num_unread} lines of text are"
    return (*problems, f"{lines} in a script or hand that is not read.")
