"""Lists the picture files below a folder, without opening any of them."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

from smallsight.policy.valid_text import is_valid_text

# The times that the library can store, from the year 1677 to 2262. File systems can hold others.
_FIRST_NS, _LAST_NS = -(2**63), 2**63 - 1


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A picture file; path is relative to the folder, with "/" between its parts.

    ``mtime_ns`` is in nanoseconds since 1970, in 64 bits; a time outside them is the nearest that fits.
    """

    path: str
    size_bytes: int
    mtime_ns: int


@dataclass(slots=True)
class Listing:
    """What a walk found, in a stable order, and the folders and files it could not list."""

    files: list[FoundFile] = field(default_factory=list)
    unreadable_folders: list[str] = field(default_factory=list)  # relative; "" is the folder itself
    unreadable_names: list[str] = field(default_factory=list)  # not valid text; shown escaped

    def covers(self, path: str) -> bool:
        """Return whether the absence of path from ``files`` means that the file is gone."""
        return not any(
            below == "" or path.startswith(f"{below}/") for below in self.unreadable_folders
        )  # an unreadable folder hides what is in it


def list_pictures(
    root: Path, *, suffixes: Collection[str], exclude: Sequence[str], follow_symlinks: bool
) -> Listing:
    """Walk the folder and everything below it; suffixes are lower case, exclude holds glob patterns.

    Links to files are never followed, links to folders only with follow_symlinks; a loop is walked once.
    """
    listing = Listing()
    visited: set[tuple[int, int]] = set()
    waiting = [""]
    while waiting:
        below = waiting.pop()
        try:
            status = (root / below).stat()
            if (status.st_dev, status.st_ino) in visited:
                continue
            visited.add((status.st_dev, status.st_ino))
            with os.scandir(root / below) as scan:
                entries = sorted(scan, key=lambda entry: entry.name)
        except OSError:
            listing.unreadable_folders.append(below)
            continue
        folders = []
        for entry in entries:
            if any(fnmatch(entry.name, pattern) for pattern in exclude):
                continue
            path = f"{below}/{entry.name}" if below else entry.name
            if not is_valid_text(path):
                listing.unreadable_names.append(path.encode("utf-8", "backslashreplace").decode())
            elif entry.is_dir(follow_symlinks=follow_symlinks):
                folders.append(path)
            elif Path(entry.name).suffix.lower() in suffixes and entry.is_file(follow_symlinks=False):
                _add_file(listing, entry, path)
        waiting.extend(reversed(folders))
    return listing


def _add_file(listing: Listing, entry: os.DirEntry[str], path: str) -> None:
    try:
        status = entry.stat(follow_symlinks=False)
    except OSError:  # gone since it was listed: left to the next scan
        return
    mtime_ns = max(_FIRST_NS, min(status.st_mtime_ns, _LAST_NS))
    listing.files.append(FoundFile(path, status.st_size, mtime_ns))
