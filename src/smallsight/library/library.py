"""The library's public interface: folders, pictures, and edits by people.

Owns reading and editing. The indexer fills the library, and the searcher searches it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from smallsight.errors import FolderError, NotInLibraryError
from smallsight.library.database import Database
from smallsight.library.edits import WordChange, edit_contents
from smallsight.library.file_words import apply_file_words
from smallsight.library.ledger import OutcomeStatus
from smallsight.library.problems import problems_of
from smallsight.library.schema import chunk, content, content_tag, facet, folder, outcome, picture, tag
from smallsight.library.search.kinds import kind_of
from smallsight.library.search.sqlite.duplicates import near_duplicates
from smallsight.library.search.sqlite.facets import refresh_index
from smallsight.library.texts import renew_text_version
from smallsight.media.file_kinds import FileKind, kind_of_file
from smallsight.media.video_formats import has_video
from smallsight.policy.valid_text import is_valid_text

_IDS_PER_STATEMENT = 500
_RENAME = "the library stores only names that are valid UTF-8; rename it."


@dataclass(frozen=True, slots=True)
class FolderSummary:
    """A folder of the library; times are seconds since the epoch."""

    id: int
    path: Path
    num_pictures: int
    num_vanished: int
    scanned_at_s: float | None


@dataclass(frozen=True, slots=True)
class LibrarySummary:
    """Counts of folders and files, and of distinct contents by the state of the work on them."""

    num_folders: int
    num_files: int
    num_contents: int
    num_with_text: int
    num_embedded: int
    num_failed: int


@dataclass(frozen=True, slots=True)
class PictureDetails:
    """Everything the library knows about one content, and the paths of its files."""

    content_id: int
    paths: tuple[Path, ...]
    sha256: str
    size_bytes: int
    format: str | None
    width_px: int | None
    height_px: int | None
    num_frames: int | None
    duration_s: float | None  # of a video
    still_s: float | None  # when a video shows the frame that stands for it
    ocr_text: str | None
    text_source: str | None  # machine | human
    description: str | None
    description_source: str | None
    description_model: str | None
    tags: tuple[str, ...]
    machine_tags: tuple[str, ...]  # those of ``tags`` that no person added
    problems: tuple[str, ...]
    description_origin: str | None  # the metadata field or sidecar; None if written in Smallsight
    tag_origins: Mapping[str, str]  # of ``tags``: the field or sidecar of a file, or who suggested it
    date_wall_s: float | None  # wall-clock time in seconds as if it were UTC; None without a file
    date_offset_min: int | None
    date_origin: str | None  # None where the date is that of the file
    camera: str | None
    kind: str
    place: tuple[float, float] | None  # degrees north and east


class Library:
    """Folders and pictures over an open database. Methods that change data need it open for writing."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_folder(self, path: Path) -> FolderSummary:
        """Add a folder, or return the folder of the library that already contains it.

        Folders of the library below a new one are merged into it and keep their pictures. Raises FolderError
        if there is no such folder or it cannot be read.
        """
        root = _resolved_folder(path)
        with self._database.writing() as connection:
            for known in connection.execute(sa.select(folder.c.id, folder.c.path)):
                if root == Path(known.path) or root.is_relative_to(known.path):
                    return _summarise(connection, known.id)
            row = connection.execute(folder.insert().values(path=str(root), added_at_s=time.time()))
            folder_id = int((row.inserted_primary_key or (0,))[0])
            _merge_folders_below(connection, folder_id, root)
            return _summarise(connection, folder_id)

    def add_for_scan(self, path: Path) -> tuple[FolderSummary, str]:
        """Return the folder to scan for a file or folder, and what is to be scanned in it: "" is all of it.

        A folder outside the library is added. Raises FolderError as ``add_folder``, and for a file outside.
        """
        wanted = path.expanduser().absolute()
        try:
            wanted = wanted.resolve() if wanted.is_dir() else wanted.parent.resolve() / wanted.name
        except OSError as error:  # a name that is too long
            raise FolderError(f"{error.strerror}: {wanted}", hint="check the path.") from error
        if wanted.is_file() or wanted.is_symlink():
            place = self.find_folder(wanted)
            if place is None:
                raise FolderError(
                    f"This file is in no folder of the library: {wanted}",
                    hint=f"`smallsight index {wanted.parent}` adds its folder.",
                )
            return place
        summary = self.add_folder(path)
        below = wanted.relative_to(summary.path).as_posix()
        return summary, "" if below == "." else below

    def find_folder(self, path: Path) -> tuple[FolderSummary, str] | None:
        """Return the folder that holds a resolved path, and the path relative to it; None if none does."""
        for summary in self.folders():
            if path.is_relative_to(summary.path):
                below = path.relative_to(summary.path).as_posix()
                return summary, "" if below == "." else below
        return None

    def remove_folder(self, path: Path) -> FolderSummary:
        """Remove a folder from the library, leaving the disk unchanged; raises NotInLibraryError."""
        wanted = str(path.expanduser().absolute())
        if not is_valid_text(wanted):
            raise NotInLibraryError(f"Not a folder of the library: {wanted}", hint=_RENAME)
        with self._database.writing() as connection:
            folder_id = connection.execute(
                sa.select(folder.c.id).where(folder.c.path.in_({wanted, str(Path(wanted).resolve())}))
            ).scalar()
            if folder_id is None:
                raise NotInLibraryError(
                    f"Not a folder of the library: {wanted}", hint="`smallsight folders` lists them."
                )
            summary = _summarise(connection, folder_id)
            ids = list(
                connection.execute(
                    sa.select(picture.c.content_id)
                    .where(picture.c.folder_id == folder_id, picture.c.content_id.is_not(None))
                    .distinct()
                ).scalars()
            )
            connection.execute(folder.delete().where(folder.c.id == folder_id))
            for start in range(0, len(ids), _IDS_PER_STATEMENT):
                some = ids[start : start + _IDS_PER_STATEMENT]
                if changed := apply_file_words(connection, some):
                    renew_text_version(connection, changed)
                refresh_index(connection, some)
            return summary

    def folders(self) -> list[FolderSummary]:
        """List the folders by path."""
        with self._database.reading() as connection:
            ids = connection.execute(sa.select(folder.c.id).order_by(folder.c.path)).scalars().all()
            return [_summarise(connection, folder_id) for folder_id in ids]

    def folder_paths(self) -> list[Path]:
        """List the paths of the folders, without counting their pictures."""
        with self._database.cursor() as cursor:
            return [Path(row[0]) for row in cursor.execute("SELECT path FROM folder ORDER BY path")]

    def summary(self) -> LibrarySummary:
        """Count folders, files and contents, those processed and those failed."""
        here = sa.exists().where(picture.c.content_id == content.c.id, picture.c.vanished_at_s.is_(None))
        has_vector = sa.exists().where(chunk.c.content_id == content.c.id)

        def contents(*conditions: sa.ColumnElement[bool]) -> sa.ScalarSelect[int]:
            return sa.select(sa.func.count()).select_from(content).where(here, *conditions).scalar_subquery()

        failed = sa.exists().where(
            outcome.c.content_id == content.c.id, outcome.c.status == OutcomeStatus.FAILED
        )
        present = picture.c.vanished_at_s.is_(None)
        with self._database.reading() as connection:
            row = connection.execute(
                sa.select(
                    sa.select(sa.func.count()).select_from(folder).scalar_subquery(),
                    sa.select(sa.func.count()).select_from(picture).where(present).scalar_subquery(),
                    contents(),
                    contents(content.c.ocr_text != ""),
                    contents(has_vector),
                    contents(failed),
                )
            ).one()
        return LibrarySummary(*(int(count) for count in row))

    def find_content(self, path: Path) -> int:
        """Return the content id of the file at path; raises NotInLibraryError if it was never indexed."""
        found = self.find_contents([path])[path]
        if isinstance(found, NotInLibraryError):
            raise found
        return found

    def find_contents(self, paths: Sequence[Path]) -> dict[Path, int | NotInLibraryError]:
        """Return for each path the content id of its file, or why there is none."""
        with self._database.reading() as connection:
            roots = connection.execute(sa.select(folder.c.id, folder.c.path)).all()
            known = [(row.id, Path(row.path)) for row in roots]
            return {path: _find(connection, known, path) for path in paths}

    def near_duplicates(self, max_bits: int) -> list[tuple[Path, ...]]:
        """Return groups of pictures whose perceptual hashes differ in at most max_bits, one file of each."""
        groups = near_duplicates(self._database, max_bits)
        return [tuple(self.details(content_id).paths[0] for content_id in group) for group in groups]

    def details(self, content_id: int) -> PictureDetails:
        """Return what is known about a content; raises NotInLibraryError if there is none with this id."""
        with self._database.reading() as connection:
            row = connection.execute(sa.select(content).where(content.c.id == content_id)).one_or_none()
            if row is None:
                raise NotInLibraryError(f"There is no content with the id {content_id}.")
            files = connection.execute(
                sa.select(folder.c.path, picture.c.path.label("below"))
                .join(folder, folder.c.id == picture.c.folder_id)
                .where(picture.c.content_id == content_id, picture.c.vanished_at_s.is_(None))
                .order_by(folder.c.path, picture.c.path)
            ).all()
            return PictureDetails(
                content_id=content_id,
                paths=tuple(Path(file.path) / file.below for file in files),
                sha256=row.sha256,
                size_bytes=row.size_bytes,
                format=row.format,
                width_px=row.width_px,
                height_px=row.height_px,
                num_frames=row.num_frames,
                duration_s=row.duration_s,
                still_s=row.still_s,
                ocr_text=row.ocr_text,
                text_source=row.ocr_source,
                description=row.description,
                description_source=row.description_source,
                description_model=row.description_model,
                tags=_tags_of(connection, content_id),
                machine_tags=_tags_of(connection, content_id, content_tag.c.source == "machine"),
                description_origin=row.description_origin,
                tag_origins=_origins_of(connection, content_id),
                date_wall_s=connection.execute(
                    sa.select(facet.c.date_wall_s).where(facet.c.content_id == content_id)
                ).scalar(),
                date_offset_min=row.taken_offset_min,
                date_origin=row.taken_origin,
                camera=row.camera,
                kind=kind_of(row.format, row.num_frames, has_camera=bool(row.camera)),
                place=None if row.latitude is None else (row.latitude, row.longitude),
                problems=problems_of(connection, content_id, row.ocr_source),
            )

    def edit(
        self,
        content_id: int,
        *,
        description: str | None = None,
        ocr_text: str | None = None,
        tags_added: tuple[str, ...] = (),
        tags_removed: tuple[str, ...] = (),
    ) -> PictureDetails:
        """Store a person's edits, for every file with the same pixels.

        An empty description or text lets the machine write the field again.
        """
        change = WordChange(
            description=description,
            text=ocr_text,
            tags_added=tuple(name for name in tags_added if name.strip()),
            tags_removed=tuple(name for name in tags_removed if name.strip()),
        )
        edit_contents(self._database, [content_id], change)
        return self.details(content_id)


