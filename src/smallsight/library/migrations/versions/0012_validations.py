"""Keep what validations have found out about models."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table; nothing has been validated yet."""
    op.create_table(
        "validation",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("base", sa.Text, nullable=False),
        sa.Column("scheme", sa.Text),
        sa.Column("precision", sa.Text),
        sa.Column("key", sa.Text),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("machine", sa.Text, nullable=False),
        sa.Column("picture_set", sa.String(64), nullable=False),
        sa.Column("measured_at_s", sa.Float, nullable=False),
        sa.Column("verdict", sa.String(16), nullable=False),
        sa.Column("is_decided", sa.Boolean, nullable=False),
        sa.Column("reasons", sa.Text, nullable=False),
        sa.Column("summary", sa.Text, nullable=False),
        sa.Column("weights_bytes", sa.BigInteger),
        sa.Column("loaded_bytes", sa.BigInteger),
        sa.Column("peak_bytes", sa.BigInteger),
        sa.Column("first_token_s", sa.Float),
        sa.Column("tokens_per_s", sa.Float),
        sa.Column("pictures_per_min", sa.Float),
        sa.CheckConstraint(
            "verdict IN ('stable', 'experimental', 'do not ship')", name="validation_verdict_known"
        ),
    )
    op.create_index("validation_model", "validation", ["model", "measured_at_s"])


def downgrade() -> None:
    """Remove the table with what it says."""
    op.drop_index("validation_model", "validation")
    op.drop_table("validation")
