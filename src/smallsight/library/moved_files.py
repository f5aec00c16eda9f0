"""Finds the rows of files that have moved, and moves the rows along."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import sqlalchemy as sa

from smallsight.library.scan_parts import ScanParts
from smallsight.library.schema import picture

_IDS_PER_STATEMENT = 500


def rows_gone_before(
    connection: sa.Connection,
    folder_id: int,
    root: Path,
    scanned: ScanParts,
    new_rows: Mapping[int, Sequence[int]],
) -> list[tuple[int, int]]:
    """Return contents and rows of files that are new elsewhere and that the scan did not find gone.

    An earlier scan has marked them as vanished, or they are outside the scanned parts and no longer there.
    ``new_rows`` has the rows of the new files by content; for each at most one row is returned.
    """
    rows: list[tuple[int, int]] = []
    num_wanted = {content_id: len(new) for content_id, new in new_rows.items() if new}
    wanted = sorted(num_wanted)
    for start in range(0, len(wanted), _IDS_PER_STATEMENT):
        ids = wanted[start : start + _IDS_PER_STATEMENT]
        found = connection.execute(
            sa.select(picture.c.content_id, picture.c.id, picture.c.path, picture.c.vanished_at_s)
            .where(picture.c.folder_id == folder_id, picture.c.content_id.in_(ids))
            .order_by(picture.c.vanished_at_s.is_not(None), picture.c.vanished_at_s.desc())
        )
        for row in found:
            if not num_wanted[row.content_id] or row.id in new_rows[row.content_id]:
                continue
            is_outside = not scanned.contains(row.path)
            if row.vanished_at_s is not None or (is_outside and _is_missing(root / row.path)):
                rows.append((row.content_id, row.id))
                num_wanted[row.content_id] -= 1
    return rows


def move_row(connection: sa.Connection, old_id: int, new_id: int) -> str:
    """Replace the new row of a moved file by its old row, which keeps its id.

    Returns the new path, relative to the folder.
    """
    new = connection.execute(
        sa.select(picture.c.path, picture.c.size_bytes, picture.c.mtime_ns).where(picture.c.id == new_id)
    ).one()
    connection.execute(picture.delete().where(picture.c.id == new_id))
    connection.execute(
        picture.update()
        .where(picture.c.id == old_id)
        .values(path=new.path, size_bytes=new.size_bytes, mtime_ns=new.mtime_ns, vanished_at_s=None)
    )
    return str(new.path)


def _is_missing(path: Path) -> bool:
    """Return whether the file is certainly gone: not where a folder above it cannot be searched."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        pass
    return False
