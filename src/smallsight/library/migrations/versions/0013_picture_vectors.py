"""Keep what pictures look like to a picture embedding model."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table, and the count of its deletions, as ``chunk`` has it."""
    op.create_table(
        "picture_vector",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("content_id", sa.Integer, sa.ForeignKey("content.id", ondelete="CASCADE"), nullable=False),
        sa.Column("embedder_key", sa.String(64), nullable=False),
        sa.Column("vector", sa.LargeBinary, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("picture_vector_content", "picture_vector", ["content_id"])
    op.create_index("picture_vector_embedder", "picture_vector", ["embedder_key", "content_id"])
    op.execute("CREATE TABLE picture_vector_deletions (num_deleted INTEGER NOT NULL)")
    op.execute("INSERT INTO picture_vector_deletions VALUES (0)")
    op.execute(
        """CREATE TRIGGER picture_vector_removed AFTER DELETE ON picture_vector BEGIN
        UPDATE picture_vector_deletions SET num_deleted = num_deleted + 1; END"""
    )


def downgrade() -> None:
    """Remove the vectors; embedding the pictures again restores them."""
    op.execute("DROP TABLE picture_vector")
    op.execute("DROP TABLE picture_vector_deletions")