def _find(
    connection: sa.Connection, folders: Sequence[tuple[int, Path]], path: Path
) -> int | NotInLibraryError:
    wanted = path.expanduser().absolute()
    if not is_valid_text(str(wanted)):
        return NotInLibraryError(f"Not in the library: {wanted}", hint=_RENAME)
    for is_resolved in (False, True):
        candidate = wanted.parent.resolve() / wanted.name if is_resolved else wanted
        for folder_id, root in folders:
            if not candidate.is_relative_to(root):
                continue
            content_id = connection.execute(
                sa.select(picture.c.content_id).where(
                    picture.c.folder_id == folder_id,
                    picture.c.path == candidate.relative_to(root).as_posix(),
                )
            ).scalar()
            if content_id is not None:
                return int(content_id)
    return _not_in_library(wanted)


def _not_in_library(path: Path) -> NotInLibraryError:
    """Return the error for a path that was never indexed, with a hint for what is there."""
    try:
        is_there = path.exists()
    except OSError as error:
        reason = error.strerror or error
        return NotInLibraryError(f"This path cannot be looked at ({reason}): {path}", hint="check the path.")
    if not is_there:
        return NotInLibraryError(f"There is no such file: {path}", hint="check the path.")
    if path.is_dir():
        return NotInLibraryError(f"This is a folder, not a picture: {path}", hint="give a picture file.")
    kind = kind_of_file(path)
    hint = f"run `smallsight index {path.parent}` first."
    if kind is FileKind.VIDEO and not has_video():
        hint = "pip install 'smallsight[video]' reads videos."
    elif kind not in (FileKind.PICTURE, FileKind.VIDEO):
        hint = "it is not a picture, so that indexing its folder would pass it over."
    return NotInLibraryError(f"Not in the library: {path}", hint=hint)


