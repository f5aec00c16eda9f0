"""Lists the files of pictures and videos below a folder; opens those whose names do not say what they are."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path

from smallsight.library.scan_parts import WHOLE, ScanParts
from smallsight.media.file_kinds import FileKind, kind_of_file
from smallsight.policy.sidecar_names import is_sidecar_name, match_sidecars
from smallsight.policy.valid_text import is_valid_text

# The times that the library can store, from the year 1677 to 2262. File systems can hold others.
_FIRST_NS, _LAST_NS = -(2**63), 2**63 - 1
IGNORE_FILE = ".nomedia"  # Android's mark of a folder that galleries leave alone


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file of a picture or video; path is relative to the folder, with "/" between its parts.

    ``mtime_ns`` is in nanoseconds since 1970, in 64 bits; a time outside them is the nearest that fits.
    """

    path: str
    size_bytes: int
    mtime_ns: int


class Passed(StrEnum):
    """Why something is passed over although it may be a picture."""

    EXCLUDED = "excluded"  # by index.exclude or a .nomedia file
    LINK = "links"  # not followed
    NAME = "unreadable_names"  # not valid text


@dataclass(slots=True)
class Listing:
    """What a walk found, in a stable order, and what it passed over."""

    files: list[FoundFile] = field(default_factory=list)
    unreadable_folders: list[str] = field(default_factory=list)  # relative; "" is the folder itself
    sidecars: dict[str, list[FoundFile]] = field(default_factory=dict)  # by the path of their picture
    passed: dict[FileKind | Passed, list[str]] = field(default_factory=lambda: defaultdict(list))
    is_empty: bool = True  # there is nothing in the folder, not even what is passed over
    parts: ScanParts = WHOLE  # what was listed

    def covers(self, path: str) -> bool:
        """Return whether the absence of path from ``files`` means that the file is gone."""
        return self.parts.contains(path) and not any(
            below == "" or path.startswith(f"{below}/") for below in self.unreadable_folders
        )  # an unreadable folder hides what is in it


def list_pictures(
    root: Path,
    *,
    exclude: Sequence[str],
    follow_symlinks: bool,
    wants_sidecars: bool = False,
    wants_videos: bool = False,
    parts: ScanParts = WHOLE,
    data_folder: Path | None = None,
) -> Listing:
    """Walk the parts of the folder and everything below them; what is not wanted is passed over.

    A part that is a sidecar adds its pictures to the parts. With ``follow_symlinks`` the whole folder is
    listed, because a part may be reached on several ways. ``data_folder``, with the thumbnails, is left out.

    ``exclude`` holds glob patterns of names, or of the end of a path where they contain "/", compared without
    case. Links to files and folders are followed only with ``follow_symlinks``; a loop is walked once.
    """
    walk = _Walk(
        root,
        [one.lower() for one in exclude],
        follow_symlinks=follow_symlinks,
        wants_sidecars=wants_sidecars,
        wants_videos=wants_videos,
        parts=WHOLE if follow_symlinks else parts,
        data_folder=data_folder,
    )
    return walk.run()


def is_excluded(path: str, exclude: Sequence[str]) -> bool:
    """Return whether a relative path matches a pattern; the patterns are in lower case."""
    lower = path.lower()
    name = lower.rsplit("/", 1)[-1]
    return any(
        fnmatchcase(f"/{lower}", f"*/{one}") if "/" in one else fnmatchcase(name, one) for one in exclude
    )


