"""Keep which model suggested a tag that a person accepted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; nothing has been suggested yet."""
    op.add_column("content_tag", sa.Column("suggested_by", sa.Text))


def downgrade() -> None:
    """Remove the column; the tags stay."""
    op.drop_column("content_tag", "suggested_by")
