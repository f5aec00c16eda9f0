"""Know equal pixels in files with other bytes, and which content a file had before its bytes changed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column and the table; contents that are known keep NULL until they are decoded again."""
    op.execute(sa.text("ALTER TABLE content ADD COLUMN pixels_sha256 VARCHAR(64)"))
    op.create_index("content_pixels", "content", ["pixels_sha256"])
    op.create_table(
        "succession",
        sa.Column(
            "content_id", sa.Integer, sa.ForeignKey("content.id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("before_id", sa.Integer, sa.ForeignKey("content.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("is_same", sa.Boolean),
    )


def downgrade() -> None:
    """Refuse: going back would throw away what people typed."""
    message = "A library cannot be turned back into an older shape; restore a backup instead."
    raise RuntimeError(message)
