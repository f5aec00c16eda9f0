"""Keep the colours that people give to tags."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; no tag has a colour yet."""
    op.add_column("tag", sa.Column("colour", sa.String(7)))


def downgrade() -> None:
    """Remove the column with its colours."""
    op.drop_column("tag", "colour")
