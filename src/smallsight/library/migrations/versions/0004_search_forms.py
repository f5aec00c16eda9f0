"""Fold digits and letter forms in the search index, and drop misread lines of one or two characters."""

from __future__ import annotations

from collections import defaultdict

import sqlalchemy as sa
from alembic import op

from smallsight.library.misreadings import is_too_short_to_mean, without_misreadings
from smallsight.library.search.sqlite.search_text import refresh_search_text
from smallsight.library.search.tokens import normalise
from smallsight.reading.text_line import TextLine

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the texts, the tags and the index rows again as this version makes them; nothing is read again."""
    connection = op.get_bind()
    _drop_misreadings(connection)
    for tag_id, name in connection.execute(sa.text("SELECT id, name FROM tag")).all():
        connection.execute(
            sa.text("UPDATE OR IGNORE tag SET folded = :folded WHERE id = :id"),
            {"id": tag_id, "folded": normalise(name).strip()},
        )
    short = [
        {"id": row.id, "content_id": row.content_id}
        for row in connection.execute(
            sa.text("SELECT id, content_id, text FROM chunk WHERE length(text) < 12")
        ).all()
        if is_too_short_to_mean(row.text)
    ]
    if short:
        connection.execute(sa.text("DELETE FROM chunk WHERE id = :id"), short)
        connection.execute(  # tags as short as that are embedded again
            sa.text("UPDATE content SET text_version = text_version + 1 WHERE id = :content_id"), short
        )
    ids = connection.execute(sa.text("SELECT content_id FROM search_text")).scalars().all()
    refresh_search_text(connection, ids)


def _drop_misreadings(connection: sa.Connection) -> None:
    lines: dict[int, list[TextLine]] = defaultdict(list)
    for row in connection.execute(
        sa.text(
            """SELECT content_id, text, confidence FROM text_line WHERE content_id IN (
                   SELECT content_id FROM text_line JOIN content ON content.id = content_id
                   WHERE ocr_source = 'machine' AND length(text) <= 6)
               ORDER BY content_id, position"""
        )
    ):
        lines[row.content_id].append(TextLine(row.text, row.confidence, ()))
    for content_id, read in lines.items():
        kept = without_misreadings(read)
        if len(kept) < len(read):
            connection.execute(
                sa.text(
                    """UPDATE content SET ocr_text = substr(:text, 1, length(ocr_text)),
                           text_version = text_version + 1 WHERE id = :id"""
                ),
                {"id": content_id, "text": "\n".join(line.text for line in kept)},
            )


def downgrade() -> None:
    """Refuse: going back would throw away what people typed."""
    message = "A library cannot be turned back into an older shape; restore a backup instead."
    raise RuntimeError(message)
