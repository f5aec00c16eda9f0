"""Keep when, where and with what pictures were taken, and what they are filtered and sorted by."""

from __future__ import annotations

import re
import time
from contextlib import suppress
from datetime import datetime, timedelta

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_ROWS_PER_STATEMENT = 1_000
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - wall-clock times have no zone
_PAGED = ("TIFF", "HEIF")
_MOVING = ("GIF", "PNG", "WEBP", "AVIF")
_MORE = """
    INSERT INTO month_count VALUES (new.month, 1)
    ON CONFLICT (month) DO UPDATE SET num_contents = num_contents + 1;"""
_LESS = """
    UPDATE month_count SET num_contents = num_contents - 1 WHERE month = old.month;
    DELETE FROM month_count WHERE month = old.month AND num_contents = 0;"""
_TRIGGERS = (
    f"CREATE TRIGGER facet_added AFTER INSERT ON facet BEGIN {_MORE} END",
    f"CREATE TRIGGER facet_removed AFTER DELETE ON facet BEGIN {_LESS} END",
    f"""CREATE TRIGGER facet_moved AFTER UPDATE OF month ON facet WHEN old.month != new.month
        BEGIN {_MORE} {_LESS} END""",
)


def upgrade() -> None:
    """Add the columns and the table; until the metadata is read again, dates are those of the files."""
    columns = {
        "taken_wall_s": sa.Float,
        "taken_offset_min": sa.Integer,
        "taken_origin": sa.Text,
        "camera": sa.Text,
        "latitude": sa.Float,
        "longitude": sa.Float,
    }
    for name, kind in columns.items():
        op.add_column("content", sa.Column(name, kind))
    op.create_table(
        "facet",
        sa.Column(
            "content_id", sa.Integer, sa.ForeignKey("content.id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("date_wall_s", sa.Float, nullable=False),
        sa.Column("month", sa.Integer, nullable=False),
        sa.Column("name_key", sa.Text, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("added_at_s", sa.Float, nullable=False),
        sa.Column("kind", sa.String(10), nullable=False),
        sa.Column("camera", sa.Text, nullable=False),
        sa.Column("is_described", sa.Boolean, nullable=False),
        sa.Column("has_text", sa.Boolean, nullable=False),
        sa.Column("is_tagged", sa.Boolean, nullable=False),
    )
    op.create_table(
        "month_count",
        sa.Column("month", sa.Integer, primary_key=True),
        sa.Column("num_contents", sa.Integer, nullable=False),
    )
    for trigger in _TRIGGERS:
        op.execute(trigger)
    _fill(op.get_bind())
    for name, column in {
        "facet_date": "date_wall_s",
        "facet_name": "name_key",
        "facet_size": "size_bytes",
        "facet_added_at": "added_at_s",
    }.items():
        op.create_index(name, "facet", [column])


def _fill(connection: sa.Connection) -> None:
    last = 0
    while True:
        rows = connection.execute(
            sa.text(
                """SELECT id, size_bytes, format, num_frames, coalesce(description, '') != '' AS is_described,
                       coalesce(ocr_text, '') != '' AS has_text,
                       EXISTS (SELECT 1 FROM content_tag WHERE content_id = content.id) AS is_tagged,
                       (SELECT path FROM picture WHERE content_id = content.id AND vanished_at_s IS NULL
                        ORDER BY id LIMIT 1) AS path,
                       (SELECT min(mtime_ns) FROM picture
                        WHERE content_id = content.id AND vanished_at_s IS NULL) AS mtime_ns,
                       (SELECT min(seen_at_s) FROM picture
                        WHERE content_id = content.id AND vanished_at_s IS NULL) AS added_at_s
                   FROM content WHERE id > :last ORDER BY id LIMIT :most"""
            ),
            {"last": last, "most": _ROWS_PER_STATEMENT},
        ).all()
        if not rows:
            return
        last = rows[-1].id
        if facets := [_facet(row) for row in rows if row.path is not None]:
            connection.execute(
                sa.text(
                    """INSERT INTO facet VALUES (:id, :date_wall_s, :month, :name_key, :size_bytes,
                           :added_at_s, :kind, '', :is_described, :has_text, :is_tagged)"""
                ),
                facets,
            )


def _facet(row: sa.Row[tuple[object, ...]]) -> dict[str, object]:
    mtime_s = row.mtime_ns / 1e9
    date_wall_s = mtime_s
    with suppress(OverflowError, ValueError, OSError):
        date_wall_s += time.localtime(mtime_s).tm_gmtoff
    date = _EPOCH + timedelta(seconds=date_wall_s)
    is_one = (row.num_frames or 1) == 1
    kind = "document" if row.format in _PAGED else "animation" if row.format in _MOVING else "picture"
    name = row.path.rpartition("/")[2].casefold()
    return {
        "id": row.id,
        "date_wall_s": date_wall_s,
        "month": 12 * date.year + date.month - 1,
        "name_key": re.sub(r"\d+", lambda number: number[0].lstrip("0").zfill(12), name),
        "size_bytes": row.size_bytes,
        "added_at_s": row.added_at_s,
        "kind": "picture" if is_one else kind,
        "is_described": row.is_described,
        "has_text": row.has_text,
        "is_tagged": row.is_tagged,
    }


def downgrade() -> None:
    """Refuse: going back would throw away what people typed."""
    message = "A library cannot be turned back into an older shape; restore a backup instead."
    raise RuntimeError(message)
