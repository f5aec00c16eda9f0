"""Tell a machine's tags from a person's, and remember which ones a person took off a content."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column and the table; every tag there is was given by a person."""
    op.execute(
        sa.text(
            "ALTER TABLE content_tag ADD COLUMN source VARCHAR(8) NOT NULL DEFAULT 'human' "
            "CONSTRAINT tag_source_known CHECK (source IN ('machine', 'human'))"
        )
    )
    op.create_table(
        "refused_tag",
        sa.Column(
            "content_id", sa.Integer, sa.ForeignKey("content.id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("folded", sa.Text, primary_key=True),
    )


def downgrade() -> None:
    """Refuse: going back would throw away what people typed."""
    message = "A library cannot be turned back into an older shape; restore a backup instead."
    raise RuntimeError(message)
