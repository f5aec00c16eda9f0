"""Keep what the pages need: searches that people name, and colours shown until a thumbnail is loaded."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table and the column, which is filled when pictures are looked at again."""
    op.add_column("content", sa.Column("colours", sa.LargeBinary))
    op.create_table(
        "saved_search",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("folded", sa.Text, nullable=False, unique=True),
        sa.Column("fields", sa.Text, nullable=False),
        sa.Column("saved_at_s", sa.Float, nullable=False),
    )
