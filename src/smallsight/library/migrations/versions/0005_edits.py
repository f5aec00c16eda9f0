"""Keep the newest edits by people with what they changed, so that they can be undone."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the two tables; edits made before cannot be undone."""
    op.create_table(
        "edit",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("made_at_s", sa.Float, nullable=False),
        sa.Column("summary", sa.Text, nullable=False),
        sa.Column("undone_order", sa.Integer),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "edit_content",
        sa.Column("edit_id", sa.Integer, sa.ForeignKey("edit.id", ondelete="CASCADE"), primary_key=True),
        sa.Column(
            "content_id", sa.Integer, sa.ForeignKey("content.id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("changes", sa.Text, nullable=False),
    )
    op.create_index("edit_content_content", "edit_content", ["content_id"])


def downgrade() -> None:
    """Refuse: going back would throw away what people typed."""
    message = "A library cannot be turned back into an older shape; restore a backup instead."
    raise RuntimeError(message)
