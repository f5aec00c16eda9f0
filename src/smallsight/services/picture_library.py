"""The library for Python programs: ``smallsight.open_library``."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from smallsight.errors import ArgumentError, LibraryMissingError
from smallsight.errors.argument_types import (
    as_path,
    as_texts,
    as_whole,
    require_callback,
    require_choice,
    require_instance,
    require_text,
)
from smallsight.library.edit_journal import JournalEntry, list_edits
from smallsight.library.edits import EditReport, WordChange, edit_contents
from smallsight.library.library import FolderSummary, PictureDetails
from smallsight.library.local_time import as_datetime
from smallsight.library.search.hits import Hit
from smallsight.library.search.query import with_signed
from smallsight.library.search.searcher import Mode, Searcher
from smallsight.library.tags import TagCount, list_tags, merge_tags, remove_tag, rename_tag
from smallsight.library.undo import UndoReport, redo, undo
from smallsight.services.application import Application
from smallsight.services.index_callback import CallbackProgress
from smallsight.services.library_arguments import (
    EditedPictures,
    PathOrText,
    as_limit,
    as_paths,
    as_sort,
)
from smallsight.services.library_results import (
    DuplicateGroups,
    EditResult,
    FoundPicture,
    FoundPictures,
    IndexProgress,
    IndexResult,
    PictureInfo,
    UndoResult,
)
from smallsight.services.likeness import find_similar
from smallsight.services.opened_library import OpenedLibrary
from smallsight.services.picture_suggestions import PictureSuggestions
from smallsight.settings import Settings, load_settings

__all__ = ["EditedPictures", "PictureLibrary", "open_library"]

_HASH_BITS = 64
_LAST_EDIT = 2**63 - 1


def open_library(
    path: PathOrText | None = None,
    *,
    settings: Settings | None = None,
    **overrides: Any,  # noqa: ANN401 - any setting
) -> PictureLibrary:
    """Open the library in the data folder ``path``, by default that of the command line.

    Settings are those in force (environment and smallsight.toml), with ``overrides`` by name, as in
    ``open_library(index={"ocr": False})``; or ``settings``. The library need not exist: ``index`` makes it.
    Raises SettingsError.
    """
    if settings is not None and (overrides or path is not None):
        raise ArgumentError(
            "settings holds every setting.", hint="leave out path and the others, or settings."
        )
    if settings is not None:
        return PictureLibrary(
            require_instance("settings", settings, Settings, "pass those of load_settings().")
        )
    if path is not None:
        overrides["home"] = as_path("path", path).expanduser().absolute()
    return PictureLibrary(load_settings(**overrides))


class PictureLibrary:
    """An open library of pictures. Close it, or use it in ``with``; it may be used from any thread.

    It holds no lock between calls, so that other programs, and the command line, use the library meanwhile.
    Methods raise SmallsightError: LibraryMissingError until something was indexed, LibraryError after
    ``close``, NotInLibraryError for a picture or tag that is not there.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        structlog = sys.modules.get("structlog")
        # A program around this one may have configured it: then the log is that program's.
        self._configures_logging = structlog is None or not structlog.is_configured()
        self._turn = threading.RLock()
        self._opened = OpenedLibrary(
            settings, answers_many=False, configures_logging=self._configures_logging
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = ", closed" if self._opened.is_closed else ""
        return f"<smallsight.PictureLibrary in {str(self.path)!r}{state}>"

    @property
    def path(self) -> Path:
        """The data folder."""
        return self._settings.home

    def close(self) -> None:
        """Close the library, once no call is in progress; may be called again."""
        self._opened.close()

    def search(
        self, query: str, *, mode: str = "fused", limit: int | None = None, sort: str = "relevance"
    ) -> FoundPictures:
        """Find pictures as ``smallsight search`` does; ``mode`` is "fused", "keyword" (words) or "semantic".

        Without words it lists the newest pictures that pass the filters. ``limit`` is by default the setting
        ``search.limit``, and at most 10,000. ``sort`` is "relevance", "newest", "oldest", "name", "size"
        or "added".
        """
        require_text("query", query)
        require_choice("mode", mode, Mode)
        application = self._reading()
        result = self._searcher(application, Mode(mode)).search(
            query, mode=Mode(mode), limit=as_limit(limit), sort=as_sort(sort)
        )
        return FoundPictures(
            tuple(_found(application, hit) for hit in result.hits),
            result.total,
            result.corrections,
            result.semantic_available and Mode(mode) is not Mode.KEYWORD,
        )

    def similar(
        self,
        path: PathOrText,
        *,
        words: str = "",
        plus: str | Iterable[str] = (),
        minus: str | Iterable[str] = (),
        limit: int | None = None,
        sort: str = "relevance",
    ) -> tuple[FoundPicture, ...]:
        """Return pictures that look like a file, then those with a text of similar meaning.

        The file may be anywhere. With words only those pictures that the words find. ``plus`` and ``minus``
        are words that change what the pictures should look like, as ``+sunset -people`` do in ``words``.
        Raises NotEmbeddedError if words are to be added and the pictures have no vectors.
        """
        asked = with_signed(require_text("words", words), as_texts("plus", plus), as_texts("minus", minus))
        like, most, order = as_path("path", path), as_limit(limit), as_sort(sort)
        application = self._reading()
        self._searcher(application, Mode.FUSED)
        result = find_similar(application, self._settings, like, asked, most, order)
        return tuple(_found(application, hit) for hit in result.hits)

    def details(self, path: PathOrText) -> PictureInfo:
        """Return what is known about a picture."""
        wanted = as_path("path", path)
        application = self._reading()
        known = application.library.details(application.library.find_content(wanted))
        return PictureInfo(
            paths=known.paths,
            sha256=known.sha256,
            size_bytes=known.size_bytes,
            format=known.format,
            width_px=known.width_px,
            height_px=known.height_px,
            num_frames=known.num_frames,
            text=known.ocr_text,
            text_by=known.text_source,
            description=known.description,
            description_by=known.description_source,
            description_model=known.description_model,
            tags=known.tags,
            machine_tags=known.machine_tags,
            problems=known.problems,
            thumbnail=application.thumbnail(known.sha256),
            taken=_date_of(known),
            date_origin=known.date_origin,
            camera=known.camera,
            kind=str(known.kind),
            place=known.place,
            duration_s=known.duration_s,
        )

    @property
    def folders(self) -> tuple[FolderSummary, ...]:
        """The folders of the library, by path."""
        return tuple(self._reading().library.folders())

    def duplicates(self, max_bits: int | None = None, *, with_resolved: bool = False) -> DuplicateGroups:
        """Return identical files, copies of a picture, and similar pictures, as the web app shows them.

        Groups that a person has decided about are left out unless they are asked for. With ``max_bits``,
        it compares whole pictures instead: two hashes may differ in that many of 64 bits.
        """
        from smallsight.library.duplicate_groups import GroupKind, groups  # noqa: PLC0415 - imports numpy

        if max_bits is not None:
            max_bits = as_whole("max_bits", max_bits, 0, _HASH_BITS)
        opened = self._reading()
        pages = [groups(opened.database, kind, with_resolved=with_resolved) for kind in GroupKind]
        found = DuplicateGroups.of(group for page in pages for group in page.groups)
        if max_bits is None:
            return found
        return replace(found, alike=tuple(opened.library.near_duplicates(max_bits)))

    def tags(self) -> tuple[TagCount, ...]:
        """Return the tags with the numbers of pictures that have them, most used first."""
        return tuple(list_tags(self._reading().database))

    def index(
        self,
        folders: PathOrText | Sequence[PathOrText] = (),
        *,
        on_progress: Callable[[IndexProgress], None] | None = None,
        should_stop: Callable[[], bool] | None = None,
        retry_failed: bool = False,
    ) -> IndexResult:
        """Add folders and do all the work that is due on their pictures; without any, on all known folders.

        Both callbacks are called often, in this thread. What is finished stays when a run stops or fails; the
        next one continues. Raises LibraryBusyError while another run works on this library.
        """
        # Importing what reads and describes takes a second.
        from smallsight.services.indexing import IndexingApplication  # noqa: PLC0415

        paths = as_paths("folders", folders)
        require_callback("on_progress", on_progress)
        require_callback("should_stop", should_stop)
        self._opened.require_open()
        observer = CallbackProgress(on_progress)
        with IndexingApplication(self._settings, configures_logging=self._configures_logging) as application:
            report = application.index(
                paths, observer, should_stop or (lambda: False), retry_failed=retry_failed
            )
        return observer.result(report)

    def edit(
        self,
        pictures: EditedPictures,
        *,
        description: str | None = None,
        text: str | None = None,
        add_tags: str | Iterable[str] = (),
        remove_tags: str | Iterable[str] = (),
    ) -> EditResult:
        """Describe, correct or tag one picture, or several at once: paths, or what a search found.

        An empty description or text is removed, so that a model writes it again. If a picture is not in the
        library, nothing is changed.
        """
        for name, words in (("description", description), ("text", text)):
            if words is not None:
                require_text(name, words)
        added, removed = as_texts("add_tags", add_tags), as_texts("remove_tags", remove_tags)
        change = WordChange(description, text, added, removed)
        if change.is_empty:
            raise ArgumentError("Nothing to change.", hint="pass description, text, add_tags or remove_tags.")
        change.check()
        paths = as_paths("pictures", pictures)
        library = self._reading().library
        by_id: dict[int, Path] = {}
        for path, found in library.find_contents(paths).items():
            if not isinstance(found, int):
                raise found
            by_id.setdefault(found, path)
        report = edit_contents(self._writing().database, list(by_id), change)
        return _edit_result(report, by_id)

    @property
    def suggestions(self) -> PictureSuggestions:
        """Tags that a picture embedding model suggests, to be accepted or rejected."""
        return PictureSuggestions(self._settings, self._reading, self._writing)

    def rename_tag(self, old: str, new: str) -> EditResult:
        """Rename a tag in all pictures; if ``new`` is a tag already, both become one."""
        return self._changed_tags(rename_tag(self._writing().database, _tag(old), _tag(new)))

    def merge_tags(self, names: Sequence[str], into: str) -> EditResult:
        """Replace several tags by one in all pictures."""
        return self._changed_tags(merge_tags(self._writing().database, as_texts("names", names), _tag(into)))

    def remove_tag(self, name: str) -> EditResult:
        """Remove a tag from all pictures; no model adds it to them again."""
        return self._changed_tags(remove_tag(self._writing().database, _tag(name)))

    def edits(self) -> tuple[JournalEntry, ...]:
        """Return the edits that can be undone or redone, newest first."""
        return tuple(list_edits(self._reading().database))

    def undo(self, edit: int | None = None) -> UndoResult:
        """Undo the last edit, or the one with this number; what a person has changed since stays.

        Raises NotInLibraryError if there is none.
        """
        number = None if edit is None else as_whole("edit", edit, 1, _LAST_EDIT)
        return self._undone(undo(self._writing().database, number))

    def redo(self) -> UndoResult:
        """Make the edit again that was undone last; raises NotInLibraryError if there is none."""
        return self._undone(redo(self._writing().database))

    def _reading(self) -> Application:
        try:
            return self._opened.reading()
        except LibraryMissingError as error:
            raise LibraryMissingError(
                error.message, hint="create it with index(folder), or `smallsight index FOLDER`."
            ) from error

    def _writing(self) -> Application:
        self._reading()  # raises if there is no library yet
        return self._opened.editing()

    def _searcher(self, application: Application, mode: Mode) -> Searcher:
        with self._turn:  # made on first use
            return application.word_searcher if mode is Mode.KEYWORD else application.searcher

    def _changed_tags(self, report: EditReport) -> EditResult:
        return EditResult(report.edit_id, self._paths_of(report.changed), ())

    def _undone(self, report: UndoReport) -> UndoResult:
        return UndoResult(
            report.entry.id, report.entry.summary, len(report.restored), self._paths_of(report.kept)
        )

    def _paths_of(self, content_ids: Iterable[int]) -> tuple[Path, ...]:
        library = self._reading().library
        return tuple(path for content_id in content_ids for path in library.details(content_id).paths[:1])


def _edit_result(report: EditReport, by_id: dict[int, Path]) -> EditResult:
    chosen = [
        (content_id in report.changed, path.expanduser().absolute()) for content_id, path in by_id.items()
    ]
    return EditResult(
        report.edit_id,
        tuple(path for is_changed, path in chosen if is_changed),
        tuple(path for is_changed, path in chosen if not is_changed),
        report.tags_not_there,
    )


def _found(application: Application, hit: Hit) -> FoundPicture:
    return FoundPicture(
        path=hit.path,
        other_paths=hit.other_paths,
        score=hit.score,
        similarity=hit.similarity,
        found_by=hit.found_by,
        excerpt=hit.excerpt,
        highlights=hit.highlights,
        text=hit.ocr_text,
        description=hit.description,
        tags=hit.tags,
        width_px=hit.width_px,
        height_px=hit.height_px,
        thumbnail=application.thumbnail(hit.thumbnail_key),
        taken=as_datetime(hit.date_wall_s, hit.date_offset_min),
        date_origin=hit.date_origin,
        camera=hit.camera,
        kind=hit.kind,
        num_frames=hit.num_frames,
        format=hit.format,
        size_bytes=hit.size_bytes,
        duration_s=hit.duration_s,
        found_at_s=hit.found_at_s,
    )


def _date_of(known: PictureDetails) -> datetime | None:
    if known.date_wall_s is None:
        return None
    return as_datetime(known.date_wall_s, known.date_offset_min)


def _tag(name: str) -> str:
    return require_text("A tag", name)
