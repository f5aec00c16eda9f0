"""Keep what frames look like, and the length of videos."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; the vectors that are there are those of whole pictures."""
    op.add_column("picture_vector", sa.Column("time_s", sa.Float))
    op.add_column("content", sa.Column("duration_s", sa.Float))
    op.add_column("content", sa.Column("still_s", sa.Float))


def downgrade() -> None:
    """Remove the vectors of frames, which would count as further pictures, and the columns."""
    op.execute("DELETE FROM picture_vector WHERE time_s IS NOT NULL")
    op.execute("DELETE FROM outcome WHERE stage = 'embed_frames'")
    op.drop_column("picture_vector", "time_s")
    op.drop_column("content", "duration_s")
    op.drop_column("content", "still_s")
