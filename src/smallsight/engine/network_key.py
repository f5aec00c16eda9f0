"""Names a network by its files and by everything else that decides what it computes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from smallsight.catalog.file_hashes import file_sha256


def network_key(weight_files: Sequence[Path], remembered_in: Path | None, *facts: str) -> str:
    """Return a key of 32 hex digits; hashes of files are remembered in a folder, if one is given."""
    hashes = [file_sha256(path, remembered_in) for path in weight_files]
    return hashlib.sha256("\n".join([*hashes, *facts]).encode()).hexdigest()[:32]
