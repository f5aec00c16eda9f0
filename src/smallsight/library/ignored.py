"""Pictures that a person removed from the index: their files stay, and scans leave them out until undone.

What is ignored is a content, by its hash, wherever its files are. Where they were seen is kept, so that a
scan need not read them again.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from smallsight.errors import NotInLibraryError
from smallsight.library.database import Database
from smallsight.library.schema import content, folder, ignored, ignored_file, picture
from smallsight.library.texts import renew_searchable
from smallsight.library.walk import FoundFile

__all__ = ["IgnoredFiles", "IgnoredPicture", "ignore_contents", "list_ignored", "stop_ignoring"]


@dataclass(frozen=True, slots=True)
class IgnoredPicture:
    """A content that is left out, by its hash, and where its files were seen last."""

    sha256: str
    paths: tuple[Path, ...]
    ignored_at_s: float


def ignore_contents(database: Database, content_ids: Sequence[int]) -> None:
    """Remove contents from the index, with all their files, which stay where they are.

    Raises NotInLibraryError for a content that is not known; then nothing is changed.
    """
    with database.writing() as connection:
        now_s = time.time()
        for content_id in content_ids:
            sha256 = connection.execute(
                sa.select(content.c.sha256).where(content.c.id == content_id)
            ).scalar()
            if sha256 is None:
                raise NotInLibraryError(f"There is no content with the id {content_id}.")
            connection.execute(
                insert(ignored).values(sha256=sha256, ignored_at_s=now_s).on_conflict_do_nothing()
            )
            files = connection.execute(_present_files(content_id)).all()
            for file in files:
                found = FoundFile(file.path, file.size_bytes, file.mtime_ns)
                _note(connection, file.folder_id, found, sha256)
            connection.execute(
                picture.update()
                .where(picture.c.content_id == content_id, picture.c.vanished_at_s.is_(None))
                .values(vanished_at_s=now_s)
            )
        renew_searchable(connection, list(content_ids))


def list_ignored(database: Database) -> list[IgnoredPicture]:
    """Return what is ignored, the newest decision first."""
    with database.reading() as connection:
        rows = connection.execute(
            sa.select(ignored).order_by(ignored.c.ignored_at_s.desc(), ignored.c.sha256)
        )
        places: dict[str, list[Path]] = {}
        files = connection.execute(
            sa.select(ignored_file.c.sha256, folder.c.path, ignored_file.c.path.label("below"))
            .join(folder, folder.c.id == ignored_file.c.folder_id)
            .order_by(folder.c.path, ignored_file.c.path)
        )
        for file in files:
            places.setdefault(file.sha256, []).append(Path(file.path) / file.below)
        return [
            IgnoredPicture(row.sha256, tuple(places.get(row.sha256, ())), row.ignored_at_s) for row in rows
        ]


def stop_ignoring(database: Database, sha256s: Sequence[str]) -> int:
    """Undo ``ignore_contents`` for these hashes; return how many were ignored.

    A file that a scan left out returns at once with what was known about it, others at the next scan.
    """
    with database.writing() as connection:
        returned: set[int] = set()
        for sha256 in sha256s:
            content_id = connection.execute(
                sa.select(content.c.id).where(content.c.sha256 == sha256)
            ).scalar()
            if content_id is not None:
                _show_again(connection, sha256, content_id)
                returned.add(content_id)
        num = connection.execute(ignored.delete().where(ignored.c.sha256.in_(list(sha256s)))).rowcount
        renew_searchable(connection, sorted(returned))
        return num


def _show_again(connection: sa.Connection, sha256: str, content_id: int) -> None:
    """Clear the mark of the files that are as they were when they were left out."""
    same_file = sa.exists().where(
        ignored_file.c.sha256 == sha256,
        ignored_file.c.folder_id == picture.c.folder_id,
        ignored_file.c.path == picture.c.path,
        ignored_file.c.size_bytes == picture.c.size_bytes,
        ignored_file.c.mtime_ns == picture.c.mtime_ns,
    )
    connection.execute(
        picture.update().where(picture.c.content_id == content_id, same_file).values(vanished_at_s=None)
    )


class ScannedFile(Protocol):
    """A file whose bytes were hashed; the hash is None if they could not be read."""

    @property
    def found(self) -> FoundFile:
        """Where it is, its size and time."""
        ...

    @property
    def sha256(self) -> str | None:
        """The hash of its bytes."""
        ...


_File = TypeVar("_File", bound=ScannedFile)


class IgnoredFiles:
    """What one scan of one folder leaves out."""

    def __init__(self, database: Database, folder_id: int) -> None:
        self._folder_id = folder_id
        with database.reading() as connection:
            self._sha256s = set(connection.execute(sa.select(ignored.c.sha256)).scalars())
            rows = connection.execute(
                sa.select(ignored_file.c.path, ignored_file.c.size_bytes, ignored_file.c.mtime_ns).where(
                    ignored_file.c.folder_id == folder_id
                )
            )
            self._known = {FoundFile(*row) for row in rows} if self._sha256s else set()

    def not_known(self, found_files: Sequence[FoundFile]) -> list[FoundFile]:
        """Return the files but for those that were left out before and have not changed since."""
        return [found for found in found_files if found not in self._known]

    def without(self, connection: sa.Connection, batch: Sequence[_File]) -> list[_File]:
        """Return the files but for those whose content is ignored, and remember where those are."""
        kept = []
        for file in batch:
            if file.sha256 in self._sha256s and file.sha256 is not None:
                self._leave_out(connection, file.found, file.sha256)
            else:
                kept.append(file)
        return kept

    def _leave_out(self, connection: sa.Connection, found: FoundFile, sha256: str) -> None:
        _note(connection, self._folder_id, found, sha256)
        connection.execute(
            picture.update()
            .where(
                picture.c.folder_id == self._folder_id,
                picture.c.path == found.path,
                picture.c.vanished_at_s.is_(None),
            )
            .values(vanished_at_s=time.time())
        )


def _note(connection: sa.Connection, folder_id: int, found: FoundFile, sha256: str) -> None:
    values = {"size_bytes": found.size_bytes, "mtime_ns": found.mtime_ns, "sha256": sha256}
    connection.execute(
        insert(ignored_file)
        .values(folder_id=folder_id, path=found.path, **values)
        .on_conflict_do_update(index_elements=["folder_id", "path"], set_=values)
    )


def _present_files(content_id: int) -> sa.Select[tuple[int, str, int, int]]:
    return sa.select(picture.c.folder_id, picture.c.path, picture.c.size_bytes, picture.c.mtime_ns).where(
        picture.c.content_id == content_id, picture.c.vanished_at_s.is_(None)
    )
