"""Wires indexing: an application that can also scan, read, describe, tag and embed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from smallsight.errors import FolderMissingError
from smallsight.inventory.served_models import ServedModels
from smallsight.lending.model_lender import ModelLender
from smallsight.lending.residency import Residency
from smallsight.lending.resident_models import FOREVER_S
from smallsight.library.indexer import Indexer, IndexReport
from smallsight.library.ledger import forget_failures
from smallsight.library.progress import Progress
from smallsight.library.read_files import ReadFiles
from smallsight.library.scan import FolderScan, ScanReport
from smallsight.library.stages.stage_list import Means, list_stages
from smallsight.model.loading import load_served
from smallsight.reading.text_reader import TextReader, is_reading_available
from smallsight.services.application import Application
from smallsight.services.describing import describe_options
from smallsight.services.lent_models import LentDescriber, LentTagger
from smallsight.services.tagging import tagging_model
from smallsight.settings import Settings

_MAX_MODELS = 2  # one that describes, one that tags


@dataclass(slots=True)
class RunReport:
    """One run of ``index``: a scan of each folder that is there, then the work on the pictures found."""

    scans: list[ScanReport] = field(default_factory=list)
    missing: list[Path] = field(default_factory=list)  # folders that could not be scanned
    work: IndexReport = field(default_factory=IndexReport)


class IndexingApplication(Application):
    """A library open for writing, with every part for indexing that is installed."""

    def __init__(
        self,
        settings: Settings,
        *,
        describes: bool = True,
        lender: ModelLender | None = None,
        configures_logging: bool = True,
    ) -> None:
        """Models are borrowed from ``lender``; by default from a private one."""
        super().__init__(settings, for_writing=True, for_run=True, configures_logging=configures_logging)
        self._describes = describes
        self._models = ServedModels(lambda: settings)
        self._given_lender = lender

    @cached_property
    def reader(self) -> TextReader | None:
        """The reader of text in pictures; None if turned off or not installed."""
        if not self.settings.index.ocr or not is_reading_available():
            return None
        return self.resources.enter_context(TextReader(self.settings))

    @cached_property
    def lender(self) -> ModelLender:
        """The lender of the models that describe and tag."""
        if self._given_lender is not None:
            return self._given_lender
        lender = own_lender(self.settings)
        self.resources.callback(lender.close_in_thread)
        return lender

    @cached_property
    def describer(self) -> LentDescriber | None:
        """The describer of pictures; None if no model is set. Raises ModelError if it cannot be loaded."""
        wanted = self.settings.describe
        if wanted.model is None or not self._describes:
            return None
        served = self._models.find_for_work(wanted.model, wanted.precision)
        return LentDescriber(self.lender, served, describe_options(self.settings))

    @cached_property
    def tagger(self) -> LentTagger | None:
        """The tagger of pictures; None unless the setting ``index.tags`` is on.

        Raises ModelError if its model cannot be loaded, and SettingsError if that is not a Florence-2.
        """
        if not self.settings.index.tags:
            return None
        served = self._models.find_for_work(*tagging_model(self.settings))
        return LentTagger(self.lender, served, self.settings)

    def index(
        self,
        folders: Sequence[Path],
        observer: Progress,
        should_stop: Callable[[], bool],
        *,
        retry_failed: bool = False,
    ) -> RunReport:
        """Scan the folders, or all known ones if there are none, and do all the work that is due."""
        report = RunReport()
        # First, so that a model that cannot be loaded is reported before hours of work.
        describer, tagger = self.describer, self.tagger
        wanted = [self.library.add_folder(path) for path in folders] or self.library.folders()
        if retry_failed:
            with self.database.writing() as connection:
                forget_failures(connection)
        files = ReadFiles()
        for known in {summary.id: summary for summary in wanted}.values():
            scan = FolderScan(self.database, self.settings, known.id, known.path, files)
            try:
                report.scans.append(scan.run(observer, should_stop))
            except FolderMissingError as error:  # an unplugged disk must not stop the others
                report.missing.append(known.path)
                observer.problem(str(known.path), error)
            if should_stop():
                report.work.is_complete = False
                return report
        means = Means(self.database, self.settings, self.reader, self.embedder, describer, tagger)
        indexer = Indexer(self.database, self.settings, list_stages(means), files)
        report.work = indexer.run(observer, should_stop)
        return report


def own_lender(settings: Settings) -> ModelLender:
    """Return a lender for a process that only indexes; it has no memory limit, only loading checks memory."""
    return ModelLender(
        Residency(max_models=_MAX_MODELS, max_bytes=sys.maxsize),
        lambda served, on_progress: load_served(served, settings, on_progress),
        keep_alive_s=FOREVER_S,
    )
