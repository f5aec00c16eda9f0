"""What a person could see of a library, to compare two of them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any


def visible_state(home: Path) -> dict[str, Any]:
    """Everything a person could see of a library, without the numbers of rows and the times."""
    with closing(sqlite3.connect(f"file:{home}/library.sqlite3?mode=ro", uri=True)) as connection:

        def rows(query: str) -> list[tuple[Any, ...]]:
            return sorted(connection.execute(query).fetchall(), key=repr)

        assert rows("PRAGMA integrity_check") == [("ok",)]
        return {
            "pictures": rows(
                "SELECT p.path, c.sha256, p.size_bytes, p.error, p.vanished_at_s "
                "FROM picture p LEFT JOIN content c ON c.id = p.content_id"
            ),
            "contents": rows(
                "SELECT sha256, format, width_px, height_px, phash, dhash, ocr_text, ocr_source, "
                "description, description_source, description_model FROM content"
            ),
            "lines": rows(
                "SELECT c.sha256, l.position, l.text, l.confidence, l.box "
                "FROM text_line l JOIN content c ON c.id = l.content_id"
            ),
            "vectors": rows(
                "SELECT c.sha256, k.text, hex(k.vector) FROM chunk k JOIN content c ON c.id = k.content_id"
            ),
            "outcomes": rows(
                "SELECT c.sha256, o.stage, o.status, o.error_code "
                "FROM outcome o JOIN content c ON c.id = o.content_id"
            ),
            "leases": rows("SELECT * FROM lease"),
            "searchable": rows("SELECT count(*) FROM search_text"),
            "thumbnails": sorted(path.name for path in (home / "thumbnails").rglob("*.webp")),
        }
