"""Pictures of the library for other programs, which name them by id, address or path.

A path is compared with those of the library as text: nothing that a program names is looked up on the disk.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from smallsight.errors import NotInLibraryError
from smallsight.library.database import Database
from smallsight.media.files import read_picture_file
from smallsight.model.picture_argument import NamedBytes
from smallsight.policy.shown_text import on_one_line, shortened
from smallsight.policy.valid_text import is_valid_text
from smallsight.services.opened_library import OpenedLibrary
from smallsight.settings import Limits

if TYPE_CHECKING:
    from smallsight.library.library import PictureDetails

ADDRESS = "smallsight://pictures/"
_ID = re.compile("[0-9]{1,18}", re.ASCII)
_MAX_SHOWN_CHARS = 120


@dataclass(frozen=True, slots=True)
class LibraryPictures:
    """Finds pictures of one library, and reads their files."""

    library: OpenedLibrary
    limits: Limits

    def find(self, name: str) -> PictureDetails:
        """Return what is known about a picture that has a file; raises NotInLibraryError."""
        application = self.library.reading()
        wanted = name.strip().removeprefix(ADDRESS)
        content_id = int(wanted) if _ID.fullmatch(wanted) else _with_path(application.database, wanted)
        if content_id is None:
            raise _unknown(name)
        try:
            details = application.library.details(content_id)
        except NotInLibraryError as error:
            raise _unknown(name) from error
        if not details.paths:
            raise NotInLibraryError("The file of this picture is gone.", hint="search for another picture.")
        return details

    def read(self, details: PictureDetails) -> NamedBytes:
        """Return the first file of a picture that is there; raises NotInLibraryError, and PictureError."""
        return read_present_file(details.paths, self.limits)


def read_present_file(paths: tuple[Path, ...], limits: Limits) -> NamedBytes:
    """Return the first of these files that is there; raises NotInLibraryError if none is."""
    present = next((path for path in paths if path.is_file()), None)
    if present is None:
        raise NotInLibraryError("The file of this picture is gone.", hint="look at the other pictures.")
    return NamedBytes(present.name, read_picture_file(present, limits))


def _with_path(database: Database, path: str) -> int | None:
    """Return the content id of the file that the library knows by this absolute path."""
    if not is_valid_text(path):
        return None
    wanted = PurePath(path)
    with database.cursor() as cursor:
        for folder_id, root in cursor.execute("SELECT id, path FROM folder").fetchall():
            if not wanted.is_relative_to(root):
                continue
            row = cursor.execute(
                """SELECT content_id FROM picture WHERE folder_id = ? AND path = ?
                   AND vanished_at_s IS NULL AND content_id IS NOT NULL""",
                (folder_id, wanted.relative_to(root).as_posix()),
            ).fetchone()
            if row is not None:
                return int(row[0])
    return None


def _unknown(name: str) -> NotInLibraryError:
    shown = on_one_line(shortened(name[:2000], _MAX_SHOWN_CHARS))
    return NotInLibraryError(
        f"No picture of the library has this id or path: {shown}",
        hint="use an id or a path that a search returned.",
    )