class _Walk:
    def __init__(
        self,
        root: Path,
        exclude: Sequence[str],
        *,
        follow_symlinks: bool,
        wants_sidecars: bool,
        wants_videos: bool,
        parts: ScanParts,
        data_folder: Path | None,
    ) -> None:
        self._root = root
        self._exclude = exclude
        self._follow_symlinks = follow_symlinks
        self._wants_sidecars = wants_sidecars
        self._listed = {FileKind.PICTURE, FileKind.VIDEO} if wants_videos else {FileKind.PICTURE}
        self._parts = parts
        self._data_folder = data_folder
        self._candidates: dict[str, os.DirEntry[str]] = {}  # that may be sidecars, in the current folder
        self._listing = Listing()

    def run(self) -> Listing:
        visited: set[tuple[int, int]] = set()
        waiting = [""]
        while waiting:
            below = waiting.pop()
            try:
                status = (self._root / below).stat()
                if (status.st_dev, status.st_ino) in visited:
                    continue
                visited.add((status.st_dev, status.st_ino))
                with os.scandir(self._root / below) as scan:
                    entries = sorted(scan, key=lambda entry: entry.name)
            except OSError:
                self._listing.unreadable_folders.append(below)
                continue
            self._listing.is_empty &= not entries
            if below and any(entry.name == IGNORE_FILE for entry in entries):
                self._pass_over(Passed.EXCLUDED, f"{below}/")
                continue
            folders = self._take(self._entries_of_parts(entries, below), below)
            waiting.extend(reversed([one for one in folders if self._is_on_the_way(one)]))
        self._leave_parts()
        return self._listing

    def _is_on_the_way(self, path: str) -> bool:
        return self._parts.contains(path) or self._parts.leads_to(path)

    def _entries_of_parts(self, entries: list[os.DirEntry[str]], below: str) -> list[os.DirEntry[str]]:
        """Return the entries that are looked at; all, where names decide which sidecar is whose."""
        if self._parts.contains(below):
            return entries
        names = self._parts.names_in(below)
        if self._wants_sidecars and names:
            names += [entry.name for entry in entries]
            if any(map(is_sidecar_name, names)):
                return entries
        return [one for one in entries if self._is_on_the_way(f"{below}/{one.name}" if below else one.name)]

    def _leave_parts(self) -> None:
        """Leave in the listing only what is in the parts."""
        listing = self._listing
        listing.parts = self._parts
        if self._parts.is_whole:
            return
        listing.files = [found for found in listing.files if self._parts.contains(found.path)]
        listing.sidecars = {
            path: files for path, files in listing.sidecars.items() if self._parts.contains(path)
        }
        for reason, paths in list(listing.passed.items()):
            listing.passed[reason] = [path for path in paths if self._parts.contains(path.rstrip("/"))]
            if not listing.passed[reason]:
                del listing.passed[reason]

    def _take(self, entries: Sequence[os.DirEntry[str]], below: str) -> list[str]:
        """Add the files of one folder and return its folders."""
        folders: list[str] = []
        num_before = len(self._listing.files)
        self._candidates = {}
        for entry in entries:
            path = f"{below}/{entry.name}" if below else entry.name
            try:
                if self._take_one(entry, path):
                    folders.append(path)
            except OSError:  # gone since it was listed, or a link that leads nowhere
                if entry.is_symlink():
                    self._pass_over(Passed.LINK, path)
        self._take_sidecars([found.path for found in self._listing.files[num_before:]], below)
        return folders

    def _take_sidecars(self, pictures: Sequence[str], below: str) -> None:
        """Add the sidecars of a folder's pictures, and pass over what only looked like one."""
        start = len(below) + 1 if below else 0
        names_of_pictures = [path[start:] for path in pictures]
        matched = match_sidecars(names_of_pictures, list(self._candidates))
        if self._wants_sidecars and not self._parts.contains(below):
            named = [name for name in self._parts.names_in(below) if is_sidecar_name(name)]
            described = match_sidecars(names_of_pictures, named)
            self._parts = self._parts.with_paths(f"{below}/{name}" if below else name for name in described)
        taken: dict[str, FoundFile] = {}
        for picture, names in matched.items():
            for name in names:
                path = f"{below}/{name}" if below else name
                with suppress(OSError):  # gone since it was listed
                    taken[name] = taken.get(name) or _found(path, self._candidates[name])
                    self._listing.sidecars.setdefault(path[:start] + picture, []).append(taken[name])
        for name in self._candidates.keys() - taken.keys():
            self._pass_over(FileKind.OTHER, f"{below}/{name}" if below else name)

    def _take_one(self, entry: os.DirEntry[str], path: str) -> bool:
        """Add a file; return whether it is a folder to walk."""
        if not is_valid_text(path):
            self._pass_over(Passed.NAME, path.encode("utf-8", "backslashreplace").decode())
        elif is_excluded(path, self._exclude) or self._root / path == self._data_folder:
            self._pass_over(Passed.EXCLUDED, f"{path}/" if entry.is_dir(follow_symlinks=False) else path)
        elif entry.is_symlink() and not self._follow_symlinks:
            self._pass_over(Passed.LINK, path)
        elif entry.is_dir():
            return True
        elif (kind := self._kind_of(entry)) in self._listed:
            self._listing.files.append(_found(path, entry))
        elif kind is FileKind.OTHER and self._takes_sidecar(entry):
            self._candidates[entry.name] = entry
        else:
            self._pass_over(kind, path)
        return False

    def _takes_sidecar(self, entry: os.DirEntry[str]) -> bool:
        return self._wants_sidecars and is_sidecar_name(entry.name) and entry.is_file()

    def _kind_of(self, entry: os.DirEntry[str]) -> FileKind:
        if entry.is_file():
            return kind_of_file(Path(entry.path))
        entry.stat()  # raises for a link that leads nowhere
        return FileKind.OTHER  # a device, pipe or socket

    def _pass_over(self, reason: FileKind | Passed, path: str) -> None:
        self._listing.passed[reason].append(path)


def _found(path: str, entry: os.DirEntry[str]) -> FoundFile:
    status = entry.stat()
    return FoundFile(path, status.st_size, max(_FIRST_NS, min(status.st_mtime_ns, _LAST_NS)))
