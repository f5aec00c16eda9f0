"""Wires an export: which pictures, whose words, and what writes them."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import TextIO

from smallsight.errors import ArgumentError, SmallsightError
from smallsight.library.exporting.new_files import unfinished_file
from smallsight.library.exporting.parquet import ParquetRecordWriter
from smallsight.library.exporting.placement import CaptionNames, Placement
from smallsight.library.exporting.reading import count_records, read_all, read_some
from smallsight.library.exporting.record import PictureRecord, WordsBy
from smallsight.library.exporting.record_file import CsvWriter, JsonLinesWriter, RecordWriter
from smallsight.library.exporting.sidecars import (
    CaptionSidecars,
    Sidecar,
    Sidecars,
    SidecarState,
    XmpSidecars,
)
from smallsight.library.exporting.written_files import WrittenFiles
from smallsight.library.search.query import parse_query
from smallsight.library.search.searcher import Mode
from smallsight.library.search.text_index import Sort
from smallsight.services.application import Application

__all__ = ["ExportFormat", "ExportReport", "ExportRequest", "Exporter"]


class ExportFormat(StrEnum):
    """What is written."""

    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"
    CAPTIONS = "txt-sidecars"
    XMP = "xmp-sidecars"

    @property
    def is_sidecars(self) -> bool:
        """Whether it is one file per picture."""
        return self in {ExportFormat.CAPTIONS, ExportFormat.XMP}


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """What to export: without ``query`` everything; without ``out`` to stdout or beside the pictures."""

    format: ExportFormat
    query: str | None = None
    mode: Mode = Mode.FUSED
    limit: int | None = None
    by: WordsBy = WordsBy.ALL
    out: Path | None = None
    overwrite: bool = False
    sort: Sort = Sort.RELEVANCE
    places: bool = False


@dataclass(slots=True)
class ExportReport:
    """Records or sidecars by what happened to them; ``skipped`` includes those kept for another program."""

    written: int = 0
    skipped: int = 0
    failed: int = 0
    kept: list[Sidecar] = field(default_factory=list)
    problems: list[Sidecar] = field(default_factory=list)

    @property
    def first_error(self) -> SmallsightError | None:
        """The error of the first sidecar that failed."""
        return self.problems[0].error if self.problems else None


class Exporter:
    """One export of an open library."""

    def __init__(self, application: Application, request: ExportRequest) -> None:
        self._application = application
        self._database = application.database
        self._request = request
        self._ids = self._find()
        total = count_records(self._database) if self._ids is None else len(self._ids)
        self.total = total if request.limit is None else min(total, request.limit)

    def run(self, advance: Callable[[], None], report_sidecar: Callable[[Sidecar], None]) -> ExportReport:
        """Write everything; ``advance`` is called after each picture.

        ``report_sidecar`` receives the sidecars that failed or were kept, in order. Raises StorageError,
        ArgumentError if the file exists, and MissingExtraError.
        """
        if self._request.format.is_sidecars:
            return self._write_sidecars(advance, report_sidecar)
        return self._write_records(advance)

    def _find(self) -> list[int] | None:
        request = self._request
        if request.query is None:
            return None
        max_chars = self._application.settings.limits.max_query_chars
        if request.mode is Mode.KEYWORD or not parse_query(request.query, max_chars).units:
            self._application.use_words_only()
        found = self._application.searcher.find_all(request.query, mode=request.mode, sort=request.sort)
        return found[: request.limit]

    def _records(self) -> Iterator[PictureRecord]:
        found = read_all(self._database) if self._ids is None else read_some(self._database, self._ids)
        return (record.words_by(self._request.by) for record in islice(found, self._request.limit))

    def _write_records(self, advance: Callable[[], None]) -> ExportReport:
        report = ExportReport()
        with ExitStack() as opened:
            writer = self._open_writer(opened)
            for record in self._records():
                writer.write(record)
                report.written += 1
                advance()
            writer.close()
        return report

    def _open_writer(self, opened: ExitStack) -> RecordWriter:
        """Return a writer to a new file, or to standard output, which is flushed at the end."""
        out, kind, places = self._request.out, self._request.format, self._request.places
        if out is None:
            stream = io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8", newline="", write_through=True)
            opened.callback(stream.detach)
            return _text_writer(kind, stream, with_places=places)
        if out.exists() and not self._request.overwrite:
            raise ArgumentError(f"There is a file already: {out}", hint="--overwrite replaces it.")
        unfinished = opened.enter_context(unfinished_file(out))
        if kind is ExportFormat.PARQUET:
            return ParquetRecordWriter(unfinished, with_places=places)
        file = opened.enter_context(unfinished.open("w", encoding="utf-8", newline=""))
        return _text_writer(kind, file, with_places=places)

    def _write_sidecars(
        self, advance: Callable[[], None], report_sidecar: Callable[[Sidecar], None]
    ) -> ExportReport:
        report = ExportReport()
        sidecars = self._sidecars()
        for record in self._records():
            for one in sidecars.write(record):
                if one.state is SidecarState.WRITTEN:
                    report.written += 1
                elif one.state is SidecarState.FAILED:
                    report.failed += 1
                    report.problems.append(one)
                    report_sidecar(one)
                else:
                    report.skipped += 1
                    if one.state is SidecarState.KEPT:
                        report.kept.append(one)
                        report_sidecar(one)
            advance()
        return report

    def _sidecars(self) -> Sidecars:
        request = self._request
        folders = [one.path for one in self._application.library.folders()]
        placement = Placement(folders, request.out)
        if request.format is ExportFormat.XMP:
            return XmpSidecars(placement, overwrite=request.overwrite)
        return CaptionSidecars(
            CaptionNames(self._database),
            placement,
            WrittenFiles(self._application.settings.home / "exported-captions"),
            overwrite=request.overwrite,
        )


def _text_writer(kind: ExportFormat, file: TextIO, *, with_places: bool) -> RecordWriter:
    if kind is ExportFormat.CSV:
        return CsvWriter(file, with_places=with_places)
    return JsonLinesWriter(file, with_places=with_places)
