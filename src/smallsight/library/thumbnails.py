"""Thumbnails on disk: one per content, named by its SHA-256, and further sizes of those that were shown."""

from __future__ import annotations

import os
from pathlib import Path

from smallsight.library.database import storage_errors
from smallsight.machine.private_files import create_private_file, make_private_folder


def thumbnail_path(thumbnails_dir: Path, sha256: str, side_px: int | None = None) -> Path:
    """Return the path of the thumbnail of a content; it need not exist.

    Without a size it is the one that indexing makes.
    """
    size = "" if side_px is None else f"-{side_px}"
    return thumbnails_dir / sha256[:2] / f"{sha256}{size}.webp"


def store_thumbnail(path: Path, thumbnail_webp: bytes) -> None:
    """Write a thumbnail atomically; raises StorageError."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    with storage_errors(path):
        make_private_folder(path.parent)
        create_private_file(unfinished)
        unfinished.write_bytes(thumbnail_webp)
        unfinished.replace(path)
