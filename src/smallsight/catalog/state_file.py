"""Small JSON state files in the data folder, read and replaced as a whole.

A reader sees the old file or the new one, never a partial one. If two programs write at once, the last one
wins.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from smallsight.errors import SettingsError, StorageError


def read_state(path: Path) -> dict[str, Any]:
    """Return the file's object, empty if there is no file; raises SettingsError if it is damaged."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise _damaged(path, str(error)) from error
    if not isinstance(data, dict):
        raise _damaged(path, "it does not hold an object")
    return data


def write_state(path: Path, data: dict[str, Any]) -> None:
    """Replace the file by one that holds ``data``, atomically; raises StorageError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        temporary = Path(name)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
                json.dump(data, stream, indent=2, sort_keys=True)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(
            f"{path} could not be written: {error.strerror or error}.",
            hint="free some disk space or give this user write permission, then try again.",
        ) from error


def _damaged(path: Path, why: str) -> SettingsError:
    return SettingsError(
        f"{path} cannot be read: {why}.", hint="fix or delete it; it is recreated when needed."
    )
