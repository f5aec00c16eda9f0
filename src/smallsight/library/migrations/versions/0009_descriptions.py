"""Keep all descriptions that a content has had, and the runs that people start to describe many contents."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_CURRENT_DESCRIPTIONS = """
INSERT INTO description_version (content_id, text, source, model, origin, made_at_s)
SELECT
    id,
    description,
    CASE WHEN description_origin IS NULL THEN coalesce(description_source, 'machine') ELSE 'file' END,
    description_model,
    description_origin,
    CASE WHEN description_source = 'machine' THEN (
        SELECT finished_at_s FROM outcome
        WHERE outcome.content_id = content.id AND stage = 'describe' AND status = 'done'
    ) END
FROM content WHERE description IS NOT NULL
"""


def upgrade() -> None:
    """Add the tables, with the current descriptions as the first versions."""
    _add_versions()
    _add_runs()
    _add_run_contents()


def _add_versions() -> None:
    op.create_table(
        "description_version",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("content_id", sa.Integer, sa.ForeignKey("content.id", ondelete="CASCADE"), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("source", sa.String(8), nullable=False),
        sa.Column("model", sa.Text),
        sa.Column("precision", sa.Text),
        sa.Column("prompt", sa.Text),
        sa.Column("origin", sa.Text),
        sa.Column("made_at_s", sa.Float),
        sa.CheckConstraint("source IN ('machine', 'human', 'file')", name="version_source_known"),
        sqlite_autoincrement=True,
    )
    op.create_index("description_version_content", "description_version", ["content_id"])
    op.execute(_CURRENT_DESCRIPTIONS)


def _add_runs() -> None:
    op.create_table(
        "description_run",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("precision", sa.Text, nullable=False),
        sa.Column("prompt", sa.Text),
        sa.Column("replaces", sa.Boolean, nullable=False),
        sa.Column("force", sa.Boolean, nullable=False),
        sa.Column("state", sa.String(9), nullable=False),
        sa.Column("error_code", sa.Text),
        sa.Column("error", sa.Text),
        sa.Column("created_at_s", sa.Float, nullable=False),
        sa.Column("started_at_s", sa.Float),
        sa.Column("finished_at_s", sa.Float),
        sa.CheckConstraint(
            "state IN ('running', 'paused', 'cancelled', 'finished')", name="description_run_state_known"
        ),
        sqlite_autoincrement=True,
    )


def _add_run_contents() -> None:
    op.create_table(
        "description_run_content",
        sa.Column(
            "run_id", sa.Integer, sa.ForeignKey("description_run.id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column(
            "content_id", sa.Integer, sa.ForeignKey("content.id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("state", sa.String(7), nullable=False),
        sa.Column("error_code", sa.Text),
        sa.Column("error", sa.Text),
        sa.Column("seconds", sa.Float),
        sa.Column("finished_at_s", sa.Float),
        sa.CheckConstraint(
            "state IN ('due', 'done', 'failed', 'skipped')", name="description_run_content_state_known"
        ),
    )
    for name, columns in (
        ("state", ["run_id", "state", "error_code"]),
        ("finished", ["run_id", "finished_at_s"]),
        ("content", ["content_id"]),
    ):
        op.create_index(f"description_run_content_{name}", "description_run_content", columns)


def downgrade() -> None:
    """Refuse: going back would throw away what people typed."""
    message = "A library cannot be turned back into an older shape; restore a backup instead."
    raise RuntimeError(message)
