"""Keep what copies are found by, the pairs found, decisions about them, and contents that are ignored."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables; existing pictures are looked at again, because the stage has a new key."""
    content_id = sa.ForeignKey("content.id", ondelete="CASCADE")
    op.create_table(
        "look_alike",
        sa.Column("content_id", sa.Integer, content_id, primary_key=True),
        sa.Column("views", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "alike_pair",
        *_two_contents(),
        sa.Column("is_same", sa.Boolean, nullable=False),
        sa.Column("is_upright", sa.Boolean, nullable=False),
        sa.Column("correlation", sa.Float, nullable=False),
        sa.Column("reasons", sa.Text, nullable=False),
        sa.Column("changed_id", sa.Integer),
    )
    op.create_index("alike_pair_second", "alike_pair", ["second_id"])
    op.create_table(
        "duplicate_decision",
        *_two_contents(),
        sa.Column("decision", sa.String(16), nullable=False),
        sa.Column("num_files", sa.Integer),
        sa.Column("decided_at_s", sa.Float, nullable=False),
        sa.CheckConstraint("decision IN ('keep_both', 'removed')", name="decision_known"),
    )
    op.create_index("duplicate_decision_second", "duplicate_decision", ["second_id"])
    op.create_table(
        "ignored",
        sa.Column("sha256", sa.String(64), primary_key=True),
        sa.Column("ignored_at_s", sa.Float, nullable=False),
    )
    op.create_table(
        "ignored_file",
        sa.Column("folder_id", sa.Integer, sa.ForeignKey("folder.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("path", sa.Text, primary_key=True),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("mtime_ns", sa.BigInteger, nullable=False),
        sa.Column(
            "sha256", sa.String(64), sa.ForeignKey("ignored.sha256", ondelete="CASCADE"), nullable=False
        ),
    )
    op.create_index("ignored_file_content", "ignored_file", ["sha256"])


def _two_contents() -> list[sa.Column[int]]:
    return [
        sa.Column(name, sa.Integer, sa.ForeignKey("content.id", ondelete="CASCADE"), primary_key=True)
        for name in ("first_id", "second_id")
    ]


def downgrade() -> None:
    """Refuse: going back would throw away what people decided."""
    message = "A library cannot be turned back into an older shape; restore a backup instead."
    raise RuntimeError(message)
