"""SHA-256 of large files, cached with what tells one file from another, so that each is read once."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from smallsight.machine.private_files import make_private_folder
from smallsight.policy.log import get_logger

log = get_logger(__name__)


def file_sha256(path: Path, notes_dir: Path | None) -> str:
    """Return the hexadecimal SHA-256 of a file.

    A note in ``notes_dir`` is used while the file's size, times and inode match it: a replacement that keeps
    size and modification time (``cp -p``, ``rsync -t``) has another inode or time of change. Raises OSError
    if the file cannot be read; a note that cannot be read or written only costs time.
    """
    if notes_dir is None:
        return _read_and_hash(path)
    state, whole_path = path.stat(), str(path.resolve())
    seen = {
        "path": whole_path,
        "size_bytes": state.st_size,
        "mtime_ns": state.st_mtime_ns,
        "ctime_ns": state.st_ctime_ns,
        "inode": state.st_ino,
    }
    name = hashlib.sha256(os.fsencode(whole_path)).hexdigest()[:32]
    note_path = notes_dir / f"{name}.sha256.json"
    if (cached := _read_note(note_path, seen)) is not None:
        return cached
    digest = _read_and_hash(path)
    _write_note(note_path, {**seen, "sha256": digest})
    return digest


def _read_and_hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_note(note_path: Path, seen: Mapping[str, object]) -> str | None:
    try:
        note = json.loads(note_path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(note, dict) or any(note.get(name) != value for name, value in seen.items()):
        return None
    digest = note.get("sha256")
    return digest if isinstance(digest, str) else None


def _write_note(note_path: Path, note: Mapping[str, object]) -> None:
    try:
        make_private_folder(note_path.parent)
        with tempfile.NamedTemporaryFile(
            "w", dir=note_path.parent, suffix=".part", delete=False, encoding="utf-8"
        ) as file:
            json.dump(note, file)
        Path(file.name).replace(note_path)
    except OSError as error:
        log.info("hash_not_remembered", path=str(note_path), reason=str(error))
