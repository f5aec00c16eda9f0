"""What becomes of an uploaded file: checked, compared with the library, and stored in one of its folders."""

from __future__ import annotations

import filecmp
import hashlib
import os
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from smallsight.errors import FolderError, LibraryMissingError, UnsupportedFormatError
from smallsight.library.database import Database
from smallsight.library.schema import content, folder, picture
from smallsight.media.formats import describe_bytes, readable_format
from smallsight.media.video_formats import is_container, sniff_video
from smallsight.services.upload_names import UPLOADED_VIDEOS, safe_name, store_file
from smallsight.services.uploads import not_stored
from smallsight.settings import MIB, Settings

_HEAD_BYTES = 4096
_DEFAULT_NAME = "Uploads"


@dataclass(frozen=True, slots=True)
class StoredUpload:
    """A picture that has arrived: a new file, or one that was there already, so that nothing was stored.

    ``content_id`` is None for a file that has not been indexed yet.
    """

    path: Path
    is_duplicate: bool = False
    content_id: int | None = None


def upload_folders(settings: Settings, known: Sequence[Path]) -> list[Path]:
    """Return the folders for uploads, the default one first: inside the library and writable.

    ``known`` are the folders of the library. The default one need not exist yet.
    """
    writable = [one for one in known if os.access(one, os.W_OK | os.X_OK)]
    wanted = settings.server.upload_folder
    default = None
    if wanted is not None:
        default = wanted.expanduser().absolute().resolve()
    elif writable:
        own = [one for one in writable if not one.is_relative_to(settings.home.resolve())]
        default = (own or writable)[0] / _DEFAULT_NAME
    is_inside = default is not None and any(default.is_relative_to(one) for one in known)
    first = [default] if default is not None and is_inside else []
    return list(dict.fromkeys([*first, *writable]))


def require_upload_folder(settings: Settings, known: Sequence[Path], wanted: str) -> Path:
    """Return the folder that a person chose for uploads, "" for the default one, which is created.

    Raises LibraryMissingError without folders, and FolderError for one that cannot be written to or is
    outside the library.
    """
    if not known:
        raise LibraryMissingError("There is no folder to store pictures in.", hint="add a folder first.")
    offered = upload_folders(settings, known)
    if not wanted and not offered:
        raise FolderError(
            "No folder of the library can be written to, so nothing can be uploaded.",
            hint="give this user write permission, or add another folder.",
        )
    path = Path(wanted) if wanted else offered[0]
    if "\0" in wanted or not path.is_absolute():
        raise FolderError(f"Not a folder of the library: {wanted!r}", hint="choose one from the list.")
    path = path.resolve()
    if not any(path.is_relative_to(one) for one in known):
        raise FolderError(f"Not inside a folder of the library: {path}", hint="choose one from the list.")
    try:
        if path in offered:
            path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FolderError(
            f"The folder for uploads cannot be created: {path}", hint="give this user write permission."
        ) from error
    if not path.is_dir() or not os.access(path, os.W_OK | os.X_OK):
        raise FolderError(
            f"Pictures cannot be stored in {path}: this user may not write there.",
            hint="choose another folder.",
        )
    return path


def library_folders(database: Database) -> list[Path]:
    """Return the folders of the library that are there, by path."""
    with database.reading() as connection:
        paths = connection.execute(sa.select(folder.c.path).order_by(folder.c.path)).scalars()
        return [path for one in paths if (path := Path(one)).is_dir()]


def store_upload(
    file: Path, name: str, target: Path, database: Database, recent: MutableMapping[str, Path] | None = None
) -> StoredUpload:
    """Check a complete file and move it into a folder, unless the library has it; then it is deleted.

    ``recent`` holds files by their SHA-256 that may not have been indexed yet; this one is added to it.
    Raises UnsupportedFormatError, after deleting the file, and StorageError, which leaves it for another try.
    """
    digest = hashlib.sha256()
    try:
        with file.open("rb") as data:
            head = data.read(_HEAD_BYTES)
            digest.update(head)
            while block := data.read(MIB):
                digest.update(block)
    except OSError as error:
        raise not_stored(error) from error
    try:
        found = _format_of(head)
    except UnsupportedFormatError:
        file.unlink(missing_ok=True)
        raise
    recent = {} if recent is None else recent
    sha256 = digest.hexdigest()
    known = _find(database, sha256)
    if known is None and sha256 in recent and recent[sha256].is_file():
        known = StoredUpload(recent[sha256], is_duplicate=True)
    if known is not None:
        file.unlink(missing_ok=True)
        return known
    safe = safe_name(name, found)
    try:
        # The same upload again, after a server that was killed here, or twice at once.
        if (target / safe).is_file() and filecmp.cmp(file, target / safe, shallow=False):
            file.unlink()
            return StoredUpload(target / safe, is_duplicate=True)
        recent[sha256] = store_file(file, target, safe)
    except OSError as error:
        raise not_stored(error) from error
    return StoredUpload(recent[sha256])


def _format_of(head: bytes) -> str:
    """Return the format of a picture or video; raises UnsupportedFormatError."""
    found = readable_format(head)
    if found is None and is_container(head) and (container := sniff_video(head)) in UPLOADED_VIDEOS:
        return container
    if found is None:
        raise UnsupportedFormatError(
            f"This is not a picture that can be read: {describe_bytes(head)}.",
            hint="JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF and, where its part is installed, HEIC are read.",
        )
    return found


def _find(database: Database, sha256: str) -> StoredUpload | None:
    """Return the file in the library with these bytes; None if there is none on the disk."""
    with database.reading() as connection:
        rows = connection.execute(
            sa.select(content.c.id, folder.c.path, picture.c.path.label("below"))
            .join(picture, picture.c.content_id == content.c.id)
            .join(folder, folder.c.id == picture.c.folder_id)
            .where(content.c.sha256 == sha256, picture.c.vanished_at_s.is_(None))
        ).all()
    for row in rows:
        path = Path(row.path) / row.below
        if path.is_file():
            return StoredUpload(path, is_duplicate=True, content_id=row.id)
    return None
