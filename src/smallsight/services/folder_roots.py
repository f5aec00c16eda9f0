"""The folders of this machine that people may choose on pages: those below a few roots, and no files.

A path is resolved before it is compared with the roots, so that neither ``..`` nor a link leads out of them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from smallsight.errors import FolderError
from smallsight.library.walk import IGNORE_FILE, is_excluded
from smallsight.media.file_kinds import FileKind, kind_of_name
from smallsight.policy.valid_text import is_valid_text
from smallsight.settings import Settings

_COMMON_ROOTS = (Path("/media"), Path("/mnt"), Path("/Volumes"))
_PICTURE_FOLDERS = ("Pictures", "Photos", "DCIM", "Downloads", "Desktop", "Bilder", "Fotos")
_MAX_LISTED = 2000
_MAX_COUNTED, _COUNT_FOR_S = 5000, 0.15


@dataclass(frozen=True, slots=True)
class PictureCount:
    """A number of picture files, by their names; there are more if counting was cut short."""

    number: int
    has_more: bool


@dataclass(frozen=True, slots=True)
class ListedFolder:
    """A folder that may be chosen; ``above`` is None at a root. ``folders`` are those in it, by name."""

    path: Path
    above: Path | None
    folders: tuple[Path, ...]
    is_writable: bool


class FolderRoots:
    """Where people may choose folders. ``known`` are the folders of the library, which they may see too."""

    def __init__(self, settings: Settings, known: Iterable[Path] = ()) -> None:
        wanted = settings.server.folder_roots or (Path.home(), *_COMMON_ROOTS)
        roots = [root for one in (*wanted, *known) if (root := _resolved(one)) is not None]
        distinct = dict.fromkeys(roots)
        self._data_folder = settings.home.resolve()
        self._known = set(known)
        self._exclude = [one.lower() for one in settings.index.exclude]
        self.paths = tuple(
            one
            for one in distinct
            if not any(one != other and one.is_relative_to(other) for other in distinct)
        )

    def require(self, path: Path) -> Path:
        """Return the resolved path of a folder; raises FolderError for one that may not be chosen."""
        if not is_valid_text(str(path)) or "\0" in str(path):
            raise FolderError("This is not the path of a folder.", hint="choose one from the list.")
        expanded = path.expanduser()
        found = _resolved(expanded) if expanded.is_absolute() else None
        if found is None or not self._may_be_chosen(found):
            # One answer for both, so that nobody learns what exists outside of the roots.
            raise FolderError(
                f"There is no folder to choose at {path}",
                hint="choose one from the list; server.folder_roots says where folders may be.",
            )
        return found

    def look_into(self, path: Path) -> ListedFolder:
        """List the folders in a folder; raises FolderError for one that may not be chosen or read."""
        found = self.require(path)
        try:
            with os.scandir(found) as scan:
                names = sorted((one.name for one in scan if self._is_listed(one)), key=str.casefold)
        except OSError as error:
            raise FolderError(
                f"Folder cannot be read: {found}", hint="give this user read permission."
            ) from error
        above = None if found in self.paths else found.parent
        return ListedFolder(
            found, above, tuple(found / name for name in names[:_MAX_LISTED]), os.access(found, os.W_OK)
        )

    def suggestions(self) -> list[Path]:
        """Return folders in which people usually have pictures."""
        home = _resolved(Path.home())
        if home is None or not self._may_be_chosen(home):
            return []
        below = dict.fromkeys(_resolved(home / name) for name in _PICTURE_FOLDERS)
        return [one for one in below if one is not None and self._may_be_chosen(one)]

    def count(self, path: Path) -> PictureCount:
        """Count the pictures below a folder by their names, for a short time."""
        until_s = time.monotonic() + _COUNT_FOR_S
        number = 0
        for name in self._names_below(path):
            if time.monotonic() > until_s or number >= _MAX_COUNTED:
                return PictureCount(number, has_more=True)
            number += kind_of_name(name) is FileKind.PICTURE
        return PictureCount(number, has_more=False)

    def _names_below(self, path: Path) -> Iterator[str]:
        for folder, below, names in os.walk(path):
            if IGNORE_FILE in names and Path(folder) != path:
                below.clear()
                continue
            below[:] = [one for one in below if not is_excluded(one, self._exclude)]
            yield from names
            yield ""  # also many empty folders take time

    def _may_be_chosen(self, path: Path) -> bool:
        if path.is_relative_to(self._data_folder) and not any(
            path.is_relative_to(one) for one in self._known
        ):
            return False
        return any(
            path.is_relative_to(root) and not any(_is_hidden(one) for one in path.relative_to(root).parts)
            for root in self.paths
        )

    def _is_listed(self, entry: os.DirEntry[str]) -> bool:
        try:
            is_folder = entry.is_dir()
        except OSError:
            return False
        if not is_folder or _is_hidden(entry.name) or not is_valid_text(entry.name):
            return False
        if not entry.is_symlink():
            return Path(entry.path) != self._data_folder
        target = _resolved(Path(entry.path))
        return target is not None and self._may_be_chosen(target)


def _resolved(path: Path) -> Path | None:
    """Return the resolved path of a folder; None if there is none."""
    try:
        found = path.expanduser().resolve(strict=True)
        return found if found.is_dir() else None
    except (OSError, RuntimeError, ValueError):
        return None


def _is_hidden(name: str) -> bool:
    return name.startswith(".")