def _resolved_folder(path: Path) -> Path:
    expanded = path.expanduser()
    try:
        root = expanded.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise FolderError(
            f"No such folder: {expanded}", hint="check the path for typing mistakes."
        ) from error
    if not is_valid_text(str(root)):
        raise FolderError(f"The folder's name is not valid text (UTF-8): {root}", hint=_RENAME)
    if not root.is_dir():
        raise FolderError(f"Not a folder: {root}", hint="give the folder that holds the picture.")
    try:
        next(root.iterdir(), None)
    except OSError as error:
        raise FolderError(f"Folder cannot be read: {root}", hint="give this user read permission.") from error
    return root


def _merge_folders_below(connection: sa.Connection, folder_id: int, root: Path) -> None:
    """Move the pictures of folders below root to root, and delete those folders."""
    for known in connection.execute(sa.select(folder.c.id, folder.c.path)).all():
        if known.id == folder_id or not Path(known.path).is_relative_to(root):
            continue
        below = Path(known.path).relative_to(root).as_posix()
        connection.execute(
            picture.update()
            .where(picture.c.folder_id == known.id)
            .values(folder_id=folder_id, path=sa.literal(f"{below}/").concat(picture.c.path))
        )
        connection.execute(folder.delete().where(folder.c.id == known.id))


