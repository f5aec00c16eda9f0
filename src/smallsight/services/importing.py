"""Takes the captions of files into the library, in many short transactions, and embeds what it has stored."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from smallsight.captioning.caption_files import ColumnChoice, open_caption_file
from smallsight.captioning.given_captions import BadRow, GivenRow
from smallsight.errors import ArgumentError, PictureError, SmallsightError
from smallsight.library.described_texts import MAX_WAITING, DescribedTexts
from smallsight.library.edits import PAUSE_S
from smallsight.library.importing import (
    DESCRIPTIONS_PER_TURN,
    ImportedDescription,
    ImportedState,
    store_imported,
)
from smallsight.services.application import Application
from smallsight.settings import Settings

__all__ = ["CaptionImporter", "ImportProgress", "ImportReport"]

ImportProgress = Callable[[int, float], None]
"""Called after each transaction with the rows read so far, and the fraction of all files."""


@dataclass(slots=True)
class ImportReport:
    """How the rows of an import ended; ``damaged`` are the files that could not be read to their end."""

    rows: int = 0
    states: Counter[ImportedState] = field(default_factory=Counter)
    bad_rows: Counter[BadRow] = field(default_factory=Counter)
    damaged: list[tuple[Path, SmallsightError]] = field(default_factory=list)

    @property
    def num_unusable(self) -> int:
        """Rows with something wrong; what failed on the other machine is as it should be."""
        return self.bad_rows.total() - self.bad_rows[BadRow.FAILED]


class CaptionImporter:
    """Imports files into an open library; another process may index it meanwhile."""

    def __init__(
        self,
        application: Application,
        settings: Settings,
        choice: ColumnChoice | None = None,
        *,
        replaces: bool = False,
    ) -> None:
        """Import into a library that is open for edits; ``replaces`` is for what other models wrote."""
        self._application = application
        self._settings = settings
        self._choice = choice or ColumnChoice()
        self._replaces = replaces
        self._report = ImportReport()
        self.changed_ids: list[int] = []

    def run(
        self,
        paths: Sequence[Path],
        progress: ImportProgress = lambda _rows, _fraction: None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> ImportReport:
        """Import all rows of all files; a damaged file does not stop the others.

        Raises KeyboardInterrupt if stopped, and ArgumentError, PictureNotFoundError or MissingExtraError
        before anything is stored.
        """
        files = [open_caption_file(path, self._settings.limits, self._choice) for path in paths]
        for number, (path, file) in enumerate(zip(paths, files, strict=True)):
            try:
                with closing(file.rows()) as rows:
                    for batch in _batches(rows):
                        self._store(batch)
                        progress(self._report.rows, (number + file.fraction_read) / len(files))
                        if should_stop():
                            raise KeyboardInterrupt
            except (PictureError, ArgumentError) as error:
                self._report.damaged.append((path, error))
        return self._report

    def embed(self, advance: Callable[[int], None] = lambda _: None) -> None:
        """Embed what was stored, so that it is found by meaning at once; an index run does what is left."""
        application = self._application
        if application.text_model_dir is None:
            return
        texts = DescribedTexts(application.database, self._settings, lambda: application.embedder)
        for start in range(0, len(self.changed_ids), MAX_WAITING):
            some = self.changed_ids[start : start + MAX_WAITING]
            for content_id in some:
                texts.add(content_id)
            texts.embed()
            advance(len(some))

    def _store(self, batch: Sequence[GivenRow]) -> None:
        usable = [one for one in batch if isinstance(one, ImportedDescription)]
        self._report.rows += len(batch)
        self._report.bad_rows.update(one for one in batch if isinstance(one, BadRow))
        if not usable:
            return
        results = store_imported(self._application.database, usable, replaces=self._replaces)
        self._report.states.update(state for state, _ in results)
        self.changed_ids += [content_id for _, content_id in results if content_id is not None]


def _batches(rows: Iterator[GivenRow]) -> Iterator[list[GivenRow]]:
    batch: list[GivenRow] = []
    for row in rows:
        batch.append(row)
        if len(batch) == DESCRIPTIONS_PER_TURN:
            yield batch
            batch = []
            time.sleep(PAUSE_S)  # other processes that want to write get their turn
    if batch:
        yield batch
