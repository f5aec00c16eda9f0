"""Keep the captions and keywords of metadata and sidecars, and which words come from them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns and the table; every person's words that exist were written in Smallsight."""
    for column in ("description_origin", "description_refused", "file_words"):
        op.add_column("content", sa.Column(column, sa.Text))
    op.add_column("content_tag", sa.Column("origin", sa.Text))
    op.create_table(
        "sidecar",
        sa.Column(
            "picture_id", sa.Integer, sa.ForeignKey("picture.id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("mtime_ns", sa.BigInteger, nullable=False),
        sa.Column("words", sa.Text),
    )


def downgrade() -> None:
    """Refuse: going back would throw away what people typed."""
    message = "A library cannot be turned back into an older shape; restore a backup instead."
    raise RuntimeError(message)