def _summarise(connection: sa.Connection, folder_id: int) -> FolderSummary:
    row = connection.execute(
        sa.select(
            folder.c.path,
            folder.c.scanned_at_s,
            sa.func.count(picture.c.id).filter(picture.c.vanished_at_s.is_(None)).label("here"),
            sa.func.count(picture.c.vanished_at_s).label("gone"),
        )
        .select_from(folder.outerjoin(picture))
        .where(folder.c.id == folder_id)
        .group_by(folder.c.id)
    ).one()
    return FolderSummary(folder_id, Path(row.path), row.here, row.gone, row.scanned_at_s)


def _origins_of(connection: sa.Connection, content_id: int) -> dict[str, str]:
    suggested = sa.literal("suggested by ") + content_tag.c.suggested_by
    rows = connection.execute(
        sa.select(tag.c.name, sa.func.coalesce(content_tag.c.origin, suggested).label("origin"))
        .join(content_tag)
        .where(content_tag.c.content_id == content_id)
        .order_by(tag.c.name)
    )
    return {row.name: row.origin for row in rows if row.origin is not None}


def _tags_of(
    connection: sa.Connection, content_id: int, *conditions: sa.ColumnElement[bool]
) -> tuple[str, ...]:
    names = connection.execute(
        sa.select(tag.c.name).join(content_tag).where(content_tag.c.content_id == content_id, *conditions)
    ).scalars()
    return tuple(sorted(names))
