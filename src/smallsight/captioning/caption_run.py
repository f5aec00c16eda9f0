"""One run over a data set: what is known already is skipped, the rest is answered and logged, then written.

The log has a line for each content and grows by one write; a killed run leaves at most the beginning of a
line. The rows are made from the log in the order of the pictures, so that they do not depend on how often
the run was stopped.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import IO, Any

from smallsight.captioning.caption_writers import RowOutput
from smallsight.captioning.captioner import Captioner, CaptionResult, HashedPicture
from smallsight.captioning.picture_sources import LeftOut, PictureSources
from smallsight.errors import SmallsightError
from smallsight.library.description_lines import DescriptionLines

__all__ = ["CaptionReport", "CaptionRun", "RunProgress"]


@dataclass(slots=True)
class CaptionReport:
    """How the pictures of one run ended.

    ``known`` were in the log before, ``copies`` have the bytes of another picture of the run; ``unreadable``
    have no bytes. ``failed`` are those that the model, or the decoder, failed on in this run.
    """

    rows: int = 0
    described: int = 0
    failed: int = 0
    unreadable: int = 0
    known: int = 0
    copies: int = 0
    cut: int = 0
    first_error: SmallsightError | None = None

    @property
    def num_passed(self) -> int:
        """Pictures that the model had nothing to do with."""
        return self.unreadable + self.known + self.copies


class RunProgress:
    """Receives the progress of a run; this one does nothing with it."""

    def left_out(self, files: LeftOut) -> None:
        """Receive files in a named folder that are not read; before anything else."""

    def done(self, report: CaptionReport, estimate: int | None) -> None:
        """Receive the numbers after each answer or failure; ``estimate`` is how many pictures there are."""

    def problem(self, name: str, error: SmallsightError) -> None:
        """Receive a picture that has no answer, by its key or else its source."""


class CaptionRun:
    """A run; call ``run`` once."""

    def __init__(
        self, captioner: Captioner, sources: PictureSources, lines: DescriptionLines, output: RowOutput
    ) -> None:
        self._captioner = captioner
        self._sources = sources
        self._lines = lines
        self._output = output
        self._report = CaptionReport()
        self._met: set[str] = set()  # hashes of the pictures of this run

    def run(
        self, request: dict[str, Any], progress: RunProgress, should_stop: Callable[[], bool]
    ) -> CaptionReport:
        """Answer what is left and write the output; raises StorageError, and KeyboardInterrupt if stopped."""
        with tempfile.TemporaryFile("w+", encoding="ascii") as passed:
            with closing(self._captioner.results(self._due(passed))) as results:
                for result in results:
                    self._finish(result, progress)
                    if should_stop():
                        raise KeyboardInterrupt
            self._write(passed, request)
        return self._report

    def _due(self, passed: IO[str]) -> Iterator[HashedPicture]:
        """Note every picture of the data set, and yield those that are not known."""
        report = self._report
        for picture in self._sources.pictures():
            data = picture.data
            facts: dict[str, Any] = {"source": picture.source, "key": picture.key, "name": picture.name}
            if isinstance(data, SmallsightError):
                facts |= {"error_code": data.code, "error": data.message}
                passed.write(json.dumps([facts, None]) + "\n")
                yield picture, None
                continue
            sha256 = hashlib.sha256(data).hexdigest()
            facts |= {"sha256": sha256, "size_bytes": len(data)}
            kept = self._output.keep(picture, data, sha256)
            passed.write(json.dumps([facts, kept]) + "\n")
            if sha256 in self._met:
                report.copies += 1
                continue
            self._met.add(sha256)
            if self._lines.holds("", sha256):
                report.known += 1
            else:
                yield picture, sha256

    def _finish(self, result: CaptionResult, progress: RunProgress) -> None:
        """Log what was found out about a picture."""
        report, error = self._report, result.error
        if result.sha256 is None:  # there are no bytes to know it by: the next run tries again
            report.unreadable += 1
        else:
            row = result.row
            self._lines.append(
                {"path": result.key, "sha256": result.sha256, "error": row["error"], "row": row}
            )
            report.cut += bool(row["cut"])
            report.described += error is None
            report.failed += error is not None
        if error is not None:
            report.first_error = report.first_error or error
            progress.problem(result.key, error)
        progress.done(report, self._sources.estimate())

    def _write(self, passed: IO[str], request: dict[str, Any]) -> None:
        """Write a row for each picture, with what the log has about its bytes."""
        columns = self._captioner.columns
        passed.seek(0)
        with self._output.open(columns, request) as write:
            for line in passed:
                facts, kept = json.loads(line)
                found = self._lines.find("", facts["sha256"]) if "sha256" in facts else None
                write(columns.row({**(found["row"] if found else {}), **facts}), kept)
                self._report.rows += 1
