"""Wires a library for one process: settings in, indexer and searcher out.

The only place that decides which reader, embedder and database go together. Heavy parts are made when first
asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

from smallsight.catalog.text_model import find_text_model
from smallsight.engine.text_embedder import TextEmbedder
from smallsight.engine.text_reader import TextReader, is_reading_available
from smallsight.library.database import Database
from smallsight.library.indexer import Indexer, IndexReport
from smallsight.library.ledger import forget_failures
from smallsight.library.library import Library
from smallsight.library.observer import Observer
from smallsight.library.scan import FolderScan, ScanReport
from smallsight.library.search.searcher import Searcher
from smallsight.library.thumbnails import thumbnail_path
from smallsight.services.logs import configure_logging
from smallsight.settings import Settings

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class RunReport:
    """One run of ``index``: a scan for each folder, then the work on what they found."""

    scans: list[ScanReport] = field(default_factory=list)
    work: IndexReport = field(default_factory=IndexReport)
    num_retried: int = 0


class Application:
    """A library opened with everything this installation has for it. Close it, or use it in ``with``."""

    def __init__(self, settings: Settings, *, for_writing: bool) -> None:
        configure_logging(settings.log_level)
        self.settings = settings
        self._resources = ExitStack()
        opener = Database.open_for_writing if for_writing else Database.open_for_reading
        self.database = self._resources.enter_context(opener(settings.database_path))
        self.library = Library(self.database)
        self._words_only = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop child processes, close the database, and let other processes write."""
        self._resources.close()

    @cached_property
    def reader(self) -> TextReader | None:
        """What reads text in pictures; None when turned off or not installed."""
        if not self.settings.index.ocr or not is_reading_available():
            return None
        return self._resources.enter_context(TextReader(self.settings))

    @cached_property
    def embedder(self) -> TextEmbedder | None:
        """What turns texts into vectors; None when its model is not on this machine."""
        model_dir = find_text_model(self.settings)
        if model_dir is None:
            return None
        return self._resources.enter_context(
            TextEmbedder.load(
                model_dir,
                precision=self.settings.embedding.precision,
                threads=self.settings.threads,
                graphs_dir=self.settings.graphs_dir,
            )
        )

    @cached_property
    def searcher(self) -> Searcher:
        """Finds pictures; semantic only with an embedder."""
        embedder = None if self._words_only else self.embedder
        return Searcher(
            self.database,
            self.settings,
            None if embedder is None else embedder.embed,
            None if embedder is None else embedder.key,
        )

    def use_words_only(self) -> None:
        """Search without loading the embedder; call it before the first search."""
        self._words_only = True

    def thumbnail(self, sha256: str) -> Path:
        """Return where the thumbnail of a content is."""
        return thumbnail_path(self.settings.thumbnails_dir, sha256)

    def index(
        self,
        folders: Sequence[Path],
        observer: Observer,
        should_stop: Callable[[], bool],
        *,
        retry_failed: bool = False,
    ) -> RunReport:
        """Scan the folders, or all known ones when none is named, and do all the work that is due."""
        report = RunReport()
        wanted = [self.library.add_folder(path) for path in folders] or self.library.folders()
        if retry_failed:
            with self.database.writing() as connection:
                report.num_retried = forget_failures(connection)
        for known in {summary.id: summary for summary in wanted}.values():
            scan = FolderScan(self.database, self.settings, known.id, known.path)
            report.scans.append(scan.run(observer, should_stop))
            if should_stop():
                report.work.is_complete = False
                return report
        indexer = Indexer(self.database, self.settings, self.reader, self.embedder)
        report.work = indexer.run(observer, should_stop)
        _log.info("indexed", read=report.work.read.done, embedded=report.work.embed.done)
        return report
