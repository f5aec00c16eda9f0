"""Wires indexing: an application that can also scan, read, describe, tag and embed."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from smallsight.errors import FolderMissingError, ModelUnavailableError
from smallsight.inventory.served_models import ServedModels
from smallsight.lending.model_lender import ModelLender
from smallsight.lending.residency import Residency
from smallsight.lending.resident_models import FOREVER_S
from smallsight.library.indexer import Indexer, IndexReport
from smallsight.library.ledger import LOOK, StageName, count_due, forget_failures
from smallsight.library.library import FolderSummary
from smallsight.library.progress import Progress
from smallsight.library.read_files import ReadFiles
from smallsight.library.scan import FolderScan, ScanReport
from smallsight.library.scan_parts import ScanParts
from smallsight.library.stages.read import READ
from smallsight.library.stages.stage_list import Means, list_stages
from smallsight.library.stages.stage_work import StageWork
from smallsight.library.walk import FoundFile
from smallsight.model.loading import load_served
from smallsight.reading.embedder_on_demand import EmbedderOnDemand
from smallsight.reading.text_reader import TextReader, is_reading_available
from smallsight.services.application import Application
from smallsight.services.describing import describe_options
from smallsight.services.lent_models import LentDescriber, LentTagger
from smallsight.services.tagging import tagging_model
from smallsight.settings import Settings

if TYPE_CHECKING:
    from smallsight.engine.openvino.picture_embedder import PictureEmbedder
    from smallsight.reading.text_embedder import TextEmbedder

_MAX_MODELS = 2  # one that describes, one that tags


@dataclass(slots=True)
class RunReport:
    """One run of ``index``: a scan of each folder that is there, then the work on the pictures found."""

    scans: list[ScanReport] = field(default_factory=list)
    missing: list[Path] = field(default_factory=list)  # folders that could not be scanned
    work: IndexReport = field(default_factory=IndexReport)


class IndexingApplication(Application):
    """A library open for writing, with every part for indexing that is installed."""

    settings: Settings
    _or_shipped = False  # it knows drawings only, so pictures get its vectors only if somebody names it

    def __init__(
        self,
        settings: Settings,
        *,
        describes: bool = True,
        lender: ModelLender | None = None,
        configures_logging: bool = True,
        for_run: bool = True,
        in_background: bool = False,
    ) -> None:
        """Models are borrowed from ``lender``; by default from a private one. ``in_background`` lets other
        processes go before the one that reads text.

        Without ``for_run``, the caller holds the run lock while this application scans and works.
        """
        super().__init__(settings, for_writing=True, for_run=for_run, configures_logging=configures_logging)
        self._describes = describes
        self._models = ServedModels(lambda: settings)
        self._given_lender = lender
        self._in_background = in_background

    @cached_property
    def reader(self) -> TextReader | None:
        """The reader of text in pictures; None if turned off or not installed."""
        if not self.settings.index.ocr or not is_reading_available():
            return None
        return self.resources.enter_context(TextReader(self.settings, in_background=self._in_background))

    @cached_property
    def text_embedder(self) -> EmbedderOnDemand | None:
        """The embedder of texts, loaded for the first text; None if its model is not on this machine."""
        model_dir = self.text_model_dir
        if model_dir is None:
            return None
        return EmbedderOnDemand.of(
            model_dir,
            precision=self.settings.embedding.precision,
            prepared_dir=self.settings.prepared_dir,
            load=self._loaded_embedder,
        )

    def _loaded_embedder(self) -> TextEmbedder:
        """Load the embedder after ending the child that reads, so that both are not in memory at once."""
        if self.reader is not None:
            self.reader.close()
        embedder = self.embedder
        if embedder is None:
            raise ModelUnavailableError("The text model has been removed.", hint="run the command again.")
        return embedder

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

    @property
    def look_embedder(self) -> PictureEmbedder | None:
        """The embedder of pictures; None if turned off, or if no model is here. Raises ModelError."""
        return self.picture_embedder if self.settings.index.looks else None

    def index(
        self,
        folders: Sequence[Path],
        observer: Progress,
        should_stop: Callable[[], bool],
        *,
        retry_failed: bool = False,
    ) -> RunReport:
        """Scan the folders, or all known ones if there are none, and do all the work that is due.

        Of a folder inside a known one, and of a file, only this part is scanned.
        """
        # First, so that a model that cannot be loaded is reported before hours of work.
        _ = self.describer, self.tagger, self.look_embedder
        places = [self.library.add_for_scan(path) for path in folders]
        places = places or [(summary, "") for summary in self.library.folders()]
        if retry_failed:
            self.forget_failures()
        files = ReadFiles()
        report = self.scan(places, observer, should_stop, files)
        if should_stop():
            report.work.is_complete = False
        else:
            report.work = self.work(observer, should_stop, files)
        return report

    def forget_failures(self) -> None:
        """Make due again what has failed."""
        with self.database.writing() as connection:
            forget_failures(connection)

    def scan(
        self,
        places: Sequence[tuple[FolderSummary, str]],
        observer: Progress,
        should_stop: Callable[[], bool],
        files: ReadFiles | None = None,
        *,
        is_settled: Callable[[Path, FoundFile], bool] | None = None,
    ) -> RunReport:
        """Scan parts of folders, until should_stop returns True; for ``is_settled`` see ``FolderScan``."""
        report = RunReport()
        for folder, parts in _parts_by_folder(places).values():
            scan = FolderScan(
                self.database,
                self.settings,
                folder.id,
                folder.path,
                files,
                parts=parts,
                is_settled=is_settled,
            )
            try:
                report.scans.append(scan.run(observer, should_stop))
            except FolderMissingError as error:  # an unplugged disk must not stop the others
                report.missing.append(folder.path)
                observer.problem(str(folder.path), error)
            if should_stop():
                break
        return report

    def work(
        self, observer: Progress, should_stop: Callable[[], bool], files: ReadFiles | None = None
    ) -> IndexReport:
        """Do all the work that is due, until should_stop returns True."""
        means = Means(
            self.database,
            self.settings,
            self.reader,
            self.text_embedder,
            self.describer,
            self.tagger,
            self.look_embedder,
        )
        works = list_stages(means)
        if self.reader is not None and self._is_due(works, READ):
            self.reader.start()  # takes as long as opening the first pictures, and so at the same time
        indexer = Indexer(self.database, self.settings, works, files)
        return indexer.run(observer, should_stop)

    def _is_due(self, works: Sequence[StageWork], name: StageName) -> bool:
        """Return whether a content lacks a stage, also if it is yet to be looked at."""
        stages = [stage for work in works for stage in work.stages if stage.name in (LOOK, name)]
        wanted = [stage for stage in stages if stage.name == name]
        with self.database.reading() as connection:
            return count_due(connection, stages, wanted) > 0


def _parts_by_folder(
    places: Sequence[tuple[FolderSummary, str]],
) -> Mapping[int, tuple[FolderSummary, ScanParts]]:
    folders = {folder.id: folder for folder, _ in places}
    paths: dict[int, list[str]] = defaultdict(list)
    for folder, part in places:
        paths[folder.id].append(part)
    return {number: (folder, ScanParts(paths[number])) for number, folder in folders.items()}


def own_lender(settings: Settings) -> ModelLender:
    """Return a lender for a process that only indexes; it has no memory limit, only loading checks memory."""
    return ModelLender(
        Residency(max_models=_MAX_MODELS, max_bytes=sys.maxsize),
        lambda served, on_progress: load_served(served, settings, on_progress),
        keep_alive_s=FOREVER_S,
    )
